"""The statement that a run makes in its tenant's ledger."""

from __future__ import annotations

import secrets
from typing import Any

from prodsprints.drills.arms import Look
from prodsprints.drills.engine import Result
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.clock import iso
from prodsprints.ledger.statement import PredicateType, Statement, Subject

_OUTSIDE = "nothing outside of the sources is executed by the treatment alone"


def statement(
    result: Result, *, placebo_journal: str | None = None, placebo_of: int | None = None, nonce: str | None = None
) -> Statement:
    """What `result` says; only a run with a verdict says anything.

    Outside of scratch environments the placebo arm is that of an earlier run: `placebo_journal` is its journal's hash
    and `placebo_of` the index of its evidence.
    """
    if result.outcome is Outcome.NONE:
        raise ValueError("a run without a verdict is no evidence")
    experiment = result.experiment
    if result.placebo_journal is not None:
        placebo_journal = result.placebo_journal.sha256
    journals = {"journal/treatment": result.treatment_journal.sha256, "journal/placebo": placebo_journal}
    predicate: dict[str, Any] = {
        "result": "PASSED" if result.outcome is Outcome.HELD else "FAILED",
        "configuration": [
            {"name": name, "digest": {"sha256": digest}} for name, digest in journals.items() if digest is not None
        ],
        "passedTests": _names(result.treatment.looks, holds=True),
        "failedTests": [*_names(result.treatment.looks, holds=False), *([_OUTSIDE] if result.outside else [])],
        "drill": {
            "tenant": str(result.tenant),
            "environment": result.environment,
            "target": result.target,
            "row": experiment.row,
            "variant": experiment.variant,
            "outcome": str(result.outcome),
            "experiment": result.experiment_sha256,
            "safety": str(experiment.safety),
            "peers": [
                {"name": peer.name, "version": peer.version, "class": str(peer.peer_class)} for peer in experiment.peers
            ],
            "scale": experiment.scale,
            "started_at": iso(result.started_at),
            "finished_at": iso(result.finished_at),
            "nonce": nonce or secrets.token_hex(16),
            "placebo_of": placebo_of,
            "measured": dict(result.measured),
        },
    }
    return Statement(PredicateType.TEST_RESULT, (Subject(experiment.row, result.digest),), predicate)


def _names(looks: tuple[Look, ...], *, holds: bool) -> list[str]:
    return [look.name for look in looks if look.holds is holds]
