"""The register in one environment at one moment: every row's status, every risk's rating, and what they add up to."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from operator import is_

from prodsprints.register import residual
from prodsprints.register.model import Risk
from prodsprints.register.rating import Level
from prodsprints.register.register import Register
from prodsprints.register.residual import Exposure
from prodsprints.register.standing import Accepted, Incident, RowStanding, Standing
from prodsprints.register.status import Counts, RowStatus, Status, status_of
from prodsprints.register.testimony import Ignored

Digests = Mapping[str, Mapping[str, str]]
"""The control digest of each drill as it is now: by row, then by variant."""


class LogState(StrEnum):
    """How far the log itself can be relied on."""

    VERIFIED = "verified"
    UNWITNESSED = "unwitnessed"
    TAMPERED = "tampered"


@dataclass(frozen=True)
class Log:
    """The state of the ledger behind an assessment; `reason` is for people, `size` how many entries were heard."""

    state: LogState
    reason: str = ""
    size: int = 0


@dataclass(frozen=True)
class RiskStanding:
    """One risk today: its rating without any control, and with those that are proven.

    `status` is the worst of its rows'. `acceptance` is the last one, expired or reopened or not: `is_accepted` says.
    """

    risk: Risk
    inherent: Exposure
    residual: Exposure
    status: Status
    acceptance: Accepted | None
    is_accepted: bool

    @property
    def target(self) -> Exposure | None:
        """As its plan could leave it; None if no row is planned to hold a path."""
        return residual.target(self.risk)

    @property
    def treatment(self) -> str:
        """What is done about it: `accept` while a person's acceptance of it holds, else `mitigate`."""
        return "accept" if self.is_accepted else "mitigate"

    @property
    def has_moved(self) -> bool:
        """The proven controls changed what it is rated or how likely it is."""
        return self.residual.probability != self.inherent.probability


@dataclass(frozen=True)
class Endings:
    """When each good row of `rows` ends by itself; sorted when somebody asks first, since most never do."""

    rows: Mapping[str, RowStatus]

    def before(self, moment: float) -> Sequence[RowStatus]:
        """Those that end before `moment`, in order."""
        return self._sorted[: bisect_left(self._sorted, moment, key=_end)]

    @cached_property
    def _sorted(self) -> list[RowStatus]:
        return sorted((row for row in self.rows.values() if row.status.is_good and row.until_at is not None), key=_end)


def _end(row: RowStatus) -> float:
    return row.until_at or math.inf


@dataclass(frozen=True)
class Assessment:
    """The whole register in `environment` at `now`; `critical` counts only what belongs to risks of that level.

    `standing` is what the log says, of every environment.
    """

    register: Register
    environment: str
    now: datetime
    rows: Mapping[str, RowStatus]
    risks: Mapping[str, RiskStanding]
    counts: Counts
    critical: Counts
    log: Log
    standing: Standing
    endings: Endings

    def ending(self, before: datetime) -> Sequence[RowStatus]:
        """The rows that are good now and by themselves will not be any more `before` then; the first to end first."""
        return self.endings.before(before.timestamp())

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Those of this environment, closed ones too."""
        return tuple(one for one in self.standing.incidents.values() if one.environment == self.environment)

    @property
    def ignored(self) -> tuple[Ignored, ...]:
        """The newest statements that count for nothing, and why."""
        return self.standing.ignored

    @property
    def critical_unproven(self) -> int:
        """How many rows of critical risks are neither proven nor signed for."""
        return self.critical.mitigations - self.critical.proven - self.critical.attested

    @property
    def outside_witness(self) -> bool:
        """Checkpoints of the log are kept where the database's owner cannot change them."""
        return self.log.state is not LogState.UNWITNESSED

    @property
    def closing_line(self) -> str:
        """The last line of the document: true, or a count of what keeps it from being true."""
        rows = self.critical.mitigations
        if not rows:
            return "No risk of this register is critical."
        if not self.critical_unproven:
            return "ALL CRITICAL RISKS MITIGATED"
        return f"{self.critical_unproven} of {rows} critical rows unproven"


def assess(
    register: Register, standing: Standing, digests: Digests, environment: str, now: datetime, log: Log
) -> Assessment:
    """Assess everything anew. `Ongoing` comes to the same and looks only at what has changed."""
    return Ongoing(register, environment).assess(standing, digests, now, log)


class Ongoing:
    """One register in one environment, assessed again and again: only what has changed is worked out anew."""

    def __init__(self, register: Register, environment: str) -> None:
        self.register = register
        self.environment = environment
        self._heard: tuple[Standing, Digests, LogState] | None = None
        self._inputs: dict[str, tuple[RowStanding, Mapping[str, str], tuple[Incident, ...]]] = {}
        self._last: Assessment | None = None
        self._until = math.inf

    def assess(self, standing: Standing, digests: Digests, now: datetime, log: Log) -> Assessment:
        """The assessment of `now`, which never goes back from one call to the next."""
        heard = (standing, digests, log.state)
        if self._last and self._heard and all(map(is_, heard, self._heard)) and now.timestamp() < self._until:
            self._last = replace(self._last, now=now, log=log)
            return self._last
        before = self._last if self._heard and self._heard[2] is log.state else None
        rows, risks = self._rows(standing, digests, now, log, before), {}
        for risk in self.register.risks:
            accepted = standing.acceptances.get((self.environment, risk.id))
            risks[risk.id] = _risk_standing(risk, rows, accepted, now, before)
        self._heard = heard
        self._until = min(_changes(rows, risks, now.timestamp()), default=math.inf)
        self._last = self._added_up(standing, rows, risks, now, log)
        return self._last

    def _rows(
        self, standing: Standing, digests: Digests, now: datetime, log: Log, before: Assessment | None
    ) -> dict[str, RowStatus]:
        if log.state is LogState.TAMPERED:
            why = f"The log is not what was signed, so nothing in it counts: {log.reason}"
            return {
                row.id: RowStatus(row.id, self.environment, Status.INVALID, why) for row in self.register.mitigations
            }
        incidents, at = _by_risk(standing.contradicting(self.environment)), now.timestamp()
        rows = {}
        for risk in self.register.risks:
            happened = incidents.get(risk.id, ())
            for row in risk.mitigations:
                inputs = (standing.row(self.environment, row.id), digests.get(row.id, _NO_DRILLS), happened)
                known = before.rows[row.id] if before else None
                is_known = known is not None and (known.until_at is None or at < known.until_at)
                if known is None or not is_known or not _same(inputs, self._inputs[row.id]):
                    known = status_of(row, inputs[0], happened, inputs[1], self.environment, now)
                    self._inputs[row.id] = inputs
                rows[row.id] = known
        return rows

    def _added_up(
        self,
        standing: Standing,
        rows: Mapping[str, RowStatus],
        risks: Mapping[str, RiskStanding],
        now: datetime,
        log: Log,
    ) -> Assessment:
        critical = [risk for risk in self.register.risks if risk.level is Level.CRITICAL]
        return Assessment(
            register=self.register,
            environment=self.environment,
            now=now,
            rows=rows,
            risks=risks,
            counts=Counts.of(len(risks), (row.status for row in rows.values())),
            critical=Counts.of(len(critical), (rows[row.id].status for risk in critical for row in risk.mitigations)),
            log=log,
            standing=standing,
            endings=Endings(rows),
        )


_NO_DRILLS: Mapping[str, str] = {}


def _by_risk(incidents: Iterable[Incident]) -> dict[str, tuple[Incident, ...]]:
    found: dict[str, tuple[Incident, ...]] = {}
    for incident in incidents:
        found[incident.risk] = (*found.get(incident.risk, ()), incident)
    return found


def _same(inputs: tuple[object, object, object], before: tuple[object, object, object]) -> bool:
    # a row's standing is made anew only when something is heard of it, so that being the same object is enough
    return inputs[0] is before[0] and inputs[1:] == before[1:]


def _risk_standing(
    risk: Risk, rows: Mapping[str, RowStatus], accepted: Accepted | None, now: datetime, before: Assessment | None
) -> RiskStanding:
    is_accepted = accepted is not None and accepted.holds(now.timestamp())
    if before is not None:
        known = before.risks[risk.id]
        is_same = known.acceptance is accepted and known.is_accepted is is_accepted
        if is_same and all(rows[row.id] is before.rows[row.id] for row in risk.mitigations):
            return known
    credited = {row.id: rows[row.id].effectiveness for row in risk.mitigations}
    return RiskStanding(
        risk=risk,
        inherent=residual.inherent(risk),
        residual=residual.residual(risk, credited),
        status=min((rows[row.id].status for row in risk.mitigations), key=_place, default=Status.UNPROVEN),
        acceptance=accepted,
        is_accepted=is_accepted,
    )


def _place(status: Status) -> int:
    return status.place


def _changes(rows: Mapping[str, RowStatus], risks: Mapping[str, RiskStanding], now: float) -> Iterator[float]:
    """The moments still to come at which time alone changes something."""
    for row in rows.values():
        if row.until_at is not None and row.until_at > now:
            yield row.until_at
    for risk in risks.values():
        if risk.is_accepted and risk.acceptance is not None:
            yield risk.acceptance.word.expires_at
