"""Whether and when a failed attempt is made again."""

from __future__ import annotations

import random as random_module
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prodsprints.guard import checks
from prodsprints.guard.errors import GuardInputError, RateLimitError, ServiceUnavailable

if TYPE_CHECKING:
    from tenacity import RetryCallState

Stop = Callable[["RetryCallState"], bool]
Wait = Callable[["RetryCallState"], float]
Predicate = Callable[["RetryCallState"], bool]


def _five_attempts(state: RetryCallState) -> bool:
    return state.attempt_number >= 5


def _when_turned_away(state: RetryCallState) -> bool:
    """The provider said that it did nothing, so that a second try cannot do a thing twice."""
    return state.outcome is not None and isinstance(state.outcome.exception(), (RateLimitError, ServiceUnavailable))


class full_jitter:  # noqa: N801 - a strategy, named as tenacity names its own
    """A wait of 0 to `initial`·2ⁿ⁻¹ seconds before try n + 1, `max` at most, uniformly drawn.

    Callers that failed together come back apart, with the least work for all
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    def __init__(
        self, *, initial: float = 1.0, max: float = 60.0, random: Callable[[], float] = random_module.random
    ) -> None:
        self._initial = checks.positive("initial", initial)
        self._max = checks.positive("max", max)
        self._random = random

    def __call__(self, state: RetryCallState) -> float:
        doublings = min(state.attempt_number - 1, 64)
        return self._random() * min(self._max, self._initial * 2.0**doublings)


@dataclass(frozen=True)
class Retry:
    """Three strategies, each a tenacity strategy or any function of tenacity's RetryCallState.

    By default up to 5 attempts, full jitter from 1 to 60 s, and only where the provider said that it did nothing: a
    RateLimitError or ServiceUnavailable. A guard's own Rejection is never retried.
    """

    stop: Stop = _five_attempts
    wait: Wait = field(default_factory=full_jitter)
    retry: Predicate = _when_turned_away

    @classmethod
    def never(cls) -> Retry:
        """No second attempt, for calls without this layer."""
        return cls(retry=lambda _: False)

    def __post_init__(self) -> None:
        for name in ("stop", "wait", "retry"):
            if not callable(getattr(self, name)):
                raise GuardInputError(
                    f"{name} is no strategy: {getattr(self, name)!r}.",
                    next_step=f"Give a strategy such as tenacity's, or leave {name} out.",
                )
        if _looks_at_results(self.retry):
            raise GuardInputError(
                "A guard retries errors, never results.",
                next_step="Raise an error, ServiceUnavailable say, for a result that should be retried.",
            )


def _looks_at_results(predicate: object) -> bool:
    tenacity = sys.modules.get("tenacity")
    if tenacity is None:
        return False
    if isinstance(predicate, (tenacity.retry_any, tenacity.retry_all)):
        return any(_looks_at_results(part) for part in predicate.retries)
    return isinstance(predicate, (tenacity.retry_if_result, tenacity.retry_if_not_result))
