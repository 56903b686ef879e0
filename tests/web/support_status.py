"""A tenant with services as a monitor has seen them over the last days, and an incident that was told of."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from prodsprints import incidents
from prodsprints.controls.integrations import services, sightings
from prodsprints.controls.integrations.health import Observation, Outcome
from prodsprints.controls.integrations.monitor import RESOURCE
from prodsprints.incidents import publishing
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.store import leases
from prodsprints.store.database import Database
from prodsprints.store.leases import Lease

SECRET_URL = "https://intern-7f3a.example.com:8443/health-check-of-ours"
WELL, SLOW, FAILED = Outcome.WELL, Outcome.SLOW, Outcome.FAILED


def declare(db: Database, tenant: UUID, name: str, *, public: bool = True, every: float = 3600.0) -> UUID:
    made = services.watch(
        db, tenant, id=uuid4(), name=name, url=SECRET_URL, expected_status=None, interval_seconds=every,
        is_public=public, inward=False, resolve=lambda _: (),
    )  # fmt: skip
    return made.id


def lease_of(db: Database, tenant: UUID) -> Lease:
    with db.dispatch() as connection:
        lease = leases.acquire(connection, tenant, RESOURCE, "w")
    assert lease is not None
    return lease


def saw(
    db: Database, tenant: UUID, service: UUID, at: datetime, *outcomes: Outcome, words: str = "", step: float = 60
) -> None:
    told = [
        (
            service,
            Observation(at + timedelta(seconds=step * place), outcome, 0.08, words if outcome is not WELL else ""),
        )
        for place, outcome in enumerate(outcomes)
    ]
    sightings.record(db, tenant, lease_of(db, tenant), told)


def incident(db: Database, settings: Settings, tenant: UUID, title: str = "Inner title: db-7 of ACME") -> UUID:
    made = incidents.declare(
        db, Ledger(db, tenant, Keyring.open(settings.home)), id=uuid4(), known={"R001": ["R001.1"]}, risk="R001",
        rows=["R001.1"], environment="demo", title=title, what_happened="Inner words: host db-7 died.", actor="ada",
    )  # fmt: skip
    return made.id


def tell(db: Database, tenant: UUID, incident_id: UUID, stage: str, words: str, title: str | None = None) -> None:
    publishing.publish(db, tenant, incident_id, id=uuid4(), stage=stage, words=words, title=title, actor="ada")


def furnished(db: Database, settings: Settings, tenant: UUID, now: datetime) -> None:
    """Three months of a shop, a search that is down now, a queue that nobody looks at any more, and a hidden one."""
    shop, search, mails, queue = (declare(db, tenant, name) for name in ("Shop", "Search", "Mails", "Queue"))
    hidden = declare(db, tenant, "Hidden thing", public=False)
    with db.tenant(tenant) as connection:
        for back in range(1, 75):
            down = 5400 if back in {12, 40} else 0
            slow = 9000 if back == 23 else 0
            measured = 30_000 if back == 51 else 86_400
            connection.execute(
                "insert into service_days (service_id, day, up_seconds, degraded_seconds, down_seconds)"
                " values (%s, %s, %s, %s, %s)",
                [shop, now.date() - timedelta(days=back), measured - down - slow, slow, down],
            )
    saw(db, tenant, shop, now - timedelta(minutes=30), *[WELL] * 30)
    saw(
        db,
        tenant,
        search,
        now - timedelta(minutes=30),
        *[WELL] * 20,
        *[FAILED] * 10,
        words="It did not answer in time.",
    )
    saw(db, tenant, mails, now - timedelta(minutes=30), *[WELL] * 10, *[SLOW] * 20, words="It answers slowly.")
    saw(
        db, tenant, queue, now - timedelta(days=2), WELL, WELL, FAILED, FAILED, words="It answered 503 in place of 2xx."
    )
    saw(db, tenant, hidden, now - timedelta(minutes=5), FAILED, FAILED, words="Hidden trouble.")
    current = incident(db, settings, tenant)
    tell(
        db, tenant, current, "investigating", "Searching fails for some of you. We look into it.", "Search is disturbed"
    )
    tell(db, tenant, current, "identified", "A disk is full. We make room.")
    over = incident(db, settings, tenant)
    tell(db, tenant, over, "investigating", "Orders are late.", "Orders are late")
    tell(db, tenant, over, "resolved", "All orders have arrived.")
    incident(db, settings, tenant, "Never published")
