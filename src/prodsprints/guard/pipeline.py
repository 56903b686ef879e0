"""The layers in their stated order, outermost first: what a call goes through that is not answered at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from prodsprints.guard import spans
from prodsprints.guard.attempt import Attempt
from prodsprints.guard.clock import SYSTEM
from prodsprints.guard.deadline import ends_at, moments_of
from prodsprints.guard.effects import Run, Sleep, Steps
from prodsprints.guard.errors import (
    CallTimeoutError,
    DeadlineExceeded,
    GuardError,
    QuotaSpentError,
    RateLimitError,
    Rejection,
)
from prodsprints.guard.fallback import Failover, Fallback
from prodsprints.guard.keys import HeldKey
from prodsprints.guard.layers import Layers
from prodsprints.guard.ownership import STATE
from prodsprints.guard.spans import Retried, Story
from prodsprints.guard.telemetry import Outcome

if TYPE_CHECKING:
    from tenacity import RetryCallState

P = ParamSpec("P")
T = TypeVar("T")

# A wait shorter than this would spin; and no caller can tell.
_SHORTEST_SLEEP_SECONDS = 0.0005
# How far apart calls come back that waited for the same frozen key.
_SPREAD_SECONDS = 1.0
# The strategies never look at tenacity's own retrying object.
_NO_RETRYING: Any = None


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
        *,
        sampled: bool = False,
    ) -> None:
        self._guarded = guarded
        self._layers = guarded.layers
        self._args = args
        self._kwargs = kwargs
        self._began = began
        self._ends_at = began + guarded.layers.deadline_seconds
        outer = ends_at() if guarded.layers.clock is SYSTEM else inf
        self._in_haste = outer < self._ends_at
        if self._in_haste:
            self._ends_at = outer
        self._failed = failed
        self._outcome = Outcome.SUCCEEDED
        self._story = Story(attempts=0 if failed is None else 1, sampled=sampled)

    def steps(self) -> Steps[T]:
        """Deadline: everything inside ends in time, because nothing inside waits longer than what remains."""
        try:
            return (yield from self._fallback())
        except CallTimeoutError as error:
            self._outcome = Outcome.TIMED_OUT
            if self._ends_at - self._now() > _SHORTEST_SLEEP_SECONDS:
                raise
            raise self._too_late() from error
        except BaseException as error:
            self._outcome = Outcome.of(error)
            raise
        finally:
            seconds = self._now() - self._began
            with STATE:
                self._layers.telemetry.ended(self._outcome, seconds)
            spans.tell(self._layers, self._story, self._outcome, seconds)

    def _fallback(self) -> Steps[T]:
        """If nobody could do it, answer with what is at hand."""
        fallback = self._guarded.fallback
        if fallback is None:
            return (yield from self._failover())
        try:
            return (yield from self._failover())
        except fallback.on as error:
            self._outcome = Outcome.FELL_BACK
            return fallback.answer(error, *self._args, **self._kwargs)

    def _failover(self) -> Steps[T]:
        """If the provider could not do it, let others try in what time remains."""
        failover = self._guarded.failover
        if failover is None:
            return (yield from self._retry())
        try:
            return (yield from self._retry())
        except failover.on as error:
            last = error
        for alternate in failover.alternates:
            try:
                answer = yield from self._run(alternate, self._args, self._remaining(last))
            except failover.on as error:
                last = error
            else:
                self._outcome = Outcome.FAILED_OVER
                return answer
        raise last

    def _retry(self) -> Steps[T]:
        """Try again as the strategies say. Each attempt passes the layers below anew; none is held while this waits."""
        error, state = self._failed, None
        while True:
            if error is None:
                self._remaining()
                try:
                    answer: T = yield from self._breaker()
                except Exception as raised:
                    error = raised
                else:
                    with STATE:
                        self._layers.budget.succeeded()
                    return answer
            if isinstance(error, Rejection) or (isinstance(error, GuardError) and not error.repeatable):
                raise error
            state = self._next_state(state, error)
            yield Sleep(self._pause(state, error))
            error = None

    def _breaker(self) -> Steps[T]:
        """Leave a failing provider alone; each attempt tells the breaker how it ended."""
        breaker = self._layers.breaker
        with STATE:
            wait = breaker.probe_in(self._now())
        if 0 < wait < self._remaining():
            yield Sleep(wait)
        with self._admission():
            era = breaker.admit(self._now())
        try:
            answer: T = yield from self._bulkhead()
        except BaseException as error:
            with STATE:
                breaker.ended(era, error, self._now())
            raise
        with STATE:
            breaker.succeeded(era)
        return answer

    def _bulkhead(self) -> Steps[T]:
        """Only so many at a time, those that wait for a token included."""
        bulkhead = self._layers.bulkhead
        with self._admission():
            bulkhead.enter()
        try:
            return (yield from self._key())
        finally:
            with STATE:
                bulkhead.leave()

    def _key(self) -> Steps[T]:
        """A throttled key is left alone. That is the key's matter: the breaker above does not count it."""
        held = yield from self._token()
        try:
            return (yield from self._timeout(held))
        except RateLimitError as error:
            with STATE:
                self._layers.throttled(held, error, self._now())
            raise

    def _token(self) -> Steps[HeldKey]:
        """Wait for a key with a token; the only place in a guard where calls queue."""
        keys = self._layers.keys
        while True:
            now = self._now()
            with STATE:
                found = keys.search(now)
            if isinstance(found, HeldKey):
                return found
            spread = self._layers.random() * min(found, _SPREAD_SECONDS) if keys.frozen_keys(now) else 0.0
            if now + found + spread >= self._ends_at:
                with self._admission():
                    raise QuotaSpentError(
                        what="No key for this provider has quota left in time.",
                        retry_after=found,
                        next_step=f"Try again in {found:.1f} s, call less often, or add a key of another account.",
                    )
            yield Sleep(max(found + spread, _SHORTEST_SLEEP_SECONDS))

    def _timeout(self, held: HeldKey) -> Steps[T]:
        """One attempt, within its own time and the deadline's."""
        seconds = min(self._layers.timeout_seconds, self._remaining())
        args = self._args
        if self._guarded.with_attempt:
            args = (Attempt(held.key, self._now() + seconds, self._layers.clock.now), *args)
        began, outcome = self._now(), Outcome.SUCCEEDED
        self._story.attempts += 1
        try:
            answer = yield from self._run(self._guarded.fn, args, seconds)
        except BaseException as error:
            outcome = Outcome.of(error)
            raise
        finally:
            with STATE:
                self._layers.telemetry.attempted(outcome, self._now() - began)
        return answer

    def _run(self, fn: Callable[..., Any], args: tuple[Any, ...], seconds: float) -> Steps[T]:
        """Whoever is called inside knows until when."""
        known, keep = moments_of(self._layers.clock)
        outer = known()
        keep(self._now() + seconds)
        try:
            answer: T = yield Run(fn, args, self._kwargs, seconds)
            return answer
        finally:
            keep(outer)

    @contextmanager
    def _admission(self) -> Iterator[None]:
        """Where a layer may turn the call away; that is counted here, whatever a fallback makes of it."""
        with STATE:
            try:
                yield
            except Rejection as rejection:
                self._story.rejected = Outcome.of(rejection)
                self._layers.telemetry.rejected(self._story.rejected)
                raise

    def _pause(self, state: RetryCallState, error: Exception) -> float:
        """How long to wait before the next attempt; raises `error` if there is to be none.

        The strategy's wait comes on top of what the provider asks for: else all that it turned away would be back in
        the same moment. Only a call that can go on with another key need not wait.
        """
        layers, now = self._layers, self._now()
        if not layers.retry.retry(state) or layers.retry.stop(state):
            raise error
        throttled = isinstance(error, RateLimitError)
        wait, floor = max(layers.retry.wait(state), 0.0), layers.floor(error)
        with STATE:
            if throttled and len(layers.keys.quotas) > 1:
                floor = layers.keys.thaws_in(now)
                wait = wait if floor else 0.0
            pause = floor + wait
            if not now + pause < self._ends_at:  # also for a wait that is no number
                raise error
            if not throttled and not layers.budget.spend(now):
                layers.telemetry.budget_spent += 1
                raise error
            layers.telemetry.retries += 1
        self._story.retries.append(Retried(now - self._began, type(error).__name__, pause))
        state.upcoming_sleep = pause
        state.idle_for += pause
        return pause

    def _next_state(self, state: RetryCallState | None, error: Exception) -> RetryCallState:
        """What tenacity's strategies look at, with this guard's clock."""
        from tenacity import RetryCallState  # only a call that failed needs it

        if state is None:
            state = RetryCallState(_NO_RETRYING, self._guarded.fn, self._args, self._kwargs)
            state.start_time = self._began
        else:
            state.prepare_for_next_attempt()
        state.set_exception((type(error), error, error.__traceback__))
        state.outcome_timestamp = self._now()
        return state

    def _remaining(self, because: Exception | None = None) -> float:
        remaining = self._ends_at - self._now()
        if remaining <= 0:
            raise self._too_late() from because
        return remaining

    def _too_late(self) -> DeadlineExceeded:
        if self._in_haste:
            return DeadlineExceeded(
                "The call was not answered in the time that was left for what it is part of.",
                next_step="Try again later if it is safe to ask twice, or give the whole of it a later deadline.",
            )
        return DeadlineExceeded(
            f"The call was not answered within its deadline of {self._layers.deadline_seconds:g} s.",
            next_step="Try again later if it is safe to ask twice, or give the guard a later deadline.",
        )

    def _now(self) -> float:
        return self._layers.clock.now()
