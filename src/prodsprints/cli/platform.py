"""The running platform as the command line reaches it: /v1 over HTTP, with the token of one tenant."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from prodsprints.cli.choosing import choose
from prodsprints.cli.errors import ApiError, MissingTokenError, NothingRunsError, NotRunningError
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.settings import Settings

if TYPE_CHECKING:
    import httpx

_ANSWER_SECONDS = 60.0
_RESTART_SECONDS = 3.0
_STREAM_PATIENCE_SECONDS = 120.0
_STREAM_SILENCE_SECONDS = 40.0
_STEADY_SECONDS = 5.0
_RETRY_SECONDS = 0.25

_TOKEN = re.compile(r"[!-~]*")

Json = dict[str, Any]
Parameter = str | int | Sequence[str] | Sequence[int] | None
"""What a query may be given; None leaves the parameter out, a sequence gives it several times."""


class Platform:
    """Asks the platform whose pages answer on this home's address.

    A request that found nobody is tried again for a moment, since a restarted API is back within seconds; every POST
    carries an idempotency key, so that trying again never does a thing twice.
    """

    def __init__(self, settings: Settings, tenant: str = "default") -> None:
        self.settings = settings
        self._tenant = tenant

    @cached_property
    def address(self) -> str:
        """Where the pages are: what `prodsprints up` noted, else what the settings say."""
        try:
            return address_file(self.settings).read_text().strip()
        except OSError:
            return self.settings.address

    def get(self, path: str, **parameters: Parameter) -> Any:
        """The answer to a GET below /v1. Raises NotRunningError, ApiError."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._request("GET", path, params=given)

    def text(self, path: str, **parameters: Parameter) -> str:
        """The answer to a GET below /v1 that is no JSON, as it came. Raises as `get` does."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._response("GET", path, params=given).text

    def content(self, path: str, **parameters: Parameter) -> bytes:
        """The answer to a GET below /v1 as the bytes that came. Raises as `get` does."""
        return self._response("GET", path, params=parameters).content

    def post(self, path: str, body: Json | None = None) -> Json:
        """The answer to a POST below /v1. Raises MissingTokenError, NothingRunsError, NotRunningError, ApiError."""
        if not self._token:
            raise self._without_token()
        answer: Json = self._request("POST", path, json=body or {}, headers={"Idempotency-Key": str(uuid4())})
        return answer

    def delete(self, path: str) -> Json:
        """The answer to a DELETE below /v1. Raises MissingTokenError, NotRunningError, ApiError."""
        if not self._token:
            raise self._without_token()
        answer: Json = self._request("DELETE", path)
        return answer

    def environments(self) -> list[Json]:
        """Every environment of the tenant."""
        return list(_items(self.get("/environments")))

    def projects(self, *, deleted: bool = False) -> list[Json]:
        """Every project of the tenant, or those that were deleted and can be brought back."""
        return list(_items(self.get("/projects", deleted=str(deleted).lower())))

    def environment(self, *, project: str | None, name: str | None) -> Json:
        """The one environment that is meant in this directory. Raises NoSuchEnvironmentError."""
        return choose(self.environments(), project=project, directory=Path.cwd(), name=name)

    def releases(self, *, environment_id: str | None = None, limit: int = 20) -> list[Json]:
        """The newest releases first."""
        return list(_items(self.get("/releases", environment=environment_id, limit=limit)))

    def running_release(self, environment: Json) -> Json:
        """The release that is under way or waits in `environment`. Raises NothingRunsError."""
        for release in reversed(self.releases(environment_id=environment["id"])):
            if release["status"] in {"queued", "running"}:
                return release
        raise NothingRunsError(
            f"No release is under way in {environment['project']}/{environment['name']}.",
            next_step="`prodsprints status` shows what was released.",
        )

    def events(self, release_id: str) -> Iterator[Json]:
        """The live log of a release from its first line to its end."""
        yield from self.follow(f"/releases/{release_id}/events")

    def follow(self, path: str) -> Iterator[Json]:
        """What the stream at `path` below /v1 tells until it ends, over as many connections as it takes."""
        import httpx

        seen, lost_since = 0, None
        while True:
            began = time.monotonic()
            last: ProdSprintsError = self._nobody()
            try:
                for name, sequence, event in self._stream(f"/v1{path}", after=seen):
                    if name == "end":
                        return
                    seen, lost_since = max(seen, sequence), None
                    yield event
            except httpx.TransportError:
                pass
            except ApiError as error:
                if error.problem.get("status") != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
                last = error
            now = time.monotonic()
            if lost_since is None or now - began > _STEADY_SECONDS:
                lost_since = now
            if now - lost_since > _STREAM_PATIENCE_SECONDS:
                raise last
            time.sleep(_RETRY_SECONDS)

    def _stream(self, path: str, *, after: int) -> Iterator[tuple[str, int, Json]]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        with self._client.stream("GET", path, headers=headers, timeout=_STREAM_SILENCE_SECONDS) as response:
            if response.is_error:
                response.read()
                raise ApiError(_problem(response))
            yield from _server_sent_events(response.iter_lines())

    def _request(self, method: str, path: str, **arguments: Any) -> Any:
        response = self._response(method, path, **arguments)
        return response.json() if response.content else {}

    def _response(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        import httpx

        deadline = time.monotonic() + (_RESTART_SECONDS if address_file(self.settings).exists() else 0)
        while True:
            try:
                response = self._client.request(method, f"/v1{path}", **arguments)
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise self._nobody() from error
            else:
                in_flight = (
                    response.status_code == httpx.codes.CONFLICT and _problem(response).get("code") == _IN_FLIGHT
                )
                if not in_flight or time.monotonic() > deadline:
                    break
            time.sleep(_RETRY_SECONDS)
        if response.is_error:
            raise ApiError(_problem(response))
        return response

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        # No proxy from the environment: the token goes to the platform and to nobody else.
        return httpx.Client(base_url=self.address, headers=headers, timeout=_ANSWER_SECONDS, trust_env=False)

    @cached_property
    def _token(self) -> str:
        """The tenant's token; empty where there is none, with which the default tenant can still be read."""
        source, token = "PRODSPRINTS_TOKEN", os.environ.get("PRODSPRINTS_TOKEN", "")
        if not token:
            file = token_file(self.settings, self._tenant)
            with contextlib.suppress(OSError):
                source, token = str(file), file.read_text(errors="replace").strip()
        if not token and self._tenant != "default":
            raise self._without_token()
        if not _TOKEN.fullmatch(token):
            raise MissingTokenError(
                f"What {source} holds is no token.",
                why="A token is one word of printable ASCII characters.",
                next_step="Set it to a token, or to nothing."
                if source == "PRODSPRINTS_TOKEN"
                else "Start `prodsprints up` again: it replaces what is no token of its database.",
            )
        return token

    def _without_token(self) -> MissingTokenError:
        made = "`prodsprints up` writes it; or set" if self._tenant == "default" else "Ask its owner for one, and set"
        return MissingTokenError(
            f"There is no token for the tenant {self._tenant!r} on this machine.",
            why=f"{token_file(self.settings, self._tenant)} is not there or may not be read.",
            next_step=f"{made} PRODSPRINTS_TOKEN.",
        )

    def _nobody(self) -> NotRunningError:
        return NotRunningError(
            f"No platform answers at {self.address}.",
            next_step="Start it with `prodsprints up` in another terminal, then try again.",
        )


def address_file(settings: Settings) -> Path:
    """Where a running `prodsprints up` notes its address."""
    return settings.home / "run" / "address"


def token_file(settings: Settings, tenant: str) -> Path:
    """The token with which this machine's user acts for `tenant`."""
    return settings.home / "secrets" / ("api-token" if tenant == "default" else f"api-token.{tenant}")


def _items(answer: Any) -> list[Json]:
    items: list[Json] = answer["items"]
    return items


_IN_FLIGHT = "web/idempotency-in-flight"


def _problem(response: httpx.Response) -> Json:
    try:
        document = response.json()
    except ValueError:
        document = None
    if isinstance(document, dict) and "title" in document:
        return document
    return {
        "title": "Another program answers there",
        "status": response.status_code,
        "detail": f"{response.request.url} answered {response.status_code}, and not as ProdSprints would.",
        "next_step": "Check PRODSPRINTS_HOME and PRODSPRINTS_PORT, and what listens there.",
    }


def _server_sent_events(lines: Iterator[str]) -> Iterator[tuple[str, int, Json]]:
    """Each event of a stream as (name, sequence number, data); comments and empty events are skipped."""
    name, sequence, data = "message", 0, ""
    for line in lines:
        if not line:
            if data or name == "end":
                yield name, sequence, json.loads(data) if data else {}
            name, data = "message", ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "id" and value.isdecimal():
            sequence = int(value)
        elif field == "data":
            data += value
