"""The specification's own snippets on retries and circuit breakers run as written, with imports added."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prodsprints.guard import CircuitOpenError, RateLimitError, ServiceUnavailable

DOCUMENT = Path(__file__).parent.parent / "fixtures" / "risks-and-mitigations.md"
RETRY_IMPORTS = (
    "from prodsprints.guard import retry, stop_after_attempt, wait_exponential_jitter\n"
    "from prodsprints.guard import retry_if_exception_type, RateLimitError\n"
)
BREAKER_IMPORTS = "from prodsprints.guard import circuit_breaker, ServiceUnavailable\n"


def snippets() -> list[str]:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return [block for block in blocks if "@retry" in block or "@circuit_breaker" in block]


def run(imports: str, name: str, **surroundings: Any) -> Any:
    (snippet,) = [block for block in snippets() if name in block]
    exec(imports + snippet, surroundings)  # noqa: S102 - the document's code is what is tested
    return surroundings[name]


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Production's waits, noted in place of waited."""
    seconds: list[float] = []
    real = asyncio.sleep

    async def nap(delay: float, *_: object) -> None:
        seconds.append(delay)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", nap)
    return seconds


def test_the_document_has_exactly_the_snippets_that_are_tested_here() -> None:
    assert len(snippets()) == 2


def test_a_throttled_call_is_made_up_to_five_times(naps: list[float]) -> None:
    calls = []

    async def api_call(request: str) -> str:
        calls.append(request)
        if len(calls) < 5:
            raise RateLimitError()
        return f"answer to {request}"

    call = run(RETRY_IMPORTS, "call_provider_api", provider=SimpleNamespace(api_call=api_call))
    assert asyncio.run(call("describe")) == "answer to describe"
    assert calls == ["describe"] * 5
    for number, seconds in enumerate(naps):
        assert 2**number <= seconds <= 2**number + 1  # as tenacity's wait_exponential_jitter has it
    assert len(naps) == 4


def test_after_the_fifth_attempt_the_provider_s_own_error_is_raised(naps: list[float]) -> None:
    async def api_call(_: str) -> str:
        raise RateLimitError(retry_after=7)

    call = run(RETRY_IMPORTS, "call_provider_api", provider=SimpleNamespace(api_call=api_call))
    with pytest.raises(RateLimitError) as error:
        asyncio.run(call("describe"))
    assert error.value.retry_after == 7
    assert len(naps) == 4
    assert min(naps) >= 7


def test_another_error_is_not_retried(naps: list[float]) -> None:
    async def api_call(_: str) -> str:
        raise ServiceUnavailable

    call = run(RETRY_IMPORTS, "call_provider_api", provider=SimpleNamespace(api_call=api_call))
    with pytest.raises(ServiceUnavailable):
        asyncio.run(call("describe"))
    assert naps == []


def test_an_unavailable_service_is_answered_for_from_the_cache() -> None:
    async def down(_: str) -> str:
        raise ServiceUnavailable

    call = run(
        BREAKER_IMPORTS,
        "call_external_service",
        external_service=SimpleNamespace(call=down),
        cached_response=None,
        default_response="default",
    )
    assert asyncio.run(call("x")) == "default"


def test_the_circuit_opens_after_five_failures() -> None:
    calls = []

    async def broken(request: str) -> str:
        calls.append(request)
        raise ConnectionResetError

    call = run(BREAKER_IMPORTS, "call_external_service", external_service=SimpleNamespace(call=broken))

    async def call_often() -> None:
        for _ in range(5):
            with pytest.raises(ConnectionResetError):
                await call("x")
        with pytest.raises(CircuitOpenError) as rejection:
            await call("x")
        assert rejection.value.retry_after == pytest.approx(60, abs=5)

    asyncio.run(call_often())
    assert len(calls) == 5
