"""What the ledger says so far, folded entry by entry into something small: the ground of every status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from prodsprints.drills.policy import SCRATCH
from prodsprints.ledger.log import Entry
from prodsprints.register import testimony
from prodsprints.register.drilled import Drilled, Mark
from prodsprints.register.testimony import (
    Acceptance,
    Attestation,
    DocumentWord,
    Ignored,
    IncidentWord,
    ReviewWord,
    Testimony,
    Unusable,
    Verdict,
    risk_of,
)

EVIDENCE_KEPT = 10
"""How many entries are remembered of each row in each environment."""

_IGNORED_KEPT = 100

Place = tuple[str, str]
"""An environment, and a row or a risk there."""


class RowStanding(NamedTuple):
    """What is known of one row in one environment: its drills by variant, and who signed for it last.

    `evidence` are the last entries of the log that counted for it, oldest first.
    """

    variants: Mapping[str, Drilled] = MappingProxyType({})
    attestation: Attestation | None = None
    evidence: tuple[int, ...] = ()

    def after(self, index: int, **changed: Any) -> RowStanding:
        """With what the entry at `index` changed."""
        return self._replace(evidence=(*self.evidence, index)[-EVIDENCE_KEPT:], **changed)


@dataclass(frozen=True)
class Accepted:
    """A risk's last acceptance; `reopened` by the drill that failed after it."""

    word: Acceptance
    reopened: Mark | None = None

    def holds(self, now: float) -> bool:
        """Neither expired nor reopened."""
        return self.reopened is None and now < self.word.expires_at


@dataclass(frozen=True)
class Incident:
    """A risk that happened: what it contradicts, and whether something reproduces it and holds.

    `known` are the experiments that had been run when it was declared, none of which had prevented it. `links` says
    since when which variant, of whichever row of the risk, is said to reproduce it.
    """

    id: str
    environment: str
    risk: str
    rows: tuple[str, ...]
    declared: Mark
    known: frozenset[str] = frozenset()
    links: Mapping[str, Mark] = field(default_factory=dict)
    lifted: Mark | None = None
    closed: Mark | None = None

    @property
    def contradicts(self) -> bool:
        """Closing it changes nothing: only an experiment that was changed and holds does."""
        return self.lifted is None

    def concerns(self, row: str) -> bool:
        """Whether `row` is one of those that should have prevented it."""
        return row in self.rows if self.rows else risk_of(row) == self.risk


@dataclass(frozen=True)
class Standing:
    """Everything that the first `size` entries of a tenant's log come to.

    `document` is the digest of the newest statement about the tenant's risk document; empty if it never had its own.
    """

    tenant: str
    size: int = 0
    last_at: float = 0.0
    rows: Mapping[Place, RowStanding] = field(default_factory=dict)
    acceptances: Mapping[Place, Accepted] = field(default_factory=dict)
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    reviews: Mapping[str, ReviewWord] = field(default_factory=dict)
    document: str = ""
    nonces: frozenset[str] = frozenset()
    ignored: tuple[Ignored, ...] = ()
    ignored_count: int = 0

    def row(self, environment: str, row: str) -> RowStanding:
        """What is known of `row` in `environment`; nothing, mostly."""
        return self.rows.get((environment, row), _NOTHING)

    def evidence(self, about: str, environment: str) -> list[int]:
        """The last entries that counted for the row `about`, or for the rows of that risk; an empty environment is any.

        The newest first; older ones than those that each row remembers are in the log only.
        """
        risk = risk_of(about)
        named = (
            known.evidence
            for (where, row), known in self.rows.items()
            if (row == about or (risk == about and risk_of(row) == risk)) and environment in ("", where)
        )
        return sorted({index for indices in named for index in indices}, reverse=True)

    def contradicting(self, environment: str) -> tuple[Incident, ...]:
        """The incidents of `environment` that still contradict something."""
        return tuple(one for one in self.incidents.values() if one.environment == environment and one.contradicts)


_NOTHING = RowStanding()


def fold(standing: Standing, entries: Iterable[Entry]) -> Standing:
    """`standing` with `entries` added, which follow it in the log. Folding them one by one comes to the same."""
    return _Draft(standing).folded(entries)


class _Draft:
    """A standing in the making: whoever folds many entries copies the tables once."""

    def __init__(self, standing: Standing) -> None:
        self._before = standing
        self._rows = dict(standing.rows)
        self._acceptances = dict(standing.acceptances)
        self._incidents = dict(standing.incidents)
        self._reviews = dict(standing.reviews)
        self._document = standing.document
        self._nonces = set(standing.nonces)
        self._ignored: list[Ignored] = []
        self._reproduced_by: dict[tuple[str, str, str], set[str]] = {}
        for incident in standing.incidents.values():
            self._note_links(incident)

    def folded(self, entries: Iterable[Entry]) -> Standing:
        before = self._before
        size, last_at = before.size, before.last_at
        for entry in entries:
            self._hear(testimony.read(entry, before.tenant))
            size, last_at = entry.index + 1, max(last_at, entry.at.timestamp())
        return replace(
            before,
            size=size,
            last_at=last_at,
            rows=self._rows,
            acceptances=self._acceptances,
            incidents=self._incidents,
            reviews=self._reviews,
            document=self._document,
            nonces=frozenset(self._nonces),
            ignored=(*before.ignored, *self._ignored)[-_IGNORED_KEPT:],
            ignored_count=before.ignored_count + len(self._ignored),
        )

    def _hear(self, said: Testimony) -> None:
        match said:
            case Verdict() | Unusable():
                self._hear_drill(said)
            case Ignored():
                self._ignored.append(said)
            case Attestation() | Acceptance() | IncidentWord() | ReviewWord() | DocumentWord():
                if said.nonce in self._nonces:
                    self._ignored.append(Ignored(said.index, "it was said before: somebody brought it up again."))
                    return
                self._nonces.add(said.nonce)
                self._hear_person(said)

    def _hear_drill(self, said: Verdict | Unusable) -> None:
        if isinstance(said, Verdict) and not self._has_placebo(said):
            why = "it links no scratch drill of the same control, so that nothing shows what its bare peer does."
            said = Unusable(said.index, said.at, said.nonce, said.environment, said.row, said.variant, why)
        place = (said.environment, said.row)
        row = self._rows.get(place, _NOTHING)
        known = row.variants.get(said.variant, _UNDRILLED)
        after = known.after(said)
        if after is known:
            self._ignored.append(Ignored(said.index, "this drill's evidence is in the log already."))
            return
        self._rows[place] = row.after(said.index, variants={**row.variants, said.variant: after})
        if isinstance(said, Verdict) and said.outcome == "failed":
            self._reopen((said.environment, risk_of(said.row)), Mark(said.index, said.at))
        if isinstance(said, Verdict) and said.outcome == "held":
            self._lift(said)

    def _has_placebo(self, said: Verdict) -> bool:
        # whether it is that very drill is not asked: any of this digest that held had its placebo fail as it must; not
        # so any more when the placebo has held since
        if said.environment in SCRATCH:
            return True
        scratch = (self._rows.get((place, said.row), _NOTHING).variants.get(said.variant) for place in SCRATCH)
        return said.placebo_of is not None and any(
            one and one.invalid is None and one.tally(said.digest).passes for one in scratch
        )

    def _reopen(self, place: Place, mark: Mark) -> None:
        accepted = self._acceptances.get(place)
        if accepted is not None and accepted.reopened is None:
            self._acceptances[place] = replace(accepted, reopened=mark)

    def _lift(self, held: Verdict) -> None:
        for id in self._reproduced_by.get((held.environment, risk_of(held.row), held.variant), ()):
            incident = self._incidents[id]
            is_later = held.at >= incident.links[held.variant].at
            if incident.contradicts and is_later and held.experiment not in incident.known:
                self._incidents[id] = replace(incident, lifted=Mark(held.index, held.at))

    def _hear_person(self, said: Attestation | Acceptance | IncidentWord | ReviewWord | DocumentWord) -> None:
        match said:
            case Attestation():
                place = (said.environment, said.row)
                self._rows[place] = self._rows.get(place, _NOTHING).after(said.index, attestation=said)
            case Acceptance():
                self._acceptances[said.environment, said.risk] = Accepted(said)
            case ReviewWord():
                self._reviews[said.kind] = said
            case DocumentWord():
                self._document = said.digest
            case IncidentWord():
                self._hear_of_incident(said)

    def _hear_of_incident(self, said: IncidentWord) -> None:
        mark = Mark(said.index, said.at)
        incident = self._incidents.get(said.incident)
        if said.action == "declared" and incident is None:
            self._incidents[said.incident] = Incident(
                said.incident, said.environment, said.risk, said.rows, mark, known=self._experiments(said.risk)
            )
        elif incident is None or (said.environment, said.risk) != (incident.environment, incident.risk):
            self._ignored.append(Ignored(said.index, "it speaks of an incident that was not declared there."))
        elif said.action == "linked":
            self._incidents[incident.id] = replace(incident, links={**incident.links, said.variant: mark})
            self._note_links(self._incidents[incident.id])
        elif said.action == "closed" and incident.closed is None:
            self._incidents[incident.id] = replace(incident, closed=mark)
        else:
            self._ignored.append(Ignored(said.index, "the incident was declared or closed before."))

    def _note_links(self, incident: Incident) -> None:
        for variant in incident.links:
            self._reproduced_by.setdefault((incident.environment, incident.risk, variant), set()).add(incident.id)

    def _experiments(self, risk: str) -> frozenset[str]:
        # in whichever environment they ran: none of them had shown what then happened
        return frozenset(
            experiment
            for (_, row), standing in self._rows.items()
            if risk_of(row) == risk
            for drilled in standing.variants.values()
            for experiment in drilled.tried
        )


_UNDRILLED = Drilled()
