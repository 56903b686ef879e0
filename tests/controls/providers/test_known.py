"""What the drills know of buckets and workers is what they do."""

from __future__ import annotations

from prodsprints.controls.providers import known
from prodsprints.store import scratch
from prodsprints.store.embedded import EmbeddedPostgres


def test_a_bucket_and_a_circuit_answer_what_was_worked_out(postgres: EmbeddedPostgres) -> None:
    with scratch.database(postgres.admin_address("postgres")) as store:
        assert known.wrong_about_buckets(store) == ""
        assert known.wrong_about_circuits(store) == ""


def test_a_worker_answers_what_was_worked_out() -> None:
    assert known.wrong_about_breakers() == ""
    assert known.wrong_about_workers() == ""
