"""A tenant's own risk document: imported as claims, kept in versions, and what the register of that tenant is."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from threading import Lock
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from prodsprints.kernel import clock
from prodsprints.ledger import people
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.register.joining import Numbers, Source, join
from prodsprints.register.load import load
from prodsprints.register.markdown import parse
from prodsprints.register.markdown.compose import compose, in_order
from prodsprints.register.register import Register
from prodsprints.register.signed import digest
from prodsprints.store.database import Connection, Database, one, patient

_SUBJECT = "risk-document"
_KEPT = 32
_MOST_UNSIGNED = 20


@dataclass(frozen=True)
class Imported:
    """What came of an import: figures for the person who asked, and what they should look at."""

    version: int
    sha256: str
    risks: int
    mitigations: int
    claimed: int
    joined: int
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As the API answers."""
        return {
            "version": self.version,
            "sha256": self.sha256,
            "risks": self.risks,
            "mitigations": self.mitigations,
            "claimed": self.claimed,
            "joined": self.joined,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Version:
    """One version of a document; without a signed statement about its very bytes it has no effect."""

    id: UUID
    version: int
    sha256: str
    person: str
    created_at: datetime
    is_signed: bool


def import_document(db: Database, ledger: Ledger, *, id: UUID, markdown: str | bytes, actor: str) -> Imported:
    """Make `markdown` the tenant's risk document: its ticks are claims from now on, and none is proven by that.

    The same document again changes nothing. Raises RegisterError, with lines, for what cannot be read.
    """
    document = parse(markdown)
    tenant_id = ledger.tenant_id
    person = people.reference(db, tenant_id, actor)
    with db.tenant(tenant_id) as connection:
        # versions are numbered without gaps, and each knows the numbers that the one before gave out
        connection.execute("select pg_advisory_xact_lock(hashtextextended('risk_documents:' || %s, 0))", [tenant_id])
        newest = connection.execute("select version from risk_documents order by version desc limit 1").fetchone()
        current = _current(connection, tenant_id)
        # not the newest one's, if that is not signed: nobody vouches for what it gave out, and it has had no effect
        before = Numbers(**current["numbers"]) if current else Numbers()
        source = join(document, ours(), before=before, imported_on=clock.now().date())
        if current is not None and current["sha256"] == document.sha256:
            return _imported(current["version"], source)
        version = newest["version"] + 1 if newest else 1
        statement = _statement(tenant_id, id, person, document.sha256, source.numbers.as_json())
        connection.execute(
            """
            insert into risk_documents (id, version, sha256, text, numbers, person, statement)
            values (%s, %s, %s, %s, %s, %s, %s)
            """,
            [
                id,
                version,
                document.sha256,
                document.text,
                Jsonb(source.numbers.as_json()),
                person,
                statement.digest,
            ],
        )
    ledger.append(statement)
    return _imported(version, source)


def register_of(db: Database, tenant_id: UUID) -> Register:
    """The tenant's register: that of the document it imported last, or ours."""
    return source_of(db, tenant_id).register


@patient
def source_of(db: Database, tenant_id: UUID) -> Source:
    """The tenant's document and the register made of it; ours, written out as a document, before the first import."""
    with db.tenant(tenant_id) as connection:
        row = _current(connection, tenant_id)
        if row is None:
            return our_source()
        if (kept := _sources.get(row["id"])) is not None:
            return kept
        content = one(
            connection.execute("select text, numbers from risk_documents where id = %s", [row["id"]]).fetchone()
        )
    document = parse(content["text"])
    source = join(document, ours(), before=Numbers(**content["numbers"]), imported_on=row["created_at"].date())
    source = replace(source, register=replace(source.register, statement=row["statement"]))
    _sources.put(row["id"], source)
    return source


@patient
def versions(db: Database, tenant_id: UUID) -> list[Version]:
    """Every version that was imported, the newest first; also those without a statement, which have no effect."""
    with db.tenant(tenant_id) as connection:
        rows = connection.execute(_VERSIONS + "order by d.version desc limit 200").fetchall()
    return [_version(tenant_id, row) for row in rows]


@cache
def ours() -> Register:
    """The risks that we know controls for."""
    return load()


@cache
def our_source() -> Source:
    """Our own register, written out as a document."""
    register = Register(ours().document, in_order(ours()))
    return Source(parse(compose(register)), register, Numbers(), len(register.mitigations), ())


_VERSIONS = """
select d.id, d.version, d.sha256, d.person::text as person, d.created_at, d.statement, d.numbers,
       encode(sha256(convert_to(d.text, 'UTF8')), 'hex') as actual,
       exists (select from ledger_statements s where s.digest = decode(d.statement, 'hex')) as is_signed
from risk_documents d
"""


def _current(connection: Connection, tenant_id: UUID) -> dict[str, Any] | None:
    for older in range(_MOST_UNSIGNED):
        row = connection.execute(_VERSIONS + "order by d.version desc limit 1 offset %s", [older]).fetchone()
        if row is None or _version(tenant_id, row).is_signed:
            return row
    return None


def _version(tenant_id: UUID, row: dict[str, Any]) -> Version:
    said = _statement(tenant_id, row["id"], row["person"], row["actual"], row["numbers"]).digest
    signed = row["is_signed"] and said == row["statement"] and row["actual"] == row["sha256"]
    return Version(row["id"], row["version"], row["sha256"], row["person"], row["created_at"], signed)


def _statement(tenant_id: UUID, id: UUID, person: str, sha256: str, numbers: dict[str, Any]) -> Statement:
    predicate = {
        "tenant": str(tenant_id),
        "person": person,
        "sha256": sha256,
        # which words each id means: else a signature for one row could be made to speak for another
        "numbers_sha256": digest(json.dumps(numbers, sort_keys=True)),
        "nonce": str(id),
    }
    return Statement(PredicateType.DOCUMENT, (Subject(_SUBJECT, sha256),), predicate)


def _imported(version: int, source: Source) -> Imported:
    document = source.document
    return Imported(
        version,
        document.sha256,
        len(document.risks),
        len(document.rows),
        document.claimed,
        source.joined,
        source.warnings,
    )


class _Kept:
    """The sources read last, by the id of their version, which never changes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sources: OrderedDict[UUID, Source] = OrderedDict()

    def get(self, id: UUID) -> Source | None:
        with self._lock:
            if id in self._sources:
                self._sources.move_to_end(id)
            return self._sources.get(id)

    def put(self, id: UUID, source: Source) -> None:
        with self._lock:
            self._sources[id] = source
            while len(self._sources) > _KEPT:
                self._sources.popitem(last=False)


_sources = _Kept()
