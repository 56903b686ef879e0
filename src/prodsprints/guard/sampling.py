"""The success path of guards that sample: now and then a call takes the longer way, where it gets a span."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from prodsprints.guard.effects import perform
from prodsprints.guard.ownership import THREADS
from prodsprints.guard.pipeline import Call, Guarded


def sampling(guarded: Guarded[..., Any], fused: Callable[..., Any], *, asynchronous: bool) -> Callable[..., Any]:
    """`fused`, but the guard's sampled share of calls goes through the pipeline."""
    return _in_loop(guarded, fused) if asynchronous else _in_threads(guarded, fused)


def _in_threads(guarded: Guarded[..., Any], fused: Callable[..., Any]) -> Callable[..., Any]:
    layers = guarded.layers

    @wraps(guarded.fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if layers.random() >= layers.sampled:
            return fused(*args, **kwargs)
        layers.claim(THREADS)
        return perform(Call(guarded, args, kwargs, layers.clock.now(), sampled=True).steps(), layers.clock)

    return call


def _in_loop(guarded: Guarded[..., Any], fused: Callable[..., Any]) -> Callable[..., Any]:
    from asyncio import get_running_loop  # which threads need not load

    from prodsprints.guard.effects_async import perform_async

    layers = guarded.layers

    @wraps(guarded.fn)
    async def call(*args: Any, **kwargs: Any) -> Any:
        if layers.random() >= layers.sampled:
            return await fused(*args, **kwargs)
        layers.claim(get_running_loop())
        steps = Call(guarded, args, kwargs, layers.clock.now(), sampled=True).steps()
        return await perform_async(steps, layers.clock)

    return call
