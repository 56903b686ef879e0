"""The terminal as a channel: what is delivered there appears where `prodsprints up` serves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prodsprints.kernel.errors import ProdSprintsError

if TYPE_CHECKING:
    from prodsprints.cli.platform import Platform

_LOOK_SECONDS = 1.0


class Telling:
    """Looks every second for notifications that went to the terminal, and says each once."""

    def __init__(self, platform: Platform, say: Callable[[str], None]) -> None:
        self._platform = platform
        self._say = say
        self._told: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telling", daemon=True)

    def start(self) -> None:
        """Begin with what is told from now on."""
        self.look(silently=True)
        self._thread.start()

    def stop(self) -> None:
        """Say no more."""
        self._stop.set()
        self._thread.join(timeout=5)

    def look(self, *, silently: bool = False) -> None:
        """Say what was not said yet."""
        try:
            newest = self._platform.get("/notifications", state="delivered", limit=50)["items"]
        except ProdSprintsError:  # the pages are restarted, or the database is: the next look has it
            return
        for one in reversed(newest):
            if one["delivered_by"] == "terminal" and one["id"] not in self._told and not silently:
                at = datetime.fromisoformat(one["created_at"]).astimezone(UTC)
                self._say(f"{at:%H:%M:%S} {one['audience']}: {one['subject']}")
        self._told |= {one["id"] for one in newest}

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self.look()
