"""What the platform's own guards count: the use of a published limit, without asking the provider."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from prodsprints.controls.integrations.monitor import OWN_TENANT
from prodsprints.controls.providers.dependencies import board
from prodsprints.controls.providers.dependencies.dependency import Dependency, dependencies
from prodsprints.controls.providers.dependencies.sighting import SLOT_SECONDS
from prodsprints.controls.providers.quotas.model import Place
from prodsprints.store.database import Database, patient

_MINUTE_SLOTS = round(60 / SLOT_SECONDS)


def calls_per_second(db: Database, tenant_id: UUID, place: Place) -> float | None:
    """How often the fleet called the provider for that account, in the busiest of the last five minutes.

    None if no guard of that name was heard of. Guards are the platform's: who else lives on it is told nothing of them.
    """
    if not _is_operator(db, tenant_id):
        return None
    return busiest(one for one in dependencies(board.read(db)) if _is_of(one.name, place))


def busiest(guards: Iterable[Dependency]) -> float | None:
    """Attempts a second of all these together, over the minute in which they were most; None of no guard.

    A minute, not a moment: what a bucket lets through at once is no more than it allows.
    """
    timelines = [one.slots for one in guards]
    if not timelines:
        return None
    attempts = [sum(slot.attempts for slot in slots if slot) for slots in zip(*timelines, strict=True)]
    minutes = [attempts[start : start + _MINUTE_SLOTS] for start in range(0, len(attempts), _MINUTE_SLOTS)]
    return max(map(sum, minutes)) / 60


def _is_of(guard: str, place: Place) -> bool:
    """Whether a guard, which is named `provider/account region` or `provider` alone, draws on this quota."""
    provider, _, of = guard.partition("/")
    account, _, region = of.partition(" ")
    return provider == place.provider and account in {"", place.account} and place.region in {"", region}


@patient
def _is_operator(db: Database, tenant_id: UUID) -> bool:
    with db.tenant(tenant_id) as connection:
        row = connection.execute("select name from tenants where id = %s", [tenant_id]).fetchone()
    return row is not None and row["name"] == OWN_TENANT
