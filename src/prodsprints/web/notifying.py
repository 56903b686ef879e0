"""What a caller may do with notifications: the one set of functions behind the API and the page's buttons."""

from __future__ import annotations

import logging
from uuid import UUID

from prodsprints.notify import outbox
from prodsprints.notify.message import Message, Severity
from prodsprints.notify.outbox import Notification
from prodsprints.web.identity import Caller
from prodsprints.web.site import Site

_log = logging.getLogger(__name__)


def send(
    here: Site,
    caller: Caller,
    *,
    audience: str,
    text: str,
    subject: str | None = None,
    severity: Severity = "info",
    dedupe_key: str | None = None,
    id: UUID,
) -> Notification:
    """Put a message into the outbox. Raises UnknownAudienceError, MessageInputError, NotifyConfigError."""
    here.routes.refuse_unknown(audience)
    message = Message.of(audience, text, severity=severity, subject=subject, dedupe_key=dedupe_key)
    put = outbox.add(here.db, caller.tenant_id, message, requested_by=caller.actor, id=id)
    _log.info("%s notifies %s: %s", caller.actor, audience, put.id)
    return put


def send_again(here: Site, caller: Caller, id: UUID) -> Notification:
    """Let a dead notification wait again. Raises UnknownNotificationError, NotDeadError."""
    again = outbox.send_again(here.db, caller.tenant_id, id)
    _log.info("%s sends the notification %s again", caller.actor, id)
    return again
