"""Assesses tenants' registers from their logs, and remembers what it has heard; pages, API and gate ask it."""

from __future__ import annotations

import gc
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from uuid import UUID

from prodsprints.drills.catalog import Catalog
from prodsprints.ledger.examination import Report
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.witness import Witness
from prodsprints.register import verifications
from prodsprints.register.assessment import Assessment, Digests, Ongoing
from prodsprints.register.hearing import Hearing
from prodsprints.register.register import Register
from prodsprints.register.standing import Standing
from prodsprints.register.wiring import digests
from prodsprints.store.database import Database

_MOST_TENANTS = 64
_MOST_ENVIRONMENTS = 8
_DIGESTS_EVERY_SECONDS = 5.0


class Assessor:
    """Any number of threads may ask; those of one tenant wait for each other.

    `register_of` says what a tenant's register is; it should return the same value as long as nothing changed.
    """

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        witness: Witness,
        catalog: Catalog,
        register_of: Callable[[UUID], Register],
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._witness = witness
        self._catalog = catalog
        self._register_of = register_of
        self._tenants: OrderedDict[UUID, _Tenant] = OrderedDict()
        self._lock = Lock()

    def assess(self, tenant_id: UUID, environment: str) -> Assessment:
        """The tenant's register as it stands in `environment` now, with all that its log holds."""
        register_of = partial(self._register_of, tenant_id)
        return self._tenant(tenant_id).assess(register_of, self._catalog, environment)

    def standing(self, tenant_id: UUID) -> Standing:
        """What the tenant's log comes to now: its signatures, incidents and reviews, in every environment."""
        return self._tenant(tenant_id).standing()

    def verify(self, tenant_id: UUID) -> Report:
        """Look at the whole of the tenant's log, from its first entry; what is found counts from then on."""
        tenant = self._tenant(tenant_id)
        tenant.standing()
        return verifications.verify(self._db, tenant_id, self._keyring, self._witness, now=tenant.hearing.now)

    def _tenant(self, tenant_id: UUID) -> _Tenant:
        with self._lock:
            known = self._tenants.pop(tenant_id, None)
            if known is None:
                known = _Tenant(Hearing(self._db, tenant_id, self._keyring, self._witness))
            self._tenants[tenant_id] = known
            if len(self._tenants) > _MOST_TENANTS:
                self._tenants.popitem(last=False)
            return known


@contextmanager
def _settling(is_first: bool) -> Iterator[None]:
    """What a first look makes of a long log stays; or Python would search all of it for garbage, again and again."""
    if not is_first:
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


class _Tenant:
    def __init__(self, hearing: Hearing) -> None:
        self.hearing = hearing
        self._lock = Lock()
        self._ongoing: OrderedDict[str, Ongoing] = OrderedDict()
        self._digests: Digests = {}
        self._digested: tuple[Register, float] | None = None

    def standing(self) -> Standing:
        with self._lock:
            self.hearing.refresh()
            return self.hearing.standing

    def assess(self, register_of: Callable[[], Register], catalog: Catalog, environment: str) -> Assessment:
        with self._lock, _settling(self._digested is None):
            self.hearing.refresh()
            register = register_of()  # after the log, which may not know of an import that was made just now
            self._digest(register, catalog)
            ongoing = self._ongoing.pop(environment, None)
            if ongoing is None or ongoing.register is not register:
                ongoing = Ongoing(register, environment)
            self._ongoing[environment] = ongoing
            if len(self._ongoing) > _MOST_ENVIRONMENTS:
                self._ongoing.popitem(last=False)
            return ongoing.assess(
                self.hearing.standing, self._digests, self.hearing.now, self.hearing.log_behind(register)
            )

    def _digest(self, register: Register, catalog: Catalog) -> None:
        # sources may be edited while the platform runs, and looking at all of them is no matter of microseconds
        if self._digested is not None:
            of, at = self._digested
            if of is register and time.monotonic() - at < _DIGESTS_EVERY_SECONDS:
                return
        found = digests(register, catalog)
        self._digests = self._digests if found == self._digests else found
        self._digested = register, time.monotonic()
