# ruff: noqa: ARG005 - the names of unused arguments are what is checked
"""What a type checker must make of guarded functions; read by mypy in test_typing.py, never run."""

from __future__ import annotations

from typing import assert_type

import httpx

from prodsprints.guard import (
    Answer,
    Attempt,
    Failover,
    Fallback,
    Guard,
    KeyPool,
    LeaseSource,
    Limit,
    Profile,
    RateLimiter,
    StaleIfError,
    circuit_breaker,
    profile,
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)
from prodsprints.guard.transports.httpx import AsyncGuardedTransport, GuardedTransport

guard = Guard("provider")
github = Guard.for_provider("github", deadline_seconds=5, limiter=RateLimiter(rate=1))
source: LeaseSource = RateLimiter(rate=1)


@guard
def plain(number: int, *, text: str = "") -> list[str]:
    return [text] * number


@guard
async def asynchronous(number: int) -> str:
    return str(number)


@retry(
    stop=stop_after_attempt(5),
    wait=wait_exponential_jitter(initial=1, max=60),
    retry=retry_if_exception_type(OSError),
)
async def retried(number: int) -> str:
    return str(number)


@circuit_breaker(failure_threshold=5, recovery_timeout=60)
def broken(number: int) -> str:
    return str(number)


@guard.with_attempt
def with_key(attempt: Attempt, number: int) -> str:
    return attempt.key.secret * number


@guard(failover=Failover(asynchronous), fallback=Fallback(lambda error, number: "none"))
async def with_others(number: int) -> str:
    return str(number)


@guard(fallback=Fallback(lambda error, number: "none"))
def with_fallback(number: int) -> str:
    return str(number)


@guard(critical=True)
def critical(number: int) -> str:
    return str(number)


@StaleIfError(max_age_seconds=60)
@guard
def kept(number: int) -> str:
    return str(number)


@StaleIfError(max_age_seconds=60)
@guard
async def kept_async(number: int) -> str:
    return str(number)


class Client:
    @guard
    def method(self, number: int) -> str:
        return str(number)


class OurGuard(Guard):
    pass


async def uses() -> None:
    assert_type(github, Guard)
    assert_type(OurGuard.for_provider(profile("github")), OurGuard)
    assert_type(profile("github"), Profile)
    assert_type(profile("github").limit, Limit | None)
    assert_type(profile("github").limiter(), RateLimiter | None)
    assert_type(httpx.Client(transport=GuardedTransport(github)).get("/"), httpx.Response)
    assert_type(await httpx.AsyncClient(transport=AsyncGuardedTransport(github)).get("/"), httpx.Response)
    assert_type(plain(1, text="a"), list[str])
    assert_type(await asynchronous(1), str)
    assert_type(await retried(1), str)
    assert_type(broken(1), str)
    assert_type(with_key(1), str)
    assert_type(await with_others(1), str)
    assert_type(with_fallback(1), str)
    assert_type(critical(1), str)
    assert_type(kept(1), Answer[str])
    assert_type(kept(1).value, str)
    assert_type(await kept_async(1), Answer[str])
    assert_type(Client().method(1), str)


def mistakes() -> None:
    Guard.for_provider("github", deadline="5")  # type: ignore[call-arg]
    httpx.Client(transport=AsyncGuardedTransport(github))  # type: ignore[arg-type]
    plain("1")  # type: ignore[arg-type]
    with_key(Attempt, 1)  # type: ignore[call-arg, arg-type]
    KeyPool([], quota=lambda scope: 5)  # type: ignore[arg-type, return-value]
    guard(failover=Failover(plain))(with_fallback)  # type: ignore[arg-type]
    guard(critical=True, fallback=Fallback(lambda error: ""))  # type: ignore[call-overload]
