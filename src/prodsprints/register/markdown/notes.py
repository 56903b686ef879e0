"""What an export writes beside a document's own words, in a form that an import recognises and takes out again."""

from __future__ import annotations

import re

_SENTINEL = "<!-- prodsprints -->"
_LONGEST = 240
_NOTE = re.compile(rf" \*\([^*\n]*\)\*{re.escape(_SENTINEL)}")
_UNSAFE = str.maketrans({"*": "", "\n": " ", "<": "‹", ">": "›", "|": "/", "`": "'", "[": "(", "]": ")"})


def note(words: str) -> str:
    """`words` as an italic note, ended by a comment that no reader sees: ` *(unproven)*<!-- prodsprints -->`."""
    plain = words.translate(_UNSAFE)
    return f" *({plain[: _LONGEST - 1] + '…' if len(plain) > _LONGEST else plain})*{_SENTINEL}"


def without(line: str) -> str:
    """`line` without the notes in it."""
    while (shorter := _NOTE.sub("", line) if _SENTINEL in line else line) != line:
        line = shorter  # a note around a note is left by the first pass
    return line


def added(lines: list[str], notes: dict[tuple[int, int], str]) -> list[str]:
    """`lines` with a text added at each place, given as line and column."""
    changed = list(lines)
    for (line, column), text in sorted(notes.items(), reverse=True):  # from the back, so that columns stay true
        changed[line] = changed[line][:column] + text + changed[line][column:]
    return changed
