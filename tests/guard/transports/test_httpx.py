"""httpx through a guard, against real servers: what is made again, what is not, and that nobody waits too long."""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from guard.transports.support_server import Answer, answering
from prodsprints.guard import (
    CallTimeoutError,
    CircuitBreaker,
    CircuitOpenError,
    Guard,
    GuardMisusedError,
    Outcome,
    Profile,
    RateLimitError,
    Retry,
    ServiceUnavailable,
    profile,
)
from prodsprints.guard.transports.httpx import AsyncGuardedTransport, GuardedTransport

DOWN = Answer(503, b"later")
Ask = Callable[..., httpx.Response]
GITHUB, GCP, ACME = profile("github"), profile("gcp-compute"), profile("lets-encrypt")


def guarded(**options: Any) -> Guard:
    settings: dict[str, Any] = {"retry": Retry(wait=lambda _: 0.0), "deadline_seconds": 20, "freeze_seconds": 0.01}
    return Guard("peer", **(settings | options))


def sync(guard: Guard, url: str, method: str = "GET", *, terms: dict[str, Any], **request: Any) -> httpx.Response:
    with httpx.Client(transport=GuardedTransport(guard, **terms)) as client:
        return client.request(method, url, **request)


def asynchronous(
    guard: Guard, url: str, method: str = "GET", *, terms: dict[str, Any], **request: Any
) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=AsyncGuardedTransport(guard, **terms)) as client:
            return await client.request(method, url, **request)

    return asyncio.run(ask())


@pytest.fixture(params=[sync, asynchronous], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    def asking(guard: Guard, url: str, method: str = "GET", *, terms: Any = None, **more: Any) -> httpx.Response:
        answer: httpx.Response = request.param(guard, url, method, terms=terms or {}, **more)
        return answer

    return asking


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that refuses connections."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_an_answer_passes_as_it_came(ask: Ask) -> None:
    with answering([Answer(404, b'{"no": 1}', {"X-Odd": "1"})]) as server:
        guard = guarded()
        answer = ask(guard, server.url + "/a?b=1")
    assert (answer.status_code, answer.json(), answer.headers["x-odd"]) == (404, {"no": 1}, "1")
    assert guard.snapshot().count(Outcome.SUCCEEDED) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_throttled_request_is_made_again_after_retry_after_whatever_its_method(ask: Ask, method: str) -> None:
    with answering([Answer(429, headers={"Retry-After": "1"}), Answer()]) as server:
        guard = guarded()
        assert ask(guard, server.url, method).content == b"fine"
    assert server.times[1] - server.times[0] >= 1.0
    snapshot = guard.snapshot()
    assert (snapshot.throttled, snapshot.retries, snapshot.circuit) == (1, 1, "closed")


@pytest.mark.parametrize(("method", "requests"), [("GET", 3), ("PUT", 3), ("POST", 1)])
def test_only_what_is_safe_to_ask_twice_is_asked_again_when_a_provider_fails(
    ask: Ask, method: str, requests: int
) -> None:
    with answering([DOWN, DOWN, Answer()]) as server:
        guard = guarded()
        if requests == 1:
            with pytest.raises(ServiceUnavailable, match="may have been done"):
                ask(guard, server.url, method, content=b"body")
        else:
            assert ask(guard, server.url, method, content=b"body").status_code == 200
    assert server.seen == [(method, b"body")] * requests
    assert guard._layers.breaker.failures_in_a_row == (1 if requests == 1 else 0)


def test_who_says_so_asks_unsafe_ones_again_too(ask: Ask) -> None:
    with answering([DOWN, Answer()]) as server:
        assert ask(guarded(), server.url, "POST", terms={"repeat_unsafe": True}, content=b"body").status_code == 200
    assert server.seen == [("POST", b"body")] * 2


def test_a_refused_connection_is_unavailable_and_opens_the_breaker(ask: Ask, nobody: str) -> None:
    guard = guarded(breaker=CircuitBreaker(failure_threshold=3), retry=Retry(wait=lambda _: 0.0))
    with pytest.raises(CircuitOpenError):  # three attempts are made, the fourth is shed
        ask(guard, nobody, "POST", content=b"body")
    assert guard.snapshot().trips == 1


def test_a_refused_connection_says_who_cannot_be_reached(ask: Ask, nobody: str) -> None:
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1 cannot be reached") as caught:
        ask(guarded(retry=Retry.never()), nobody + "/?token=secret")
    assert "secret" not in str(caught.value)


def test_a_connection_that_is_hung_up_is_made_again_if_it_is_safe(ask: Ask) -> None:
    with answering([Answer(cut=True), Answer()]) as server:
        assert ask(guarded(), server.url).status_code == 200
    with answering([Answer(cut=True), Answer()]) as server:
        with pytest.raises(ServiceUnavailable, match=r"connection to 127\.0\.0\.1 failed"):
            ask(guarded(), server.url, "POST")
        assert len(server.seen) == 1


def test_a_provider_that_hangs_ends_with_the_attempt_s_time_and_all_of_them_with_the_deadline(ask: Ask) -> None:
    with answering([Answer(wait_seconds=30)]) as server:
        guard = guarded(timeout_seconds=0.2, deadline_seconds=0.7)
        began = time.monotonic()
        with pytest.raises(CallTimeoutError):
            ask(guard, server.url, timeout=None)
        assert time.monotonic() - began < 10
        assert len(server.seen) >= 2
    assert guard.snapshot().count(Outcome.TIMED_OUT) == 1


def test_a_client_s_own_shorter_time_out_counts(ask: Ask) -> None:
    with answering([Answer(wait_seconds=30)]) as server:
        began = time.monotonic()
        with pytest.raises(CallTimeoutError):
            ask(guarded(retry=Retry.never()), server.url, timeout=0.1)
        assert time.monotonic() - began < 10


def test_a_body_that_drips_does_not_outlive_the_attempt(ask: Ask) -> None:
    with answering([Answer(body=b"x" * 1000, drip_seconds=0.02)]) as server:
        began = time.monotonic()
        with pytest.raises(CallTimeoutError, match="did not end in time"):
            ask(guarded(timeout_seconds=0.3), server.url)
        assert time.monotonic() - began < 10


def test_a_truncated_body_is_httpx_s_own_error(ask: Ask) -> None:
    with (
        answering([Answer(body=b"half", headers={"Content-Length": "8", "Connection": "close"})]) as server,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        ask(guarded(), server.url)


@pytest.mark.parametrize("value", ["31536000", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_retry_after_of_years_is_raised_at_once_and_freezes_for_as_long_as_is_believed(ask: Ask, value: str) -> None:
    with answering([Answer(429, headers={"Retry-After": value}), Answer()]) as server:
        guard = guarded(longest_freeze_seconds=60)
        began = time.monotonic()
        with pytest.raises(RateLimitError) as caught:
            ask(guard, server.url)
        assert time.monotonic() - began < 10
        assert caught.value.retry_after is not None and caught.value.retry_after > 86_400
        [bucket] = guard._layers.keys.quotas.values()
        assert 0 < bucket.frozen_until - time.monotonic() <= 60
        assert len(server.seen) == 1


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "1e9", "Thu, 99 Foo 2024 25:61:61 GMT", "9" * 100, ""])
def test_a_malformed_retry_after_says_nothing(ask: Ask, value: str) -> None:
    with answering([Answer(429, headers={"Retry-After": value}), Answer()]) as server:
        assert ask(guarded(), server.url).status_code == 200


def test_github_s_spent_quota_is_a_matter_of_rate_and_lasts_until_its_reset(ask: Ask) -> None:
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 1000)}
    with answering([Answer(403, headers=spent)]) as server:
        guard = guarded(longest_freeze_seconds=3600)
        with pytest.raises(RateLimitError) as caught:
            ask(guard, server.url, terms={"profile": GITHUB})
        assert caught.value.retry_after == pytest.approx(1000, abs=5)
        assert guard.snapshot().frozen_keys == ("",)
    with answering([Answer(403, headers={"Retry-After": "1"}), Answer()]) as server:
        assert ask(guarded(), server.url, terms={"profile": GITHUB}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-RateLimit-Remaining": "10"}, {"X-RateLimit-Remaining": "none"}, {"X-RateLimit-Remaining": "0" * 50}],
)
def test_any_other_403_is_the_caller_s_to_read(ask: Ask, headers: dict[str, str]) -> None:
    with answering([Answer(403, headers=headers)]) as server:
        assert ask(guarded(), server.url, terms={"profile": GITHUB}).status_code == 403


def test_a_reset_that_is_no_time_is_no_wait(ask: Ask) -> None:
    for reset in ("soon", "9" * 40, ""):
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        with answering([Answer(403, headers=headers), Answer()]) as server:
            assert ask(guarded(), server.url, terms={"profile": GITHUB}).status_code == 200


def test_a_word_in_the_answer_may_say_it_and_the_answer_stays_readable(ask: Ask) -> None:
    limited = json.dumps({"error": {"reason": "rateLimitExceeded"}}).encode()
    with answering([Answer(403, limited), Answer()]) as server:
        assert ask(guarded(), server.url, terms={"profile": GCP}).status_code == 200
    for other in (b'{"error": "forbidden"}', b"x" * 200_000):
        with answering([Answer(403, other)]) as server:
            answer = ask(guarded(), server.url, terms={"profile": GCP})
            assert (answer.status_code, answer.content) == (403, other)


def test_a_503_with_retry_after_is_throttling_where_the_profile_says_so(ask: Ask) -> None:
    with answering([Answer(503, headers={"Retry-After": "1"}), Answer()]) as server:
        guard = guarded()
        assert ask(guard, server.url, terms={"profile": ACME}).status_code == 200
        assert guard.snapshot().throttled == 1


def test_the_profile_of_the_guard_s_name_counts_where_none_is_given() -> None:
    with answering([Answer(403, headers={"Retry-After": "1"}), Answer()]) as server:
        guard = Guard("github", retry=Retry(wait=lambda _: 0.0))
        assert sync(guard, server.url, terms={}).status_code == 200


def one_by_one() -> Iterator[bytes]:
    yield from (b"a", b"b")


async def one_by_one_async() -> AsyncIterator[bytes]:
    for part in (b"a", b"b"):
        yield part


@pytest.mark.parametrize("status", [429, 503])
def test_a_body_that_is_read_once_is_never_sent_twice(ask: Ask, request: pytest.FixtureRequest, status: int) -> None:
    stream = one_by_one if request.node.callspec.params["ask"] is sync else one_by_one_async
    with answering([Answer(status), Answer()]) as server:
        guard = guarded()
        with pytest.raises((RateLimitError, ServiceUnavailable), match="give bytes"):
            ask(guard, server.url, "PUT", content=stream())
        assert [body for _, body in server.seen] == [b"ab"]
        assert guard.snapshot().retries == 0


def test_a_file_is_sent_whole_or_not_again() -> None:
    with answering([DOWN, Answer()]) as server:
        with pytest.raises(ServiceUnavailable, match="give bytes"):
            sync(guarded(), server.url, "PUT", terms={}, content=io.BytesIO(b"whole"))
        assert [body for _, body in server.seen] == [b"whole"]


def test_a_stream_that_was_not_begun_is_sent_after_a_refused_connection() -> None:
    """Nothing was read of it, so it can still be sent."""
    refusals = [httpx.ConnectError("refused")]

    class Flaky(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if refusals:
                raise refusals.pop()
            return super().handle_request(request)

    with answering([Answer()]) as server:
        assert sync(guarded(), server.url, "POST", terms={"transport": Flaky()}, content=one_by_one()).is_success
        assert server.seen == [("POST", b"ab")]


def test_a_streamed_answer_can_be_streamed() -> None:
    with answering([Answer(body=b"x" * 300_000)]) as server:
        with (
            httpx.Client(transport=GuardedTransport(guarded())) as client,
            client.stream("GET", server.url) as answer,
        ):
            assert sum(len(chunk) for chunk in answer.iter_raw(10_000)) == 300_000

        async def stream() -> int:
            async with (
                httpx.AsyncClient(transport=AsyncGuardedTransport(guarded())) as client,
                client.stream("GET", server.url) as answer,
            ):
                return sum([len(chunk) async for chunk in answer.aiter_raw(10_000)])

        assert asyncio.run(stream()) == 300_000


def test_two_event_loops_may_not_share_a_transport_s_guard() -> None:
    with answering([Answer()]) as server:
        guard = guarded()
        transport = AsyncGuardedTransport(guard)

        async def other_loop() -> None:
            with pytest.raises(GuardMisusedError, match=r"another event loop|event loop and by threads"):
                await asyncio.to_thread(lambda: asynchronous(guard, server.url, terms={}))

        async def both() -> None:
            async with httpx.AsyncClient(transport=transport) as client:
                assert (await client.get(server.url)).is_success
                await other_loop()
                assert (await client.get(server.url)).is_success

        asyncio.run(both())


def _in_child(guard: Guard, url: str, found: Any) -> None:
    try:
        sync(guard, url, terms={})
    except GuardMisusedError as error:
        found.put(str(error))
    else:
        found.put("answered")


def test_a_fork_may_not_spend_its_parent_s_quota_through_a_transport() -> None:
    with answering([Answer()]) as server:
        guard = guarded()
        assert sync(guard, server.url, terms={}).is_success
        fork = multiprocessing.get_context("fork")
        found = fork.Queue()
        child = fork.Process(target=_in_child, args=(guard, server.url, found))
        child.start()
        assert "before the process forked" in found.get(timeout=20)
        child.join()


def test_circuit_and_counts_are_those_of_the_guard(ask: Ask) -> None:
    with answering([DOWN]) as server:
        guard = guarded(breaker=CircuitBreaker(failure_threshold=2, recovery_timeout=60), retry=Retry.never())
        for _ in range(2):
            with pytest.raises(ServiceUnavailable):
                ask(guard, server.url)
        with pytest.raises(CircuitOpenError):
            ask(guard, server.url)
        assert len(server.seen) == 2


def test_a_profile_without_unavailable_statuses_leaves_them_to_the_caller(ask: Ask) -> None:
    with answering([DOWN]) as server:
        assert ask(guarded(), server.url, terms={"profile": Profile("mine", unavailable=())}).status_code == 503
