"""Runs the layers' steps on an event loop."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any, TypeVar

from prodsprints.guard.clock import Clock
from prodsprints.guard.effects import Run, Steps
from prodsprints.guard.reaper import timed_out

T = TypeVar("T")


async def perform_async(steps: Steps[T], clock: Clock) -> T:
    """Run `steps` in the current task; a call is cancelled when its time is up."""
    try:
        step = next(steps)
        while True:
            try:
                answer = await (_run(step) if isinstance(step, Run) else clock.asleep(step.seconds))
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def _run(step: Run) -> Any:
    try:
        async with asyncio.timeout(None if step.seconds == inf else step.seconds) as limit:
            return await step.fn(*step.args, **step.kwargs)
    except TimeoutError:
        if limit.expired():
            raise timed_out(step.seconds) from None
        raise
