"""botocore and boto3 through a guard: each request of a client is one guarded call, in place of botocore's own retries.

    guard = Guard.for_provider("aws-ec2")
    ec2 = guarded(session.create_client("ec2", config=config_for(guard)), guard)

Throttling codes, which AWS mostly sends with status 400, are a RateLimitError; a 5xx and a lost connection are
ServiceUnavailable. Every other refusal is botocore's own ClientError, as before. Made again is what was certainly not
done (throttled; no connection), and what is safe to ask twice: operations that only read, and those that AWS makes
idempotent by a token, which all attempts share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from botocore import exceptions
from botocore.config import Config

from prodsprints.guard.attempt import Attempt
from prodsprints.guard.errors import GuardError, GuardInputError, RateLimitError, ServiceUnavailable
from prodsprints.guard.guard import Guard
from prodsprints.guard.transports.answers import UnansweredError

# As botocore's standard retry mode has them.
THROTTLED = frozenset({
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
    "TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException",
    "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "SlowDown", "PriorRequestNotComplete",
    "EC2ThrottledException",
})  # fmt: skip
_TOO_MANY_REQUESTS = 429
_READS = ("Get", "List", "Describe", "Head", "BatchGet", "Scan", "Query", "Lookup", "Search")
_NOT_SENT = (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError, exceptions.ProxyConnectionError)
_SHORTEST_SECONDS = 0.001

Client = TypeVar("Client")


def config_for(guard: Guard, **options: Any) -> Config:
    """The configuration of a client for `guard`: its time-outs, and no retries of botocore's own."""
    seconds = guard.attempt_seconds
    return Config(connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 1}, **options)


def guarded(client: Client, guard: Guard) -> Client:
    """`client` itself, whose requests from now on go through `guard`; its own retries are taken out.

    Raises GuardInputError for a client that waits longer than the guard lets an attempt take (nobody can interrupt it),
    and for one in the adaptive retry mode, which waits by itself.
    """
    inner: Any = client
    _refuse_other_waits(inner, guard)
    service = inner.meta.service_model.service_id.hyphenize()
    inner.meta.events.unregister(f"needs-retry.{service}", unique_id=f"retry-config-{service}")
    endpoint = inner._endpoint  # no public name leads to where requests are made again with a new signature
    if getattr(endpoint, "guard", None) is not None:
        raise GuardInputError("This client has a guard already.", next_step="Guard each client once.")
    endpoint.guard = guard
    endpoint.make_request = _Requests(endpoint.make_request, guard)
    return client


def _refuse_other_waits(client: Any, guard: Guard) -> None:
    config = client.meta.config
    if (config.retries or {}).get("mode") == "adaptive":
        raise GuardInputError(
            "This client is in botocore's adaptive retry mode, which waits by itself.",
            next_step="Build it with config_for(guard).",
        )
    for name in ("connect_timeout", "read_timeout"):
        seconds = getattr(config, name)
        if seconds is None or seconds > guard.attempt_seconds:
            raise GuardInputError(
                f"This client's {name} is {seconds} s, and the guard gives an attempt {guard.attempt_seconds:g} s.",
                why="A call that botocore waits in cannot be interrupted.",
                next_step="Build the client with config_for(guard).",
            )


class _Requests:
    """Takes the place of an endpoint's `make_request`."""

    def __init__(self, make: Any, guard: Guard) -> None:
        self._make = make
        self._send = guard.with_attempt(self._attempt)

    def __call__(self, operation: Any, request: dict[str, Any]) -> Any:
        return self._send(operation, request, _Body(request))

    def _attempt(self, attempt: Attempt, operation: Any, request: dict[str, Any], body: _Body) -> Any:
        body.rewind()
        stated = request["context"]["client_config"].read_timeout
        request["context"]["read_timeout"] = max(min(stated, attempt.remaining_seconds), _SHORTEST_SECONDS)
        try:
            answer = self._make(operation, request)
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise _marked(_lost(operation, error), operation, body, sent=not isinstance(error, _NOT_SENT)) from error
        wrong = _wrong(operation, *answer)
        if wrong is not None:
            raise _marked(wrong, operation, body, sent=not isinstance(wrong, RateLimitError))
        return answer


class _Body:
    """A request's body, over all attempts: whether it can be sent once more."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        body = request.get("body")
        self._file: Any = body if hasattr(body, "read") else None
        self._start = 0
        self.again = self._file is not None or isinstance(body, (str, bytes, bytearray, Mapping, type(None)))
        if self._file is not None:
            try:
                self._start = self._file.tell()
                self._file.seek(self._start)
            except (OSError, AttributeError):
                self._file, self.again = None, False

    def rewind(self) -> None:
        if self._file is not None:
            self._file.seek(self._start)


def _wrong(operation: Any, http: Any, parsed: Mapping[str, Any]) -> GuardError | None:
    """The error that an answer means to the guard, if it means one."""
    if http.status_code < 300:
        return None
    said = parsed.get("Error", {})
    code, words = str(said.get("Code", "")), str(said.get("Message", ""))[:300]
    name, waits = _name(operation), http.headers.get("Retry-After")
    why = f"{code}: {words}" if words else code
    if http.status_code == _TOO_MANY_REQUESTS or code in THROTTLED:
        return RateLimitError(waits, what=f"AWS throttles {name}.", why=why)
    if http.status_code >= 500:
        return ServiceUnavailable(f"AWS answers {http.status_code} to {name}.", retry_after=waits, why=why)
    return None


def _lost(operation: Any, error: Exception) -> GuardError:
    why = f"botocore says {type(error).__name__}."  # its own words hold the whole address
    if isinstance(error, _NOT_SENT):
        return ServiceUnavailable(
            f"AWS cannot be reached for {_name(operation)}.",
            why=why,
            next_step="Check the region, the endpoint, the network and DNS.",
        )
    if isinstance(error, exceptions.ReadTimeoutError):
        return UnansweredError(f"AWS does not answer {_name(operation)} in time.", why=why)
    return ServiceUnavailable(f"The connection to AWS for {_name(operation)} failed.", why=why)


def _marked(error: GuardError, operation: Any, body: _Body, *, sent: bool) -> GuardError:
    if sent and not (operation.name.startswith(_READS) or operation.idempotent_members):
        error.repeatable = False
        error.next_step = "It may have been done: look before you ask again."
    elif not body.again:
        error.repeatable = False
        error.next_step = "Its body was a stream, which is read once: give bytes, and it is tried again by itself."
    return error


def _name(operation: Any) -> str:
    return f"{operation.service_model.service_id} {operation.name}"
