"""The layers in their stated order, outermost first: what a call goes through that is not answered at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from prodsprints.guard.attempt import Attempt
from prodsprints.guard.effects import Run, Sleep, Steps
from prodsprints.guard.errors import DeadlineExceeded, QuotaSpentError, RateLimitError, Rejection
from prodsprints.guard.fallback import Failover, Fallback
from prodsprints.guard.keys import HeldKey
from prodsprints.guard.layers import Layers
from prodsprints.guard.ownership import STATE
from prodsprints.guard.telemetry import Outcome

if TYPE_CHECKING:
    from tenacity import RetryCallState

P = ParamSpec("P")
T = TypeVar("T")

# A wait shorter than this would spin; and no caller can tell.
_SHORTEST_SLEEP_SECONDS = 0.0005
# How far apart calls come back that waited for the same frozen key.
_SPREAD_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class Guarded(Generic[P, T]):
    """A function and everything that is to happen around it."""

    fn: Callable[..., Any]
    layers: Layers
    failover: Failover[P, T] | None
    fallback: Fallback[P, T] | None
    with_attempt: bool


class Call(Generic[T]):
    """One call on its way through the layers. Each layer is a generator that yields what has to be waited for.

    `failed` is what the first attempt ended with, if the fused path has made it already.
    """

    def __init__(
        self,
        guarded: Guarded[Any, T],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        began: float,
        failed: Exception | None = None,
    ) -> None:
        self._guarded = guarded
        self._layers = guarded.layers
        self._args = args
        self._kwargs = kwargs
        self._began = began
        self._ends_at = began + guarded.layers.deadline_seconds
        self._failed = failed
        self._outcome = Outcome.SUCCEEDED

    def steps(self) -> Steps[T]:
        """Deadline: everything inside ends in time, because nothing inside waits longer than what remains."""
        try:
            answer: T = yield from self._fallback()
        except BaseException as error:
            self._outcome = Outcome.of(error)
            raise
        finally:
            with STATE:
                self._layers.telemetry.ended(self._outcome, self._now() - self._began)
        return answer

    def _fallback(self) -> Steps[T]:
        fallback = self._guarded.fallback
        if fallback is None:
            return (yield from self._failover())
        try:
            return (yield from self._failover())
        except fallback.on as error:
            self._outcome = Outcome.FELL_BACK
            return fallback.answer(error, *self._args, **self._kwargs)

    def _failover(self) -> Steps[T]:
        failover = self._guarded.failover
        if failover is None:
            return (yield from self._retry())
        try:
            return (yield from self._retry())
        except failover.on as error:
            last = error
        for alternate in failover.alternates:
            try:
                answer: T = yield Run(alternate, self._args, self._kwargs, self._remaining(last))
            except failover.on as error:
                last = error
            else:
                self._outcome = Outcome.FAILED_OVER
                return answer
        raise last

    def _retry(self) -> Steps[T]:
        error, state = self._failed, None
        while True:
            if error is None:
                try:
                    return (yield from self._breaker())
                except Exception as raised:
                    error = raised
            if self._layers.retry is None or isinstance(error, Rejection):
                raise error
            state = self._state(state, error)
            yield Sleep(self._wait_before_next(state, error))
            error = None

    def _breaker(self) -> Steps[T]:
        breaker = self._layers.breaker
        with STATE:
            era = breaker.admit(self._now())
        return (yield from self._bulkhead(era))

    def _bulkhead(self, era: int) -> Steps[T]:
        layers, held = self._layers, None
        try:
            with STATE:
                layers.bulkhead.enter()
        except Rejection:
            layers.breaker.released(era, self._now())
            raise
        ...
        return (yield from self._key(era))
