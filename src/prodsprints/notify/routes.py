"""Where each audience is told: what `notify.yaml` in the home says now, or the terminal and the page without one."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prodsprints.guard import ServiceUnavailable
from prodsprints.kernel.settings import Settings
from prodsprints.kernel.validation import nearest
from prodsprints.notify import channels
from prodsprints.notify.config import FILE_NAME, Config, load
from prodsprints.notify.errors import NotifyConfigError, UnknownAudienceError
from prodsprints.notify.message import Letter, refuse_no_audience
from prodsprints.notify.rounds import Channel

Seen = tuple[int, int, int, int] | None


class Routes:
    """Looks at the file again before each use, so that a change holds at once; it is small."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self._path = settings.home / FILE_NAME
        self._lock = threading.Lock()
        self._seen: Seen | object = object()
        self._config = Config({}, {})
        self._channels: dict[str, Channel] = {}

    def audiences(self) -> Mapping[str, tuple[str, ...]]:
        """Each audience with the names of its channels, in order. Raises NotifyConfigError, UsageError."""
        return self._now().audiences

    def refuse_unknown(self, audience: str) -> None:
        """Raises UnknownAudienceError for an audience that nothing says how to reach, MessageInputError for none."""
        refuse_no_audience(audience)
        known = self.audiences()
        if audience not in known:
            raise UnknownAudienceError(
                f"Nobody is known as {audience}{nearest(audience, known) or '.'}",
                next_step=f"Name one of {', '.join(sorted(known))}, or add it to {self._path}.",
            )

    def to(self, audience: str) -> tuple[Channel, ...]:
        """The channels to an audience, in order.

        Raises UnknownAudienceError, NotifyConfigError, UsageError.
        """
        self.refuse_unknown(audience)
        with self._lock:
            return tuple(self._channel(name) for name in self._config.audiences[audience])

    def _channel(self, name: str) -> Channel:
        known = self._channels.get(name)
        if known is None:
            try:
                known = channels.open(name, self._config.channels.get(name), home=self._home)
            except NotifyConfigError as error:  # the others go on without it; its secret may come yet
                return _Closed(name, error.what)
            self._channels[name] = known
        return known

    def _now(self) -> Config:
        with self._lock:
            seen = _signature(self._path)
            if seen != self._seen:
                self._config, self._channels = load(self._path), {}
                self._seen = seen
            return self._config


@dataclass(frozen=True)
class _Closed:
    """A channel whose secret cannot be read."""

    name: str
    why: str
    provider: str = ""
    seconds: float = 1.0

    def send(self, letter: Letter) -> str:  # noqa: ARG002 - as every channel
        raise ServiceUnavailable(self.why)


def _signature(path: Path) -> Seen:
    try:
        found = os.stat(path)  # noqa: PTH116 - all of it in one call
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode
