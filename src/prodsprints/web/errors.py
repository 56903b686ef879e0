"""What can be wrong with a request, as the API and the pages report it."""

from __future__ import annotations

from prodsprints.kernel.errors import ExitCode, ProdSprintsError, UsageError


class InvalidRequestError(UsageError):
    """The request does not have the shape that this address asks for."""

    code = "web/invalid-request"


class NotFoundError(UsageError):
    """There is nothing at this address."""

    code = "web/not-found"
    http_status = 404


class MethodNotAllowedError(UsageError):
    """This address does not answer this method."""

    code = "web/method-not-allowed"
    http_status = 405


class HttpError(UsageError):
    """The request was refused by the HTTP layer."""

    code = "web/http"
    http_status = 400


class BodyTooLargeError(UsageError):
    """The request's body is larger than anything this API takes."""

    code = "web/body-too-large"
    http_status = 413


class ForeignHostError(ProdSprintsError):
    """The request names a host that this server is not: DNS rebinding looks like this."""

    code = "web/foreign-host"
    exit_code = ExitCode.REFUSED
    http_status = 421


class ForeignOriginError(ProdSprintsError):
    """Another site tried to act with the session of this one."""

    code = "web/foreign-origin"
    exit_code = ExitCode.REFUSED
    http_status = 403


class LoginRequiredError(ProdSprintsError):
    """Nobody is logged in, or the token or session is unknown or over."""

    code = "web/login-required"
    exit_code = ExitCode.NOT_APPROVED
    http_status = 401


class NotOperatorError(ProdSprintsError):
    """This is for the tenant that runs the platform, and the caller belongs to another."""

    code = "web/not-operator"
    exit_code = ExitCode.REFUSED
    http_status = 403


class LoginLinkSpentError(ProdSprintsError):
    """The login link was used before, is over, or never existed."""

    code = "web/login-link-spent"
    exit_code = ExitCode.NOT_APPROVED
    http_status = 410


class NoTenantError(ProdSprintsError):
    """The database knows no tenant yet."""

    code = "web/no-tenant"
    http_status = 503


class ReleaseEndedError(ProdSprintsError):
    """The release has ended: there is nothing left to promote or abort."""

    code = "web/release-ended"
    http_status = 409


class NothingServesError(ProdSprintsError):
    """Nothing serves this environment, so there is no output to read."""

    code = "web/nothing-serves"
    http_status = 409


class NoDrillError(ProdSprintsError):
    """Nothing can be broken for this row."""

    code = "web/no-drill"
    http_status = 422


class TooManyDrillsError(ProdSprintsError):
    """More drills wait than this server takes."""

    code = "web/too-many-drills"
    exit_code = ExitCode.LOCKED
    http_status = 429


class LogTooLongError(ProdSprintsError):
    """The log is too long to be verified or exported while somebody waits."""

    code = "web/log-too-long"
    http_status = 422


class SaidBeforeError(ProdSprintsError):
    """What a person said was written down before, by a request that did not come to its end."""

    code = "web/said-before"
    http_status = 409


class IdempotencyInFlightError(ProdSprintsError):
    """The first request with this Idempotency-Key is still being answered."""

    code = "web/idempotency-in-flight"
    exit_code = ExitCode.LOCKED
    http_status = 409


class IdempotencyMismatchError(UsageError):
    """This Idempotency-Key was used for another request."""

    code = "web/idempotency-mismatch"


class TooManyStreamsError(ProdSprintsError):
    """More readers follow live logs than one server serves."""

    code = "web/too-many-streams"
    http_status = 503


class DefectError(ProdSprintsError):
    """A defect in ProdSprints, known to its log by an id."""

    code = "web/defect"
