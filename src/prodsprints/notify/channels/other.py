"""Whatever else apprise can reach (https://github.com/caronc/apprise): Teams, Matrix, PagerDuty and a hundred more."""

from __future__ import annotations

import logging
from typing import Any

from prodsprints.guard import ServiceUnavailable
from prodsprints.notify.errors import NotifyConfigError
from prodsprints.notify.message import Letter

_KINDS = {"info": "info", "warning": "warning", "critical": "failure"}


class ByApprise:
    """One address of apprise's. It answers only yes or no; the letter's mark is what its copies have in common."""

    def __init__(self, name: str, seconds: float, url: str) -> None:
        import apprise

        logging.getLogger("apprise").disabled = True  # it would log addresses, which hold secrets
        self.name = name
        self.provider = "apprise"
        self.seconds = seconds
        self._apprise: Any = apprise.Apprise(asset=apprise.AppriseAsset(secure_logging=True, async_mode=False))
        if not self._apprise.add(url):
            raise NotifyConfigError(
                f"What is kept as the address of the channel {name} is none that apprise knows.",
                next_step="apprise's documentation has each service's form; yours is not shown, since it is a secret.",
            )

    def send(self, letter: Letter) -> str:
        """Send it."""
        body = f"{letter.body or letter.subject}\n({letter.mark})"
        if not self._apprise.notify(title=letter.subject, body=body, notify_type=_KINDS[letter.severity]):
            raise ServiceUnavailable("apprise says that it did not arrive")
        return "apprise says that it was taken"
