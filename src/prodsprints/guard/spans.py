"""Spans of the calls that are worth one: retried, rejected, or sampled; told when they are over."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prodsprints.guard.limiter import RateLimiter
from prodsprints.guard.ownership import STATE
from prodsprints.guard.telemetry import Outcome

if TYPE_CHECKING:
    from prodsprints.guard.layers import Layers

_SCOPE = "prodsprints.guard"
_MOST_RETRIES = 32
_GOOD = frozenset({Outcome.SUCCEEDED, Outcome.FAILED_OVER, Outcome.FELL_BACK})
_provider: Any = None


@dataclass(frozen=True, slots=True)
class Retried:
    """After so many seconds the call was to be made again, because of an error of this kind, after a pause."""

    after_seconds: float
    because: str
    pause_seconds: float


@dataclass(slots=True)
class Story:
    """What happened to one call on its way, as far as a span would tell it."""

    attempts: int
    sampled: bool
    rejected: Outcome | None = None
    retries: list[Retried] = field(default_factory=list)


def bucket() -> RateLimiter:
    """For one guard's spans: an outage makes as many rejections as calls, and a few of them will do as spans."""
    return RateLimiter(rate=5, burst=20)


def use(provider: Any) -> None:
    """Take `provider`'s tracer, an OpenTelemetry TracerProvider, in place of the process' own; None: no more."""
    global _provider  # noqa: PLW0603 - one process, one place where its spans go
    _provider = provider


def tell(layers: Layers, story: Story, outcome: Outcome, seconds: float) -> None:
    """Make a span of a call that took `seconds` until now, if it is worth one and somebody collects spans.

    Errors are named by their class: their text can hold what a provider echoed.
    """
    if not (story.retries or story.rejected or story.sampled):
        return
    tracer = _tracer()
    if tracer is None:
        return
    with STATE:
        if layers.spans.take(time.monotonic()):
            return
    ended = time.time_ns()
    began = ended - _ns(seconds)
    attributes = {"guard.name": layers.name, "guard.outcome": outcome.value, "guard.attempts": story.attempts}
    if story.rejected:
        attributes["guard.rejected.by"] = story.rejected.value
    span = tracer.start_span(f"guard {layers.name}", start_time=began, attributes=attributes)
    if span.is_recording():
        for retried in story.retries[:_MOST_RETRIES]:
            about = {"error.type": retried.because, "guard.pause": retried.pause_seconds}
            span.add_event("retried", about, timestamp=began + _ns(retried.after_seconds))
        if outcome not in _GOOD:
            from opentelemetry.trace import StatusCode

            span.set_status(StatusCode.ERROR, outcome.value)
    span.end(ended)


def _tracer() -> Any:
    """The tracer, or None where nobody in this process has so much as imported OpenTelemetry."""
    if _provider is not None:
        return _provider.get_tracer(_SCOPE)
    trace = sys.modules.get("opentelemetry.trace")
    return None if trace is None else trace.get_tracer(_SCOPE)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
