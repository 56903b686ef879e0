"""What a tenant watches: the services that it declared, and those that the platform knows of by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

import psycopg

from prodsprints.controls.integrations import addresses
from prodsprints.controls.integrations.errors import (
    NameTakenError,
    OwnPartError,
    ServiceInputError,
    TooManyServicesError,
    UnknownServiceError,
)
from prodsprints.controls.integrations.health import Level, Outcome, Standing, Trouble
from prodsprints.incidents import typed
from prodsprints.store.database import Connection, Database, patient

Kind = Literal["platform", "integration", "declared"]

INTERVAL_SECONDS = 30.0
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 3600.0
MOST_SERVICES = 50
LONGEST_NAME = 60


@dataclass(frozen=True)
class Service:
    """One service that is watched, and how it stood at the last look.

    `url` and `expected_status` are those of a declared one; without a status any 2xx will do. `seen_words` is what
    was wrong at the last look.
    """

    id: UUID
    kind: Kind
    key: str
    name: str
    url: str | None
    expected_status: int | None
    interval_seconds: float
    is_public: bool
    standing: Standing
    seen_seconds: float | None
    seen_words: str
    created_at: datetime


@patient
def services(db: Database, tenant_id: UUID) -> list[Service]:
    """All of them, by kind and name."""
    with db.tenant(tenant_id) as connection:
        return read(connection)


def read(connection: Connection, ids: list[UUID] | None = None) -> list[Service]:
    """As `services`, in a transaction of somebody else's; with `ids` those, kept from change until it ends."""
    if ids is None:
        rows = connection.execute(_SERVICES + "order by array_position(%s, kind), key", [_KINDS]).fetchall()
    else:
        rows = connection.execute(_SERVICES + "where id = any (%s) order by id for update", [ids]).fetchall()
    return [_service(row) for row in rows]


def watch(
    db: Database,
    tenant_id: UUID,
    *,
    id: UUID,
    name: str,
    url: str,
    expected_status: int | None,
    interval_seconds: float,
    is_public: bool,
    inward: bool,
    resolve: Callable[[str], tuple[str, ...]],
) -> Service:
    """Declare a service. Raises ServiceInputError, ForbiddenAddressError, NameTakenError, TooManyServicesError.

    `inward`: its address may lie in the network of the platform. `resolve` finds the addresses of a name, if it can.
    """
    name = typed.line(name, "name of the service", LONGEST_NAME)
    checked = addresses.checked(url.strip(), inward=inward)
    if not (math.isfinite(interval_seconds) and SHORTEST_SECONDS <= interval_seconds <= LONGEST_SECONDS):
        raise ServiceInputError(
            f"An interval of {interval_seconds:g} seconds is not possible.",
            next_step=f"Give one from {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} seconds; 30 is usual.",
        )
    if expected_status is not None and not 100 <= expected_status <= 599:
        raise ServiceInputError(
            f"{expected_status} is no status of HTTP.",
            next_step="Give the one that it answers when it is well, such as 200, or leave it out for any 2xx.",
        )
    addresses.refuse_where_it_leads(_host(checked), resolve, inward=inward)
    try:
        with db.tenant(tenant_id) as connection:
            _one_at_a_time(connection, tenant_id)
            there = read(connection)
            if any(key_of(other.name) == key_of(name) for other in there):
                raise _taken(name)
            if sum(other.kind == "declared" for other in there) >= MOST_SERVICES:
                raise TooManyServicesError(
                    f"{MOST_SERVICES} services are watched already, and one tenant may watch no more.",
                    next_step="Stop watching one: `prodsprints status unwatch NAME`.",
                )
            connection.execute(
                """
                insert into watched_services (id, kind, key, name, url, expected_status, interval_seconds, is_public)
                values (%s, 'declared', %s, %s, %s, %s, %s, %s)
                """,
                [id, key_of(name), name, checked, expected_status, interval_seconds, is_public],
            )
            return read(connection, [id])[0]
    except psycopg.errors.UniqueViolation:
        raise _taken(name) from None  # the same request, sent twice


def unwatch(db: Database, tenant_id: UUID, service_id: UUID) -> Service:
    """Stop watching a service, and forget its history. Raises UnknownServiceError, OwnPartError.

    An integration comes back when a guard sees it again.
    """
    with db.tenant(tenant_id) as connection:
        found = _the_one(connection, service_id)
        if found.kind == "platform":
            raise OwnPartError(
                f"{found.name} is watched in any case: it is a part of the platform.",
                next_step=f"To take it off the public page: `prodsprints status hide {found.name!r}`.",
            )
        connection.execute("delete from watched_services where id = %s", [service_id])
    return found


def show(db: Database, tenant_id: UUID, service_id: UUID, *, publicly: bool) -> Service:
    """Put a service on the public page, or take it off. Raises UnknownServiceError."""
    with db.tenant(tenant_id) as connection:
        _the_one(connection, service_id)
        connection.execute("update watched_services set is_public = %s where id = %s", [publicly, service_id])
        return read(connection, [service_id])[0]


def know(connection: Connection, tenant_id: UUID, kind: Kind, known: Mapping[str, tuple[str, bool]]) -> None:
    """Watch what the platform knows of by itself: by key, a name and whether it is public at first.

    Where a declared service has that name already, it says whose view it is.
    """
    _one_at_a_time(connection, tenant_id)
    taken = {key_of(other.name) for other in read(connection)}
    for key, (wanted, is_public) in known.items():
        name = f"{wanted} as we see it" if key_of(wanted) in taken else wanted
        connection.execute(
            """
            insert into watched_services (kind, key, name, interval_seconds, is_public)
            values (%s, %s, %s, %s, %s) on conflict (tenant_id, key) do nothing
            """,
            [kind, key_in(kind, key), name, INTERVAL_SECONDS, is_public],
        )


def key_in(kind: Kind, key: str) -> str:
    """The key of what the platform knows of by itself."""
    return f"{kind}:{key}"[:_LONGEST_KEY]


def key_of(name: str) -> str:
    """What makes two names the same."""
    return " ".join(name.split()).casefold()


_LONGEST_KEY = 180
_KINDS = ["declared", "integration", "platform"]
_SERVICES = """
select id, kind, key, name, url, expected_status, interval_seconds, is_public, level, level_since, recent, seen_at,
       seen_seconds, seen_words, trouble_began_at, trouble_level, trouble_words, created_at
from watched_services
"""


def _one_at_a_time(connection: Connection, tenant_id: UUID) -> None:
    """So that two who come at once get neither the same name nor both the last place."""
    connection.execute("select pg_advisory_xact_lock(hashtext('services ' || %s))", [str(tenant_id)])


def _taken(name: str) -> NameTakenError:
    return NameTakenError(
        f"A service called {name!r} is watched already.",
        next_step="Give this one another name; `prodsprints status services` lists them.",
    )


def _the_one(connection: Connection, service_id: UUID) -> Service:
    found = read(connection, [service_id])
    if not found:
        raise UnknownServiceError(
            f"No service {service_id} is watched.", next_step="`prodsprints status services` lists them."
        )
    return found[0]


def _service(row: Mapping[str, Any]) -> Service:
    began = row["trouble_began_at"]
    trouble = None if began is None else Trouble(began, Level(row["trouble_level"]), row["trouble_words"])
    standing = Standing(
        Level(row["level"]), row["level_since"], tuple(map(Outcome, row["recent"])), row["seen_at"], trouble
    )
    same = ("id", "kind", "key", "name", "url", "expected_status", "interval_seconds", "is_public", "created_at")
    return Service(
        **{name: row[name] for name in same},
        standing=standing,
        seen_seconds=row["seen_seconds"],
        seen_words=row["seen_words"],
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
