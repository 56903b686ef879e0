"""The register in one environment at one moment: every row's status, every risk's rating, and what they add up to."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from prodsprints.register import residual
from prodsprints.register.model import Risk
from prodsprints.register.rating import Level
from prodsprints.register.register import Register
from prodsprints.register.residual import Exposure
from prodsprints.register.standing import Accepted, Incident, Standing
from prodsprints.register.status import Counts, RowStatus, Status, status_of
from prodsprints.register.testimony import Ignored

T = TypeVar("T")

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
class Assessment:
    """The whole register in `environment` at `now`; `critical` counts only what belongs to risks of that level.

    `standing` is what the log says, of every environment. `kept` is what was made of these rows and risks so far.
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
    kept: dict[Callable[[Assessment], Any], Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, make: Callable[[Assessment], T]) -> T:
        """What `make` makes of the register, the rows and the risks, and of nothing else; kept as long as these are.

        There are as many rows as a register has, and a page is asked for far more often than one of them changes.
        """
        if make not in self.kept:
            self.kept[make] = make(self)
        made: T = self.kept[make]
        return made

    def ending(self, before: datetime) -> Sequence[RowStatus]:
        """The rows that are good now and by themselves will not be any more `before` then; the first to end first."""
        by_end = self.once(_good_by_end)
        return by_end[: bisect_left(by_end, before.timestamp(), key=_end)]

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


def _good_by_end(assessment: Assessment) -> list[RowStatus]:
    rows = assessment.rows.values()
    return sorted((row for row in rows if row.status.is_good and row.until_at is not None), key=_end)


def _end(row: RowStatus) -> float:
    return row.until_at or math.inf


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
        self._last: tuple[_Heard, Assessment] | None = None
        self._until = math.inf

    def assess(self, standing: Standing, digests: Digests, now: datetime, log: Log) -> Assessment:
        """The assessment of `now`, which never goes back from one call to the next."""
        heard, at = _Heard.of(standing, digests, log.state, self.environment), now.timestamp()
        if self._last and heard.is_same(self._last[0]) and at < self._until:
            known = replace(self._last[1], now=now, log=log)
            self._last = heard, known
            return known
        if self._last and self._last[0].state is not log.state:
            self._last = None
        rows, risks = self._invalid(log) if log.state is LogState.TAMPERED else self._rows(heard, now), {}
        before = self._last[1] if self._last else None
        for risk in self.register.risks:
            accepted = standing.acceptances.get((self.environment, risk.id))
            risks[risk.id] = _risk_standing(risk, rows, accepted, at, before)
        self._until = min(_changes(rows, risks, at), default=math.inf)
        made = self._added_up(standing, rows, risks, now, log)
        self._last = heard, made
        return made

    def _invalid(self, log: Log) -> dict[str, RowStatus]:
        why = f"The log is not what was signed, so nothing in it counts: {log.reason}"
        return {row.id: RowStatus(row.id, self.environment, Status.INVALID, why) for row in self.register.mitigations}

    def _rows(self, heard: _Heard, now: datetime) -> dict[str, RowStatus]:
        changed = self._changed(*self._last, heard, now.timestamp()) if self._last else None
        rows = dict(self._last[1].rows) if self._last else {}
        standing, digests = heard.standing, heard.digests
        for risk in self.register.risks:
            happened = heard.incidents.get(risk.id, ())
            for row in risk.mitigations:
                if changed is None or row.id in changed:
                    known, drills = standing.row(self.environment, row.id), digests.get(row.id, _NO_DRILLS)
                    rows[row.id] = status_of(row, known, happened, drills, self.environment, now)
        return rows

    def _changed(self, was: _Heard, before: Assessment, heard: _Heard, at: float) -> set[str]:
        """The rows of which anything is other than it was, or which time has ended."""
        changed = {row.row for row in before.rows.values() if row.until_at is not None and row.until_at <= at}
        # A row's standing is made anew only when something is heard of it, so that being the same object is enough.
        now, then = heard.standing.rows, was.standing.rows
        if now is not then:
            changed.update(place[1] for place, known in now.items() if then.get(place) is not known)
            changed.update(row for _, row in then.keys() - now.keys())
        if heard.digests is not was.digests:
            rows = heard.digests.keys() | was.digests.keys()
            changed.update(row for row in rows if heard.digests.get(row) != was.digests.get(row))
        if heard.incidents != was.incidents:
            for risk in self.register.risks:
                if heard.incidents.get(risk.id) != was.incidents.get(risk.id):
                    changed.update(row.id for row in risk.mitigations)
        return changed

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
        )


_NO_DRILLS: Mapping[str, str] = {}


@dataclass(frozen=True)
class _Heard:
    """What an assessment was made of, but for the time; `incidents` are those that contradict something, by risk."""

    standing: Standing
    digests: Digests
    state: LogState
    incidents: Mapping[str, tuple[Incident, ...]]

    @staticmethod
    def of(standing: Standing, digests: Digests, state: LogState, environment: str) -> _Heard:
        found: dict[str, tuple[Incident, ...]] = {}
        for incident in standing.contradicting(environment):
            found[incident.risk] = (*found.get(incident.risk, ()), incident)
        return _Heard(standing, digests, state, found)

    def is_same(self, other: _Heard) -> bool:
        return self.standing is other.standing and self.digests is other.digests and self.state is other.state


def _risk_standing(
    risk: Risk, rows: Mapping[str, RowStatus], accepted: Accepted | None, at: float, before: Assessment | None
) -> RiskStanding:
    is_accepted = accepted is not None and accepted.holds(at)
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
