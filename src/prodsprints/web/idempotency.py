"""Idempotency-Key: a request that is sent twice acts once, also when the server died in between."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.problems import problem
from prodsprints.store.database import Database, one
from prodsprints.web.errors import IdempotencyInFlightError, IdempotencyMismatchError

# A request without an answer for this long belongs to a server that died; the next one may try again.
_ABANDONED_SECONDS = 60
_KEPT = "1 day"


@dataclass(frozen=True)
class Answer:
    """What a request was answered; `replayed` when that happened at an earlier request."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


def once(db: Database, tenant_id: UUID, key: str | None, request: Any, perform: Callable[[UUID], Answer]) -> Answer:
    """`perform`'s answer, or the recorded one if `key` was seen before. `request` is what makes two requests equal.

    `perform` gets an id that is the same for each try under one key: what it creates under that id exists once. Our
    refusals are recorded like answers; failures of the server are not, so that the same key can be tried again.
    """
    if key is None:
        return perform(uuid4())
    fingerprint = hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).digest()
    begun = _begin(db, tenant_id, key, fingerprint)
    if isinstance(begun, Answer):
        return begun
    try:
        answer = perform(begun)
    except ProdSprintsError as error:
        if error.http_status >= 500:
            _abandon(db, tenant_id, key)
            raise
        answer = Answer(error.http_status, problem(error))
    except BaseException:
        _abandon(db, tenant_id, key)
        raise
    _record(db, tenant_id, key, answer)
    return answer


def _begin(db: Database, tenant_id: UUID, key: str, fingerprint: bytes) -> Answer | UUID:
    """The recorded answer, or the id to act under if the request is ours to perform."""
    with db.tenant(tenant_id) as connection:
        connection.execute("delete from idempotency_keys where created_at < now() - %s::interval", [_KEPT])
        id = uuid4()
        fresh = connection.execute(
            "insert into idempotency_keys (key, fingerprint, body) values (%s, %s, %s) on conflict do nothing",
            [key, fingerprint, Jsonb({"id": str(id)})],
        )
        if fresh.rowcount:
            return id
        row = one(
            connection.execute(
                """
                select fingerprint, status, body, created_at <= now() - make_interval(secs => %s) as abandoned
                from idempotency_keys where key = %s for update
                """,
                [_ABANDONED_SECONDS, key],
            ).fetchone()
        )
        if row["fingerprint"] != fingerprint:
            raise IdempotencyMismatchError(
                "This Idempotency-Key was used for another request.", next_step="Use a new key for each new request."
            )
        if row["status"] is not None:
            return Answer(row["status"], row["body"], replayed=True)
        if not row["abandoned"]:
            raise IdempotencyInFlightError(
                "The first request with this Idempotency-Key is still being answered.",
                next_step="Wait a moment and send the same request again.",
            )
        connection.execute("update idempotency_keys set created_at = now() where key = %s", [key])
        return UUID(row["body"]["id"])


def _record(db: Database, tenant_id: UUID, key: str, answer: Answer) -> None:
    with db.tenant(tenant_id) as connection:
        connection.execute(
            "update idempotency_keys set status = %s, body = %s where key = %s",
            [answer.status, Jsonb(answer.body), key],
        )


def _abandon(db: Database, tenant_id: UUID, key: str) -> None:
    with db.tenant(tenant_id) as connection:
        connection.execute(
            "update idempotency_keys set created_at = now() - make_interval(secs => %s) where key = %s",
            [_ABANDONED_SECONDS, key],
        )
