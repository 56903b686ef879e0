"""A commit may want to be held to the register: what fails, is stale or was never proven then stops its release."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.register import reviews
from prodsprints.register.agenda import Agenda
from prodsprints.register.errors import RegisterError
from prodsprints.register.model import Cadence
from prodsprints.release import prepare, workflow
from prodsprints.release.run import Outcome, Run

Ask = Callable[[str], Outcome]


@pytest.fixture
def reviewed(release: Callable[[str], Run]) -> Ask:
    """The register's step of a release with that `gate`; the review that the document has missed was held."""

    def ask(gate: str) -> Outcome:
        run = release(f"version: 1\n{gate}\n")
        keyring = Keyring.open(run.settings.home)
        ledger = Ledger(run.db, run.environment.tenant_id, keyring)
        reviews.record(
            run.db, ledger, id=uuid4(), kind=Cadence.MONTHLY, due=None, attendees="ada", decisions="Go on.",
            agenda=Agenda(Cadence.MONTHLY, ()), actor="ada",
        )  # fmt: skip
        Sequencer(run.db, keyring, Witness.open(run.settings)).sequence(ledger.tenant_id)
        return run.step(3, "register", prepare.register)

    return ask


def test_a_commit_without_a_gate_is_not_held_to_the_register_and_its_release_says_so(
    release: Callable[[str], Run],
) -> None:
    outcome = release("version: 1\n").step(3, "register", prepare.register)
    assert outcome.status == "skipped"
    assert "the register was not asked" in outcome.summary


def test_a_review_that_is_overdue_refuses_the_release(release: Callable[[str], Run]) -> None:
    outcome = release("version: 1\ngate: {}\n").step(3, "register", prepare.register)
    assert outcome.status == "refused"
    assert "overdue review" in str(outcome.detail["findings"])


def test_what_was_never_proven_does_not_block_unless_it_is_required(reviewed: Ask) -> None:
    assert reviewed("gate: {}").status == "done"
    required = reviewed("gate: {require: [S004.2]}")
    assert required.status == "refused"
    assert [one["value"].partition(":")[0] for one in required.detail["findings"]] == ["not proven"]


def test_a_requirement_that_names_nothing_is_said_so(reviewed: Ask) -> None:
    outcome = reviewed("gate: {require: [S0042]}")
    assert outcome.status == "failed"
    assert "S0042" in outcome.summary
    assert RegisterError.code in str(outcome.detail)


def test_the_register_is_asked_before_anything_is_built() -> None:
    assert workflow._POSITIONS["register"] < workflow._POSITIONS["tests"]
