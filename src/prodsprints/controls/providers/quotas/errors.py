"""What can be wrong with a quota, a measurement of it, or the request to raise it."""

from __future__ import annotations

from prodsprints.kernel.errors import ExitCode, ProdSprintsError, UsageError


class QuotaInputError(UsageError):
    """A limit, a use or a name that cannot be meant as it stands."""

    code = "providers/quota-input"


class UnknownQuotaError(ProdSprintsError):
    """There is no such quota, or no such request."""

    code = "providers/unknown-quota"
    exit_code = ExitCode.USAGE
    http_status = 404


class QuotaRequestError(ProdSprintsError):
    """The request is not in a state, or not of a kind, in which that can be done with it."""

    code = "providers/quota-request"
    exit_code = ExitCode.REFUSED
    http_status = 409
