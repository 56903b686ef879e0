"""What can be wrong with a notification, with where it should go, and with the file that says so."""

from __future__ import annotations

from prodsprints.kernel.errors import ProdSprintsError, UsageError


class MessageInputError(UsageError):
    """A notification cannot be sent as it was written."""

    code = "notify/input"


class UnknownAudienceError(UsageError):
    """Nothing says how that audience is reached."""

    code = "notify/unknown-audience"


class NotifyConfigError(UsageError):
    """The file that says who is told what by which channel cannot be used as it stands."""

    code = "notify/config"


class UnknownNotificationError(ProdSprintsError):
    """This tenant has no such notification."""

    code = "notify/unknown"
    http_status = 404


class NotDeadError(UsageError):
    """Only a notification that nothing delivered can be sent once more."""

    code = "notify/not-dead"
    http_status = 409


class RefusedError(ProdSprintsError):
    """A channel will not take this message, whenever it is asked again."""

    code = "notify/refused"
