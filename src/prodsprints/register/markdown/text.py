"""The text of a document as it was meant: decoded, its encoding repaired, one kind of line ending, bounded."""

from __future__ import annotations

import codecs
import re

from prodsprints.register.errors import RegisterError

MAX_BYTES = 1_000_000
_MAX_LINES = 40_000
_MAX_LINE = 8_000
_MOST_SHOWN = 5

_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

# Which byte a character stood for when UTF-8 was read as Latin-1, or as Windows' cp1252, which leaves five bytes out.
_BYTES = {chr(byte): byte for byte in range(0x80, 0x100)}
for _byte in range(0x80, 0x100):
    _BYTES[bytes([_byte]).decode("cp1252", "ignore") or chr(_byte)] = _byte
_CHARACTERS: dict[int, str] = {}
for _character, _byte in _BYTES.items():
    _CHARACTERS[_byte] = _CHARACTERS.get(_byte, "") + _character


def _class(first: int, last: int) -> str:
    return "[" + "".join(re.escape(_CHARACTERS[byte]) for byte in range(first, last + 1)) + "]"


_REST = _class(0x80, 0xBF)
_BROKEN = re.compile(
    f"{_class(0xC2, 0xDF)}{_REST}|{_class(0xE0, 0xEF)}{_REST}{{2}}|{_class(0xF0, 0xF4)}{_REST}{{2}}(?:{_REST}| )"
)
# Signs that risk documents are full of. Only where one of them is broken is the encoding repaired: `É—` may be meant.
_SIGNS = "✅✔☑🔄🔴🟠🟡🟢📊📈🚨📞📋⏳🚧❌⬜–—‘’“”…•→≥≤"
_TELLING = re.compile("|".join(sorted({
    re.escape(first) + "[" + re.escape(_CHARACTERS[sign.encode()[1]]) + "]"
    for sign in _SIGNS
    for first in _CHARACTERS[sign.encode()[0]]
})))  # fmt: skip

_BYTE_ORDER_MARKS = re.compile("^(?:\ufeff|ï»¿)+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|[\ud800-\udfff]")
_STRAY = re.compile(r"[\x80-\x9f\u2028\u2029]")


def lines_of(raw: str | bytes) -> list[str]:
    """The lines of `raw`, repaired. Repairing them again changes nothing.

    Raises RegisterError for what is too large, and for what is no text.
    """
    if len(raw) > MAX_BYTES:
        raise _refused(f"The document is larger than {MAX_BYTES:,} bytes.", "Split it, or leave attachments out.")
    text = raw if isinstance(raw, str) else decoded(raw)
    text = _repaired(text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n"))
    lines = _BYTE_ORDER_MARKS.sub("", text).split("\n")
    _refuse_what_is_no_text(lines)
    text = "\n".join(lines)
    if len(text.encode()) > MAX_BYTES:
        raise _refused(f"The document is larger than {MAX_BYTES:,} bytes.", "Split it, or leave attachments out.")
    return _STRAY.sub("\ufffd", text).split("\n")


def plain(words: str) -> str:
    """`words` on one line, without anything that a terminal or a page could take for more than text."""
    return "".join(character for character in " ".join(words.split()) if character.isprintable())


def comparable(words: str) -> str:
    """What two texts that say the same have in common: neither spacing nor the kind of quotes and dashes counts."""
    straight = words.translate(
        {ord(c): "'" for c in "‘’`´"} | {ord(c): '"' for c in "“”„"} | {ord(c): "-" for c in "–—‑"}
    )
    return plain(straight)


def decoded(raw: bytes) -> str:
    """The bytes of a file as text: UTF-8, UTF-16 with its mark, else what Windows would make of them."""
    for mark, name in _UTF16.items():
        if raw.startswith(mark):
            return raw[2:].decode(name, "replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in raw)


def _repaired(text: str) -> str:
    while _TELLING.search(text):
        repaired = _BROKEN.sub(_mended, text)
        if repaired == text:
            break
        text = repaired
    return text


def _mended(found: re.Match[str]) -> str:
    # an editor may have made a plain space of the last byte of 🟠, which as text is a non-breaking one
    broken = found.group()
    bytes_ = bytes(0xA0 if character == " " else _BYTES[character] for character in broken)
    try:
        return bytes_.decode()
    except UnicodeDecodeError:
        return broken


def _refuse_what_is_no_text(lines: list[str]) -> None:
    if len(lines) > _MAX_LINES:
        raise _refused(f"The document has more than {_MAX_LINES} lines.", "Split it.")
    problems = []
    for number, line in enumerate(lines, 1):
        if len(line) > _MAX_LINE:
            problems.append(f"line {number}: longer than {_MAX_LINE} characters.")
        elif _CONTROL.search(line):
            problems.append(f"line {number}: holds control characters.")
    if problems:
        raise _refused(
            "\n".join(problems[:_MOST_SHOWN]), "Save it as a plain text file in UTF-8; nothing was imported."
        )


def _refused(what: str, next_step: str) -> RegisterError:
    return RegisterError(what, next_step=next_step)
