"""What every request handler reaches: the settings, the database, the register and its proof, the node agent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import cast
from uuid import UUID

from starlette.requests import Request

from prodsprints.controls.privileges.audit_log import AuditLog
from prodsprints.drills.catalog import Catalog
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.witness import Witness
from prodsprints.notify.routes import Routes
from prodsprints.register import documents, wiring
from prodsprints.register.assessment import Assessment
from prodsprints.register.assessor import Assessor
from prodsprints.register.register import Register
from prodsprints.runtime.client import NodeAgent
from prodsprints.store.database import Database, patient
from prodsprints.web.errors import NoTenantError, TooManyStreamsError
from prodsprints.web.hosts import Hosts
from prodsprints.web.status_pages import StatusPages
from prodsprints.web.trends import Trends
from prodsprints.web.verifications import Verifications

_MOST_STREAMS = 64


class Streams:
    """Counts who follows a live log, to bound it: each reader costs a query per look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0

    def refuse_when_full(self) -> None:
        """Raises TooManyStreamsError when as many read as one server serves."""
        if self._open >= _MOST_STREAMS:
            raise TooManyStreamsError(
                f"{self._open} readers follow live logs already.",
                next_step="Close some of those pages, or read the log with `?follow=false`.",
            )

    @contextmanager
    def reader(self) -> Iterator[None]:
        """One reader, for as long as it reads."""
        with self._lock:
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1


@dataclass(frozen=True)
class Site:
    """One server's parts. `reader_tenant` names the tenant that a reader without a login sees on loopback.

    `register` is ours, `register_of` a tenant's: what its own risk document says, once it has imported one.
    """

    settings: Settings
    db: Database
    register: Register
    agent: NodeAgent
    hosts: Hosts
    reader_tenant: str
    keyring: Keyring
    witness: Witness
    catalog: Catalog
    assessor: Assessor
    register_of: Callable[[UUID], Register]
    routes: Routes
    streams: Streams = field(default_factory=Streams)
    verifications: Verifications = field(default_factory=Verifications)
    trends: Trends = field(default_factory=Trends)
    status_pages: StatusPages = field(default_factory=StatusPages)
    _tenants: dict[str, UUID] = field(default_factory=dict)

    @staticmethod
    def of(settings: Settings, db: Database, agent: NodeAgent, hosts: Hosts, reader_tenant: str) -> Site:
        """The parts of a server of `settings`. Raises KeyExposedError, KeyFileError, WitnessError."""
        keyring, witness, register = Keyring.open(settings.home), Witness.open(settings), documents.ours()
        catalog = wiring.catalog(register)
        register_of = partial(documents.register_of, db)
        assessor = Assessor(db, keyring, witness, catalog, register_of)
        proof = (keyring, witness, catalog, assessor, register_of, Routes(settings))
        return Site(settings, db, register, agent, hosts, reader_tenant, *proof)

    def ledger(self, tenant_id: UUID) -> Ledger:
        """The log of one tenant."""
        return Ledger(self.db, tenant_id, self.keyring)

    def audit(self, tenant_id: UUID) -> AuditLog:
        """That tenant's audit log: what is privileged is written there before it is done."""
        return AuditLog(self.db, self.ledger(tenant_id), keyring=self.keyring, witness=self.witness)

    def assessment(self, tenant_id: UUID, environment: str) -> Assessment:
        """The tenant's register as its log proves it in `environment`, now."""
        return self.assessor.assess(tenant_id, environment)

    def reader_tenant_id(self) -> UUID:
        """The id of that tenant. Raises NoTenantError while the database has none such."""
        known = self.tenant_id(self.reader_tenant)
        if known is None:
            raise NoTenantError(
                f"The database has no tenant {self.reader_tenant!r} yet.",
                next_step="Start the platform with `prodsprints up`, which creates it.",
            )
        return known

    def tenant_id(self, name: str) -> UUID | None:
        """The id of the tenant of that name, if there is one."""
        known = self._tenants.get(name) or _tenant_id(self.db, name)
        if known is not None:
            self._tenants[name] = known
        return known


def site(request: Request) -> Site:
    """The site that `request` came to."""
    return cast(Site, request.app.state.site)


@patient
def _tenant_id(db: Database, name: str) -> UUID | None:
    with db.auth() as connection:
        row = connection.execute("select id from tenants where name = %s", [name]).fetchone()
    return None if row is None else UUID(str(row["id"]))
