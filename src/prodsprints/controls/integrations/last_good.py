"""The last good answer of a service, for while it fails: marked with its age, kept on disk, never of critical data."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from prodsprints.guard import Answer, Fallback
from prodsprints.kernel import clock, files

_log = logging.getLogger(__name__)

LONGEST = timedelta(days=30)
"""Beyond this an old answer says nothing about today."""

_LONGEST_VALUE = 4_096
_LONGEST_FILE = 16_384


class LastGood:
    """Keeps each good answer in a file of its own below `directory`, where it survives a restart.

    A guard takes it as its fallback, and refuses that for a function which was declared critical.
    """

    def __init__(
        self, directory: Path, *, longest: timedelta = LONGEST, now: Callable[[], datetime] = clock.now
    ) -> None:
        self._directory = directory
        self._longest = longest
        self._now = now

    def keep(self, key: str, value: str) -> Answer[str]:
        """`value`, which the service answered just now."""
        if len(value) <= _LONGEST_VALUE:
            self._write(key, value)
        return Answer(value)

    def fallback(self) -> Fallback[[str], Answer[str]]:
        """For the guard around a function of the key.

        While the service is not available: what was kept, marked. After a refusal nothing: that is news.
        """
        return Fallback(self._instead)

    def _instead(self, error: Exception, key: str) -> Answer[str]:
        kept = self._read(key)
        if kept is None:
            raise error
        value, age = kept
        return Answer(value, age.total_seconds(), error)

    def _write(self, key: str, value: str) -> None:
        content = json.dumps({"key": key, "value": value, "at": clock.iso(self._now())}).encode()
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.replace(self._file(key), content)
        except OSError as error:  # a full disk costs the next outage's answer, not this one
            _log.warning("the answer to %s is not kept: %s", key, error.strerror)

    def _read(self, key: str) -> tuple[str, timedelta] | None:
        try:
            with self._file(key).open("rb") as stream:
                found = json.loads(stream.read(_LONGEST_FILE))
            value, age = found["value"], self._now() - datetime.fromisoformat(found["at"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        # An age below zero is that of a clock that went backwards: how old the answer is, nobody knows.
        usable = isinstance(value, str) and found["key"] == key and timedelta(0) <= age <= self._longest
        return (value, age) if usable else None

    def _file(self, key: str) -> Path:
        return self._directory / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def aged(answer: Answer[str]) -> str:
    """`answer` in words: the value, with its age if it is stale."""
    return f"{answer.value} (as of {spoken(answer.age_seconds)} ago)" if answer.stale else answer.value


def spoken(seconds: float) -> str:
    """An age as people say it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
