"""Secrets leave no sink: known values and the values of telling key names are replaced before anything is written."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

# One key per process: equal secrets stay comparable within a log, and no dictionary attack works on the digest.
_PROCESS_KEY = secrets.token_bytes(32)
_MIN_KNOWN_LENGTH = 6
_MAX_DEPTH = 40

_SECRET_NAME = re.compile(
    r"(?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|authorization|cookie"
    r"|dsn|database_url)s?$",
    re.IGNORECASE,
)
_ASSIGNMENT = re.compile(
    r"(?P<name>[A-Za-z0-9_.-]{0,64}(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credentials?|authorization))(?P<sep>[\"']?\s{0,4}[:=]\s{0,4}[\"']?)"
    r"(?P<value>(?:(?:Bearer|Basic)\s)?[^\s\"',;&}]{1,4096})",
    re.IGNORECASE,
)
_TELLING = ("pass", "secret", "token", "key", "credential", "authorization")  # one of them is in every _ASSIGNMENT
_URL_PASSWORD = re.compile(
    r"(?P<head>[a-z][a-z0-9+.-]{1,30}://[^\s/:@]{0,256}:)(?P<value>[^\s/@]{1,1024})@", re.IGNORECASE
)


def mark(value: str) -> str:
    """What stands in the place of a secret: `[redacted:1f3a…]`, equal for equal values within this process."""
    return f"[redacted:{hmac.new(_PROCESS_KEY, value.encode(), hashlib.sha256).hexdigest()[:8]}]"


class Redactor:
    """Replaces known secret values, passwords in URLs, and what is assigned to a telling name.

    Use one per sink, and give it whole lines: a secret cut over two chunks would pass. Known values shorter than
    six characters are ignored, since they would redact ordinary words.
    """

    def __init__(self, known_values: Sequence[str] = ()) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.learn(*known_values)

    def learn(self, *values: str) -> None:
        """Add values that must never be written by this sink."""
        self._known.update(value for value in values if len(value) >= _MIN_KNOWN_LENGTH)
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, line: str) -> str:
        """`line` with every secret replaced by its mark."""
        if self._pattern is not None:
            line = self._pattern.sub(lambda found: mark(found.group()), line)
        if "://" in line:
            line = _URL_PASSWORD.sub(lambda found: f"{found['head']}{_once(found['value'])}@", line)
        # The pattern tries every place of a line; this look is a thousand times cheaper, and logs are mostly innocent.
        folded = line.casefold()
        if any(word in folded for word in _TELLING):
            line = _ASSIGNMENT.sub(lambda found: f"{found['name']}{found['sep']}{_once(found['value'])}", line)
        return line

    def value(self, item: Any, _depth: int = 0) -> Any:
        """A JSON-like value with secrets replaced: strings by content, mapping values also by their key's name."""
        if _depth > _MAX_DEPTH:
            return "[too deep]"
        if isinstance(item, str):
            return self.text(item)
        if isinstance(item, Mapping):
            return {
                key: _once(entry)
                if isinstance(key, str) and isinstance(entry, str) and _SECRET_NAME.search(key)
                else self.value(entry, _depth + 1)
                for key, entry in item.items()
            }
        if isinstance(item, list | tuple):
            return [self.value(entry, _depth + 1) for entry in item]
        return item


def _once(value: str) -> str:
    return value if value.startswith("[redacted:") else mark(value)
