"""What can be wrong with what is said about an incident."""

from __future__ import annotations

from prodsprints.kernel.errors import ProdSprintsError, UsageError


class IncidentInputError(UsageError):
    """An incident, or what is done with one, is described in a way that cannot be meant."""

    code = "incidents/input"


class UnknownIncidentError(UsageError):
    """Somebody asked for an incident that this tenant has not."""

    code = "incidents/unknown"
    http_status = 404


class IncidentClosedError(ProdSprintsError):
    """The incident was closed before."""

    code = "incidents/closed"
    http_status = 409


class NotPublishedError(UsageError):
    """Nothing of the incident is public that could be taken back."""

    code = "incidents/not-published"
    http_status = 409
