"""Every drill there is, with its last run in one environment: for the API's list and the page's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID, uuid5

from prodsprints.drills import policy, runs
from prodsprints.drills.catalog import Drill
from prodsprints.drills.runs import DrillRun
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.register.model import Mitigation
from prodsprints.release import records
from prodsprints.web.site import Site


@dataclass(frozen=True)
class Offered:
    """One drill that a row names; without `drill` it cannot be loaded, and `trouble` says why.

    `last` is its newest run there; `run_id` is the id of the next one, the same on every page that offers it: whoever
    presses the button twice, or at the same time as somebody else, runs it once.
    """

    row: str
    drill: Drill | None
    trouble: str
    last: DrillRun | None
    run_id: UUID

    def is_of(self, run: DrillRun) -> bool:
        """Whether `run` is one of this drill."""
        return self.drill is not None and (self.row, self.drill.experiment.variant) == (run.row, run.variant)


def offered(here: Site, tenant_id: UUID, environment: str, among: Iterable[Mitigation] | None = None) -> list[Offered]:
    """The drills of the rows `among` those of the tenant's register, in that order; of all of them by default."""
    last = runs.last_runs(here.db, tenant_id, environment)
    looked_at = here.register_of(tenant_id).mitigations if among is None else among
    rows = [row for row in looked_at if row.drills]
    return [one for row in rows for one in _of(here, tenant_id, environment, row, last)]


def environments(here: Site, tenant_id: UUID) -> list[str]:
    """Where drills can be run: the scratch environments, then those of the projects."""
    named = {one.name for one in records.environments(here.db, tenant_id)}
    return [*sorted(policy.SCRATCH), *sorted(named - policy.SCRATCH)]


def _of(
    here: Site, tenant_id: UUID, environment: str, row: Mitigation, last: dict[tuple[str, str], DrillRun]
) -> Iterator[Offered]:
    try:
        drills = here.catalog.drills(row.id)
    except ProdSprintsError as error:
        yield Offered(row.id, None, f"{error.what} {error.why}".strip(), None, tenant_id)
        return
    for drill in drills:
        variant = drill.experiment.variant
        before = last.get((row.id, variant))
        next_id = uuid5(before.id if before else tenant_id, f"{row.id} {variant} {environment}")
        yield Offered(row.id, drill, "", before, next_id)
