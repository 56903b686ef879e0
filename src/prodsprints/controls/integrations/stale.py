"""The last good answer of a service, for while it fails: marked with its age, and never for what is critical."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from prodsprints.guard import Fallback
from prodsprints.kernel import clock, files

_log = logging.getLogger(__name__)

LONGEST = timedelta(days=30)
"""Beyond this an old answer says nothing about today."""

_LONGEST_VALUE = 4_096
_LONGEST_FILE = 16_384


@dataclass(frozen=True)
class Marked:
    """An answer and its age; `stale` says that it is from before the service began to fail, and `why` how it fails."""

    value: str
    age: timedelta = timedelta(0)
    why: str = ""

    @property
    def stale(self) -> bool:
        """Whether somebody who is shown the value has to be shown its age."""
        return bool(self.why)

    def __str__(self) -> str:
        return f"{self.value} (as of {_spoken(self.age)} ago)" if self.stale else self.value


class StaleIfError:
    """Keeps each good answer in a file of its own below `directory`, where it survives a restart.

    There is no parameter that makes critical data stale: who asks for it does not ask through this.
    """

    def __init__(
        self, directory: Path, *, longest: timedelta = LONGEST, now: Callable[[], datetime] = clock.now
    ) -> None:
        self._directory = directory
        self._longest = longest
        self._now = now

    def fallback(self) -> Fallback[[str], Marked]:
        """For the guard around a function of the key: only while the service is not available, never after a refusal."""
        return Fallback(self.instead)

    def keep(self, key: str, value: str) -> Marked:
        """`value`, which the service answered just now."""
        if len(value) <= _LONGEST_VALUE:
            self._write(key, value)
        return Marked(value)

    def instead(self, error: Exception, key: str) -> Marked:
        """What was kept of `key`, marked; raises `error` when that is nothing, or too old."""
        kept = self._kept(key)
        if kept is None:
            raise error
        value, age = kept
        return Marked(value, age, getattr(error, "what", "") or type(error).__name__)

    def _write(self, key: str, value: str) -> None:
        content = json.dumps({"key": key, "value": value, "at": clock.iso(self._now())}).encode()
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.replace(self._file(key), content)
        except OSError as error:  # a full disk costs the next outage's answer, not this one
            _log.warning("the answer to %s is not kept: %s", key, error.strerror)

    def _kept(self, key: str) -> tuple[str, timedelta] | None:
        try:
            with self._file(key).open("rb") as stream:
                found = json.loads(stream.read(_LONGEST_FILE))
            value, at = found["value"], datetime.fromisoformat(found["at"])
            age = self._now() - at
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        # An age below zero is that of a clock that went backwards: how old the answer is, nobody knows.
        usable = isinstance(value, str) and found["key"] == key and timedelta(0) <= age <= self._longest
        return (value, age) if usable else None

    def _file(self, key: str) -> Path:
        return self._directory / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _spoken(age: timedelta) -> str:
    seconds = age.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
