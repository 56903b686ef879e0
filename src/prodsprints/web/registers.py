"""A tenant's register as pages and API show it: its document, what its log proves in one environment, its reviews."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from prodsprints import incidents
from prodsprints.kernel import clock
from prodsprints.kernel.validation import nearest
from prodsprints.register import agenda as agendas
from prodsprints.register import escalation, kris, reviews
from prodsprints.register.agenda import Agenda
from prodsprints.register.assessment import Assessment
from prodsprints.register.errors import UnknownRiskError
from prodsprints.register.kris import Reading
from prodsprints.register.model import Cadence, Mitigation
from prodsprints.register.register import Register
from prodsprints.register.reviews import Planned
from prodsprints.register.standing import Standing
from prodsprints.register.summary import Review, Summary
from prodsprints.register.trend import Trend
from prodsprints.register.wiring import digests
from prodsprints.web.site import Site


@dataclass(frozen=True)
class Shown:
    """The register in one environment, now; `standing` is what the log says of every environment."""

    register: Register
    assessment: Assessment
    standing: Standing
    overdue: tuple[Review, ...]

    @property
    def summary(self) -> Summary:
        """The first line."""
        return self.register.summary(clock.now().date(), self.assessment.counts, self.overdue)

    @property
    def schedule(self) -> tuple[Planned, ...]:
        """When each kind of review is due."""
        return reviews.schedule(self.register.document, reviews.held_of(self.standing))

    def planned(self, kind: Cadence) -> Planned:
        """When the review of that kind is due."""
        return next(one for one in self.schedule if one.kind is kind)

    @property
    def next_review(self) -> Planned:
        """The review that is due first, or has been for longest."""
        return min((one for one in self.schedule if one.due), key=lambda one: str(one.due))


def of(here: Site, tenant_id: UUID, environment: str) -> Shown:
    """The tenant's register as it stands in `environment`."""
    assessment = here.assessment(tenant_id, environment)
    register, standing = assessment.register, assessment.standing
    overdue = reviews.overdue(register.document, reviews.held_of(standing), clock.now().date())
    return Shown(register, assessment, standing, overdue)


def row(register: Register, id: str) -> Mitigation:
    """The mitigation called `id`. Raises UnknownRiskError, with the nearest id there is."""
    for mitigation in register.mitigations:
        if mitigation.id == id:
            return mitigation
    hint = nearest(id, (mitigation.id for mitigation in register.mitigations))
    raise UnknownRiskError(
        f"There is no mitigation {id[:40]!r} in the register.",
        next_step=f"`prodsprints register show {id.partition('.')[0][:20]}` lists those of a risk{hint or '.'}",
    )


def agenda(here: Site, tenant_id: UUID, shown: Shown, kind: Cadence) -> Agenda:
    """What a review of that kind has to look at now."""
    return agendas.agenda(
        kind,
        shown.assessment,
        incidents=incidents.incidents(here.db, tenant_id, environment=shown.assessment.environment),
        reports=escalation.reports(here.db, tenant_id),
        indicators=indicators(here, tenant_id, shown),
    )


def indicators(here: Site, tenant_id: UUID, shown: Shown) -> tuple[Reading, ...]:
    """Every key risk indicator today."""
    today = clock.now().date()
    return kris.readings(kris.facts(here.db, tenant_id, today, oldest_finding=_oldest_finding(shown)), today)


def _oldest_finding(shown: Shown) -> date | None:
    """Since when the oldest review is overdue, or the oldest signature over."""
    environment, rows = shown.assessment.environment, shown.assessment.rows.values()
    signed = (shown.standing.row(environment, row.row).attestation for row in rows if row.attestation_expired)
    over = (datetime.fromtimestamp(one.expires_at, UTC).date() for one in signed if one is not None)
    return min((*(review.due for review in shown.overdue), *over), default=None)


def trend(here: Site, tenant_id: UUID, environment: str, *, days: int) -> Trend:
    """How the register has moved, from the whole log. Raises LogTooLongError, LedgerTamperedError."""
    assessment = here.assessment(tenant_id, environment)
    return here.trends.of(assessment, here.ledger(tenant_id), digests(assessment.register, here.catalog), days)
