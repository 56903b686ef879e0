"""What the layers wait for, as values: so that they are written once, and run in threads and on event loops alike."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, TypeVar

from prodsprints.guard.clock import Clock
from prodsprints.guard.errors import GuardMisusedError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """Call `fn`, for at most `seconds` where it can be interrupted."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    seconds: float


Steps = Generator[Sleep | Run, Any, T]


def perform(steps: Steps[T], clock: Clock) -> T:
    """Run `steps` in this thread. A call cannot be interrupted here, so `seconds` is for the function to keep."""
    try:
        step = next(steps)
        while True:
            try:
                answer = _take(step, clock)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


def _take(step: Sleep | Run, clock: Clock) -> Any:
    if isinstance(step, Run):
        answer = step.fn(*step.args, **step.kwargs)
        if type(answer) is CoroutineType:
            raise unguarded(step.fn, answer)
        return answer
    clock.sleep(step.seconds)
    return None


def unguarded(fn: Callable[..., Any], answer: Any) -> GuardMisusedError:
    """Why a plain function must not return a coroutine: the guard would take its mere existence for success."""
    answer.close()
    return GuardMisusedError(
        f"{getattr(fn, '__qualname__', fn)} returned a coroutine, which would run outside its guard.",
        next_step="Declare it with `async def`, and await in it.",
    )
