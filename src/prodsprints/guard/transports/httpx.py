"""httpx through a guard: transports for `httpx.Client` and `httpx.AsyncClient`.

    client = httpx.Client(transport=GuardedTransport(Guard.for_provider("github")))

Every request of the client is one guarded call: a 429 freezes the key and is made again after Retry-After, a 5xx and a
connection that fails count for the breaker, and no attempt outlives its time-out and the deadline, its answer's body
included. What the provider answers otherwise is passed on as it came.

Made again, whatever its method, is what was certainly not done: a throttled request, and one whose connection was
refused. What may have been done is made again only where asking twice is safe (GET, PUT and their like), unless
`repeat_unsafe` says so. A body that is no bytes (a file, a generator) is never sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx

from prodsprints.guard.attempt import Attempt
from prodsprints.guard.errors import CallTimeoutError, GuardError, RateLimitError, ServiceUnavailable
from prodsprints.guard.guard import Guard
from prodsprints.guard.profiles import Profile, profiles
from prodsprints.guard.transports.answers import UnansweredError, error_of, is_safe

_LONGEST_WORDS_BYTES = 65_536
# Nothing was sent, so that nothing can have been done.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
# The client gives up a little before the guard would cut it off: its error says what it waited for.
_SHARE = 0.95
_SHORTEST_SECONDS = 0.001


class GuardedTransport(httpx.BaseTransport):
    """Sends by `transport` (httpx's own, if none is given) within `guard`.

    What the provider's answers mean is told by `profile`, else by the profile of the guard's name, else as HTTP has it.
    Nobody can interrupt a synchronous read: one that brings a byte now and then may outlive its time.
    """

    def __init__(
        self,
        guard: Guard,
        transport: httpx.BaseTransport | None = None,
        *,
        profile: Profile | None = None,
        repeat_unsafe: bool = False,
    ) -> None:
        self._transport = transport or httpx.HTTPTransport()
        self._terms = _Terms(profile or _profile_of(guard), repeat_unsafe)
        self._send = guard.with_attempt(self._attempt)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Raises GuardError."""
        return self._send(request, _watched(request), request.extensions.get("timeout", {}))

    def close(self) -> None:
        self._transport.close()

    def _attempt(
        self, attempt: Attempt, request: httpx.Request, body: _Once | None, stated: _Timeouts
    ) -> httpx.Response:
        request.extensions = {**request.extensions, "timeout": _Shrinking(stated, attempt)}
        begun = _Begun()
        try:
            response = self._transport.handle_request(request)
            if self._terms.reads(response):
                for chunk in begun.of(response.stream):
                    if begun.enough(chunk):
                        break
        except httpx.TransportError as error:
            raise self._terms.lost(request, body, error) from error
        wrong = self._terms.wrong(request, body, response, begun.text(response))
        if wrong is not None:
            response.close()
            raise wrong
        response.stream = _Answer(response.stream, begun, attempt, request.url.host)
        return response


class AsyncGuardedTransport(httpx.AsyncBaseTransport):
    """As GuardedTransport, for `httpx.AsyncClient`; a guard serves one event loop."""

    def __init__(
        self,
        guard: Guard,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        profile: Profile | None = None,
        repeat_unsafe: bool = False,
    ) -> None:
        self._transport = transport or httpx.AsyncHTTPTransport()
        self._terms = _Terms(profile or _profile_of(guard), repeat_unsafe)
        self._send = guard.with_attempt(self._attempt)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Raises GuardError."""
        return await self._send(request, _watched(request), request.extensions.get("timeout", {}))

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _attempt(
        self, attempt: Attempt, request: httpx.Request, body: _Once | None, stated: _Timeouts
    ) -> httpx.Response:
        request.extensions = {**request.extensions, "timeout": _Shrinking(stated, attempt)}
        begun = _Begun()
        try:
            response = await self._transport.handle_async_request(request)
            if self._terms.reads(response):
                async for chunk in begun.of_async(response.stream):
                    if begun.enough(chunk):
                        break
        except httpx.TransportError as error:
            raise self._terms.lost(request, body, error) from error
        wrong = self._terms.wrong(request, body, response, begun.text(response))
        if wrong is not None:
            await response.aclose()
            raise wrong
        response.stream = _Answer(response.stream, begun, attempt, request.url.host)
        return response


_Timeouts = Mapping[str, float | None]


class _Shrinking(dict[str, float | None]):
    """The time-outs of a request's phases, none longer than what is left of its attempt when the phase begins."""

    def __init__(self, stated: _Timeouts, attempt: Attempt) -> None:
        super().__init__(stated)
        self._attempt = attempt

    def get(self, phase: str, default: Any = None) -> float:
        stated = super().get(phase, default)
        left = max(self._attempt.remaining_seconds * _SHARE, _SHORTEST_SECONDS)
        return left if stated is None else min(stated, left)


class _Once(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that may be readable only once, which knows whether it was begun."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.begun = False

    def __iter__(self) -> Iterator[bytes]:
        self.begun = True
        yield from self._stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.begun = True
        async for chunk in self._stream:
            yield chunk


class _Begun:
    """What was read already of an answer's body, because only that says what the answer means."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.rest: Any = None

    def of(self, stream: Any) -> Iterator[bytes]:
        self.rest = iter(stream)
        return self.rest  # type: ignore[no-any-return]

    def of_async(self, stream: Any) -> AsyncIterator[bytes]:
        self.rest = aiter(stream)
        return self.rest  # type: ignore[no-any-return]

    def enough(self, chunk: bytes) -> bool:
        """Keep `chunk`; true once no error message would be longer."""
        self.chunks.append(chunk)
        return sum(map(len, self.chunks)) > _LONGEST_WORDS_BYTES

    def text(self, response: httpx.Response) -> str:
        if not self.chunks:
            return ""
        raw = httpx.ByteStream(b"".join(self.chunks))
        try:
            return (
                httpx.Response(response.status_code, headers=response.headers, stream=raw)
                .read()
                .decode(errors="replace")
            )
        except httpx.DecodingError:
            return ""


class _Answer(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The answer's body, within the time of its attempt."""

    def __init__(self, stream: Any, begun: _Begun, attempt: Attempt, host: str) -> None:
        self._stream = stream
        self._begun = begun
        self._attempt = attempt
        self._host = host

    def __iter__(self) -> Iterator[bytes]:
        yield from self._begun.chunks
        for chunk in self._begun.rest or self._begun.of(self._stream):
            if self._attempt.remaining_seconds <= 0:
                raise self._late()
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._begun.chunks:
            yield chunk
        rest = self._begun.rest or self._begun.of_async(self._stream)
        while True:
            try:
                async with asyncio.timeout(self._attempt.remaining_seconds) as limit:
                    following = await anext(rest, None)
            except TimeoutError:
                if limit.expired():
                    raise self._late() from None
                raise
            if following is None:
                return
            yield following

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _late(self) -> CallTimeoutError:
        return CallTimeoutError(
            f"The answer of {self._host} did not end in time.",
            next_step="Try again later, or give the guard a longer time-out for what is large.",
        )


class _Terms:
    """What an answer or a failure of this provider means, and whether its request may be made again."""

    def __init__(self, profile: Profile, repeat_unsafe: bool) -> None:
        self._profile = profile
        self._repeat_unsafe = repeat_unsafe

    def reads(self, response: httpx.Response) -> bool:
        """Whether only the body says what this answer means."""
        return response.status_code in self._profile.throttled_words

    def wrong(
        self, request: httpx.Request, body: _Once | None, response: httpx.Response, words: str
    ) -> GuardError | None:
        """The error that this answer means, if it means one."""
        host, status = request.url.host, response.status_code
        error = error_of(self._profile, status, response.headers, host=host, words=words)
        if error is not None:
            self._mark(error, request, body, done=not isinstance(error, RateLimitError))
        return error

    def lost(self, request: httpx.Request, body: _Once | None, error: httpx.TransportError) -> GuardError:
        """What to raise for a connection that failed."""
        sent = not isinstance(error, _NOT_SENT)
        slow = sent and isinstance(error, httpx.TimeoutException)
        host, why = request.url.host, f"{type(error).__name__}: {error}".removesuffix(": ") + "."
        if slow:
            found: GuardError = UnansweredError(f"{host} does not answer in time.", why=why)
        elif sent:
            found = ServiceUnavailable(f"The connection to {host} failed.", why=why)
        else:
            found = ServiceUnavailable(
                f"{host} cannot be reached.", why=why, next_step="Check the address, the network and DNS."
            )
        self._mark(found, request, body, done=sent)
        return found

    def _mark(self, error: GuardError, request: httpx.Request, body: _Once | None, *, done: bool) -> None:
        if done and not self._repeat_unsafe and not is_safe(request.method):
            error.repeatable = False
            error.next_step = "It may have been done: look before you ask again."
        elif body is not None and body.begun:
            error.repeatable = False
            error.next_step = "Its body was a stream, which is read once: give bytes, and it is tried again by itself."


def _watched(request: httpx.Request) -> _Once | None:
    if isinstance(request.stream, httpx.ByteStream):
        return None
    request.stream = body = _Once(request.stream)
    return body


def _profile_of(guard: Guard) -> Profile:
    return profiles().get(guard.name) or Profile(guard.name)
