"""The status of one row: a pure function of what the register says, what the ledger says, and the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from prodsprints.register.drilled import Drilled, Mark
from prodsprints.register.effectiveness import effectiveness
from prodsprints.register.model import Kind, Mitigation
from prodsprints.register.standing import Incident, RowStanding
from prodsprints.register.testimony import PEER_CLASSES, Attestation


class Status(StrEnum):
    """What is known of a row in one environment; worst first, and the worst of a row's parts is the row's."""

    INVALID = "invalid"
    CONTRADICTED = "contradicted"
    FAILING = "failing"
    UNPROVEN = "unproven"
    STALE = "stale"
    ATTESTED = "attested"
    PROVEN = "proven"

    @property
    def place(self) -> int:
        """0 for the worst."""
        return _PLACES[self]

    @property
    def is_good(self) -> bool:
        """Proven, or a person signed for it and the signature has not expired."""
        return self is Status.PROVEN or self is Status.ATTESTED


_DAY_SECONDS = 86_400
_PEERS = {"service": "the real service", "engine": "the real program", "double": "a double"}
_UNDRILLED = Drilled()
_PLACES = {status: place for place, status in enumerate(Status)}


class RowStatus(NamedTuple):
    """The status of `row` in `environment`, and why; `evidence` is the index of what it rests on.

    Its moments are kept as seconds since 1970: there are as many of them as rows, and few are ever looked at.
    """

    row: str
    environment: str
    status: Status
    reason: str
    evidence: int | None = None
    peer_class: str = ""
    effectiveness: float = 0.0
    attestation_expired: bool = False
    since_at: float | None = None
    held_at: float | None = None
    until_at: float | None = None

    @property
    def since(self) -> datetime | None:
        """When the evidence was made that it rests on."""
        return _moment(self.since_at)

    @property
    def drilled_at(self) -> datetime | None:
        """When its drills were last held, by the oldest of several variants."""
        return _moment(self.held_at)

    @property
    def until(self) -> datetime | None:
        """When time alone would change the status."""
        return _moment(self.until_at)

    def age_seconds(self, now: datetime) -> float | None:
        """How old the evidence is that the row was last held; None if it never was."""
        return None if self.held_at is None else max(0.0, now.timestamp() - self.held_at)


@dataclass(frozen=True)
class Counts:
    """How many risks and rows there are, and how many rows have which status: these seven add up to `mitigations`."""

    risks: int
    mitigations: int
    proven: int
    attested: int
    unproven: int
    stale: int
    failing: int
    contradicted: int
    invalid: int

    @staticmethod
    def of(risks: int, statuses: Iterable[Status]) -> Counts:
        """Count them."""
        counted = Counter(statuses)
        return Counts(risks, counted.total(), **{str(status): counted[status] for status in Status})

    def as_json(self) -> dict[str, int]:
        """As `make run ONCE=1` and the API show them."""
        return asdict(self)


def status_of(
    mitigation: Mitigation,
    standing: RowStanding,
    incidents: Iterable[Incident],
    digests: Mapping[str, str],
    environment: str,
    now: datetime,
) -> RowStatus:
    """The status of `mitigation` in `environment` at `now`.

    `standing` is what the log holds of it there, `incidents` those of the environment, and `digests` the control digest
    of each of its drills by variant as they are now. `now` is the later of the database's time and the last
    checkpoint's, so that a clock that goes backwards makes nothing fresh.
    """
    at = now.timestamp()
    parts = _contradictions(mitigation, incidents)
    if mitigation.kind is not Kind.ATTESTATION:
        parts += _drill_parts(mitigation, standing, digests, at)
    if mitigation.kind is not Kind.CONTROL:
        parts.append(_signature_part(standing.attestation, at))
    worst = parts[0] if len(parts) == 1 else min(parts, key=_place)
    held = [one for variant in digests if (one := standing.variants.get(variant)) and one.held]
    ends = [part.until for part in parts if part.until is not None]
    return RowStatus(
        row=mitigation.id,
        environment=environment,
        status=worst.status,
        reason=worst.reason,
        evidence=worst.mark.index if worst.mark else None,
        peer_class=max((one.peer_class for one in held), key=PEER_CLASSES.index) if held else "",
        effectiveness=_credited(standing, digests) if worst.status is Status.PROVEN else 0.0,
        attestation_expired=standing.attestation is not None and standing.attestation.expires_at <= at,
        since_at=worst.mark.at if worst.mark else None,
        held_at=min(one.held.at for one in held if one.held) if held else None,
        until_at=min(ends) if ends else None,
    )


class _Part(NamedTuple):
    """The status of one of the things that a row rests on, and until when it lasts by itself."""

    status: Status
    reason: str
    mark: Mark | None = None
    until: float | None = None


def _place(part: _Part) -> int:
    return _PLACES[part.status]


def _contradictions(mitigation: Mitigation, incidents: Iterable[Incident]) -> list[_Part]:
    return [
        _Part(
            Status.CONTRADICTED,
            f"Incident {incident.id} happened; it stands until an experiment that was changed, is linked to it and "
            "reproduces it is held.",
            incident.declared,
        )
        for incident in incidents
        if incident.contradicts and incident.concerns(mitigation.id)
    ]


def _drill_parts(mitigation: Mitigation, standing: RowStanding, digests: Mapping[str, str], now: float) -> list[_Part]:
    parts = [] if standing.variants.keys() <= digests.keys() else list(_retired_parts(standing, digests))
    if mitigation.missing_software:
        lacking = " and ".join(f"no {part}" for part in mitigation.missing_software)
        parts.append(_Part(Status.UNPROVEN, f"It has {lacking} yet."))
    elif not digests:
        last = max(
            (one.held for one in standing.variants.values() if one.held), key=lambda mark: mark.index, default=None
        )
        parts.append(_Part(Status.STALE if last else Status.UNPROVEN, "Its drills cannot be imported here.", last))
    for variant, digest in digests.items():
        drilled = standing.variants.get(variant, _UNDRILLED)
        parts.append(_variant_part(variant, drilled, digest, mitigation.max_age_days, now))
    return parts


def _retired_parts(standing: RowStanding, digests: Mapping[str, str]) -> Iterator[_Part]:
    # A drill that failed does not go away by being taken off the list: the drills that are on it have to pass as often.
    present = [standing.variants.get(variant, _UNDRILLED) for variant in digests]
    for variant, drilled in standing.variants.items():
        if variant in digests or not drilled.is_failing or drilled.failed is None:
            continue
        if not present or not all(one.passed_since(drilled.failed.index) for one in present):
            yield _Part(Status.FAILING, f"{variant} failed, and is no longer drilled.", drilled.failed)


def _variant_part(variant: str, drilled: Drilled, digest: str, max_age_days: int, now: float) -> _Part:
    if drilled.invalid is not None:
        return _Part(Status.INVALID, f"{variant}: {drilled.why_invalid}", drilled.invalid)
    if drilled.is_failing:
        passes = f"{drilled.owed_passes} more pass{'' if drilled.owed_passes == 1 else 'es'}"
        return _Part(Status.FAILING, f"{variant} failed; it needs {passes} in a row.", drilled.failed)
    if drilled.held is None:
        return _Part(Status.UNPROVEN, f"{variant} has not been drilled here.")
    if drilled.digest != digest:
        return _Part(Status.STALE, f"{variant}: the control was changed since it was drilled.", drilled.held)
    until = drilled.held.at + max_age_days * _DAY_SECONDS
    if now >= until:
        return _Part(Status.STALE, f"{variant}: it was last held {max_age_days} days ago, or before.", drilled.held)
    return _Part(Status.PROVEN, f"{variant} held, against {_PEERS[drilled.peer_class]}.", drilled.held, until)


def _signature_part(signed: Attestation | None, now: float) -> _Part:
    if signed is None:
        return _Part(Status.UNPROVEN, "Nobody has signed for it here.")
    mark = Mark(signed.index, signed.at)
    if now >= signed.expires_at:
        return _Part(Status.STALE, "What was signed for it has expired.", mark)
    return _Part(Status.ATTESTED, "A person signed for it.", mark, signed.expires_at)


def _credited(standing: RowStanding, digests: Mapping[str, str]) -> float:
    passes = failures = 0
    for variant, digest in digests.items():
        drilled = standing.variants[variant]
        if drilled.owed_days:
            return 0.0
        tally = drilled.tally(digest)
        passes += tally.passes
        failures += tally.counted_failures
    return effectiveness(passes, failures)


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
