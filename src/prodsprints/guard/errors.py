"""What a guarded call can end with, besides its own errors."""

from __future__ import annotations

from prodsprints.guard.retry_after import seconds_from
from prodsprints.kernel.errors import ProdSprintsError, UsageError


class GuardError(ProdSprintsError):
    """Base of what guards raise, and of what guarded functions raise to tell a guard what happened."""

    code = "guard/failed"
    http_status = 503

    retry_after: float | None = None
    """Seconds before which another try is useless; None if nobody said."""

    repeatable: bool = True
    """False where the call must not be made again, whatever the strategies say: it may have been done already."""

    def __init__(self, what: str = "The call failed.", *, why: str = "", next_step: str = "Try again later.") -> None:
        super().__init__(what, why=why, next_step=next_step)


class ServiceUnavailable(GuardError):  # noqa: N818 - the specification's name
    """The provider cannot answer now. Raise it for a 502, 503 or a refused connection."""

    code = "guard/unavailable"

    def __init__(
        self,
        what: str = "The service is not available.",
        *,
        retry_after: float | str | None = None,
        why: str = "",
        next_step: str = "Try again later.",
    ) -> None:
        super().__init__(what, why=why, next_step=next_step)
        self.retry_after = seconds_from(retry_after)


class RateLimitError(GuardError):
    """The provider throttles this key. Raise it for a 429 with the value of its Retry-After header, if it has one."""

    code = "guard/rate-limited"
    http_status = 429

    def __init__(
        self,
        retry_after: float | str | None = None,
        *,
        what: str = "The provider answers that its rate limit is reached.",
        why: str = "",
        next_step: str = "Call less often, add a key of another account, or ask the provider for a higher limit.",
    ) -> None:
        super().__init__(what, why=why, next_step=next_step)
        self.retry_after = seconds_from(retry_after)


class CallTimeoutError(GuardError, TimeoutError):
    """One attempt took longer than the guard's time-out. The provider may still have done what was asked."""

    code = "guard/timeout"
    http_status = 504


class DeadlineExceeded(CallTimeoutError):  # noqa: N818 - the specification's name
    """The time for the whole call, with all its attempts, is over."""

    code = "guard/deadline"


class Rejection(GuardError):  # noqa: N818 - an answer of the guard, no fault of anybody's
    """The guard itself said no: the provider was not called, and nothing counts as its failure."""

    code = "guard/rejected"


class CircuitOpenError(Rejection, ServiceUnavailable):
    """The breaker is open: the provider failed too often, and is left alone for a while."""

    code = "guard/circuit-open"


class BulkheadFullError(Rejection, ServiceUnavailable):
    """As many calls as are allowed at a time are under way."""

    code = "guard/bulkhead-full"


class QuotaSpentError(Rejection, RateLimitError):
    """No key has quota left before the deadline."""

    code = "guard/quota-spent"


UNAVAILABLE: tuple[type[Exception], ...] = (
    ServiceUnavailable,
    RateLimitError,
    Rejection,
    TimeoutError,
    ConnectionError,
)
"""What means "not now, and no fault of the caller's": where an alternative or a cached answer is in place."""


class GuardInputError(UsageError):
    """A guard was built with a value that it cannot keep."""

    code = "guard/input"


class GuardMisusedError(UsageError):
    """A guard is used where its state does not hold: from a second event loop, or after a fork."""

    code = "guard/misused"
    http_status = 500
