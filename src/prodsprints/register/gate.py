"""The gate: whether a release may pass the register as it stands, and what keeps it from passing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from prodsprints.kernel.errors import ExitCode
from prodsprints.kernel.validation import nearest
from prodsprints.register.assessment import Assessment, LogState
from prodsprints.register.errors import RegisterError
from prodsprints.register.model import Mitigation
from prodsprints.register.rating import Level
from prodsprints.register.register import Register
from prodsprints.register.status import RowStatus, Status
from prodsprints.register.summary import Review

_REFUSED = (Status.INVALID, Status.CONTRADICTED, Status.FAILING, Status.STALE)
_SUITE = "register gate"


@dataclass(frozen=True)
class Refusal:
    """One thing that has to change first: of which kind, about what, and why; `evidence` is an index in the log."""

    kind: str
    subject: str
    sentence: str
    evidence: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.sentence}"


@dataclass(frozen=True)
class Gate:
    """What the gate says: it is open unless there is a refusal. `looked_at` is all that could have been refused."""

    environment: str
    refusals: tuple[Refusal, ...]
    looked_at: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Nothing is refused."""
        return not self.refusals

    @property
    def exit_code(self) -> ExitCode:
        """What a command that asked ends with."""
        return ExitCode.DONE if self.is_open else ExitCode.REFUSED

    def as_text(self) -> str:
        """For people: one line for each refusal, and what it comes to."""
        if self.is_open:
            return (
                f"The register lets {self.environment} pass: nothing that was proven fails, contradicts or is stale.\n"
            )
        count = len(self.refusals)
        total = f"Refused in {self.environment}: {count} thing{'' if count == 1 else 's'} to put right first."
        return "\n".join([*map(str, self.refusals), total, ""])

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "schema": 1,
            "environment": self.environment,
            "open": self.is_open,
            "refusals": [
                {"kind": one.kind, "subject": one.subject, "sentence": one.sentence, "evidence": one.evidence}
                for one in self.refusals
            ],
        }

    def as_junit(self) -> str:
        """For CI: one test case for everything that was looked at, failed where it was refused."""
        refused: dict[str, list[Refusal]] = {}
        for refusal in self.refusals:
            refused.setdefault(refusal.subject, []).append(refusal)
        counts = {"tests": str(len(self.looked_at)), "failures": str(len(refused))}
        root = Element("testsuites", {"name": _SUITE, **counts})
        suite = SubElement(root, "testsuite", {"name": f"{_SUITE}: {self.environment}", **counts, "errors": "0"})
        for subject in self.looked_at:
            case = SubElement(suite, "testcase", {"classname": "register", "name": subject})
            found = refused.get(subject)
            if found:
                kinds = ", ".join(one.kind for one in found)
                failure = SubElement(case, "failure", {"type": kinds, "message": found[0].sentence})
                failure.text = "\n".join(map(str, found))
        return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def check(
    assessment: Assessment, register: Register, reviews: Collection[Review], requirements: Collection[str] = ()
) -> Gate:
    """What refuses a release in the assessed environment; `reviews` are the overdue ones.

    A row that was never proven is refused only where `requirements` name it: by its id, its risk's, or the word of its
    risk's level. Raises RegisterError for a requirement that names nothing.
    """
    required = _required(register, requirements)
    refusals = [
        *_log_refusals(assessment),
        *(refusal for row in register.mitigations for refusal in _row_refusals(assessment, row, row.id in required)),
        *(Refusal("overdue review", review.subject, f"It was due on {review.due}.") for review in reviews),
    ]
    looked_at = ["the log", *(row.id for row in register.mitigations), *(review.subject for review in reviews)]
    return Gate(assessment.environment, tuple(refusals), tuple(looked_at))


def _required(register: Register, requirements: Iterable[str]) -> set[str]:
    by_name: dict[str, set[str]] = {str(level): set() for level in Level}
    for risk in register.risks:
        rows = {row.id for row in risk.mitigations}
        by_name[risk.id] = rows
        by_name[str(risk.level)] |= rows
        by_name |= {row: {row} for row in rows}
    required: set[str] = set()
    for name in requirements:
        if name not in by_name:
            hint = nearest(name, by_name) or "."
            raise RegisterError(
                f"gate.require names {name[:60]!r}, which is no row, no risk and no level{hint}",
                next_step="Write ids such as R001.1 or R001, or critical, high, medium, low.",
            )
        required |= by_name[name]
    return required


def _log_refusals(assessment: Assessment) -> Iterator[Refusal]:
    if assessment.log.state is LogState.TAMPERED:
        yield Refusal("tampered", "the log", assessment.log.reason)


def _row_refusals(assessment: Assessment, row: Mitigation, is_required: bool) -> Iterator[Refusal]:
    status: RowStatus = assessment.rows[row.id]
    is_one_of_all = assessment.log.state is LogState.TAMPERED  # the log itself was refused: that says it once
    if status.status in _REFUSED and not is_one_of_all:
        yield Refusal(str(status.status), row.id, status.reason, status.evidence)
    elif status.attestation_expired and not is_one_of_all:
        yield Refusal("expired attestation", row.id, "What was signed for it has expired.", status.evidence)
    elif is_required and not status.status.is_good:
        yield Refusal("not proven", row.id, f"gate.require asks for it. {status.reason}", status.evidence)
