"""The channels that need nothing outside: a line in the worker's log, and the page of notifications."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from prodsprints.notify.message import Letter

_log = logging.getLogger("prodsprints.notification")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR}


@dataclass(frozen=True)
class Terminal:
    """The terminal that the worker runs in, or the file that its log goes to."""

    name: str = "terminal"
    provider: str = ""
    seconds: float = 1.0

    def send(self, letter: Letter) -> str:
        """Write it as one line."""
        _log.log(_LEVELS[letter.severity], "%s: %s (%s)", letter.audience, letter.subject, letter.mark)
        return "written to the worker's log"


@dataclass(frozen=True)
class Page:
    """The page of notifications shows whatever is in the outbox: there is nothing to do."""

    name: str = "page"
    provider: str = ""
    seconds: float = 1.0

    def send(self, letter: Letter) -> str:  # noqa: ARG002 - as every channel
        """It is there already."""
        return "shown on the page of notifications"
