"""What the platform depends on, for whoever runs it: behind the API, the page and the scrape."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from prodsprints.controls.providers.dependencies import board, by_hand, common
from prodsprints.controls.providers.dependencies.by_hand import Act
from prodsprints.controls.providers.dependencies.dependency import Dependency, buckets, dependencies
from prodsprints.controls.providers.errors import UnknownDependencyError
from prodsprints.controls.providers.quotas.exhaustion import Exhaustion, bucket_empty_seconds, time_to_exhaustion
from prodsprints.guard import Snapshot
from prodsprints.kernel import clock
from prodsprints.kernel.validation import nearest
from prodsprints.web.errors import NotOperatorError
from prodsprints.web.identity import Caller
from prodsprints.web.site import Site

_log = logging.getLogger(__name__)


def every(here: Site, caller: Caller) -> list[Dependency]:
    """Every provider that a process of the platform calls, those in trouble first. Raises NotOperatorError."""
    _refuse_other_tenants(here, caller)
    posted = board.read(here.db)
    names = {one.sighting.snapshot.name for one in posted}
    return dependencies(posted, common.read(here.db, names, buckets(posted)))


def get(here: Site, caller: Caller, name: str) -> Dependency:
    """One of them. Raises NotOperatorError, UnknownDependencyError."""
    found = {one.name: one for one in every(here, caller)}
    if name not in found:
        raise UnknownDependencyError(
            f"No process of this platform calls {name[:100]!r}.",
            next_step=f"`prodsprints dependencies` lists what is called{nearest(name, found) or '.'}",
        )
    return found[name]


def exhaustion(here: Site, caller: Caller, one: Dependency) -> Exhaustion | None:
    """Which of the provider's quotas that are followed is spent first, and when."""
    return time_to_exhaustion(here.db, caller.tenant_id, one.name.partition("/")[0], clock.now())


def bucket_seconds(one: Dependency) -> float | None:
    """When what is left of its buckets is spent at the present rate; None while they fill faster, or nobody knows."""
    left = [scope.remaining for scope in one.scopes if scope.remaining is not None]
    if not one.rate_limit or len(left) < len(one.scopes):
        return None
    return bucket_empty_seconds(max(0.0, sum(left)), one.rate, one.rate_limit)


def acts(here: Site, found: Iterable[Dependency]) -> dict[str, list[Act]]:
    """What was done to each by hand, the newest first."""
    places = {one.name: {scope.shared for scope in one.scopes if scope.shared} for one in found}
    every_act = by_hand.acts(here.db, set().union(*places.values()))
    return {name: [act for act in every_act if act.scope in shared] for name, shared in places.items()}


def freeze(here: Site, caller: Caller, name: str, *, key: str | None, seconds: float) -> Dependency:
    """Have the whole fleet leave a provider, or one key's scope, alone; audited.

    Raises NotOperatorError, UnknownDependencyError, NotSharedError, FreezeInputError.
    """
    by_hand.checked(seconds)
    scopes = by_hand.scopes(get(here, caller, name), key)
    here.audit(caller.tenant_id).record(caller.actor, f"freeze for {seconds:g} s", _subject(name, key))
    by_hand.freeze(here.db, scopes, seconds=seconds, actor=caller.actor)
    _log.info("%s froze %s for %g s", caller.actor, _subject(name, key), seconds)
    return get(here, caller, name)


def thaw(here: Site, caller: Caller, name: str, *, key: str | None) -> Dependency:
    """Have the fleet call it again; audited. Raises NotOperatorError, UnknownDependencyError, NotSharedError."""
    scopes = by_hand.scopes(get(here, caller, name), key)
    here.audit(caller.tenant_id).record(caller.actor, "thaw", _subject(name, key))
    by_hand.thaw(here.db, scopes, actor=caller.actor)
    _log.info("%s thawed %s", caller.actor, _subject(name, key))
    return get(here, caller, name)


def scraped(here: Site, caller: Caller) -> Iterable[tuple[str, Snapshot]]:
    """What every process that is alive told last, by its worker. Raises NotOperatorError."""
    _refuse_other_tenants(here, caller)
    return [(posted.worker, posted.sighting.snapshot) for posted in board.read(here.db) if posted.is_fresh]


def _refuse_other_tenants(here: Site, caller: Caller) -> None:
    """Guards are the platform's: they call for every tenant, and are named after their accounts."""
    if caller.tenant_id != here.reader_tenant_id():
        raise NotOperatorError(
            "Dependencies are for whoever runs this platform.",
            why="Its guards call for all tenants, and freezing one stops it for all.",
            next_step="Ask them; what concerns your own releases stands on their pages.",
        )


def _subject(name: str, key: str | None) -> str:
    return f"dependency {name}" if key is None else f"key {key} of dependency {name}"
