"""What is privileged is in the audit log before it is done, by whichever way it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import httpx
import pytest

from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Database
from prodsprints.web.app import create_app
from prodsprints.web.site import Site
from support_storm import ROW
from web.support_drills import ENTRY, with_drills
from web.support_workshop import Day

Noted = Callable[[], list[tuple[str, str, str]]]


@pytest.fixture
def furnish() -> Callable[[Site], Site]:
    return lambda site: with_drills(site, ENTRY)


@pytest.fixture
def noted(settings: Settings, database: Database, tenant: UUID) -> Iterator[Noted]:
    site: Site = create_app(settings, database).state.site

    def operations() -> list[tuple[str, str, str]]:
        Sequencer(database, Keyring.open(settings.home), Witness.open(settings)).sequence(tenant)
        return [(one.person, one.action, one.subject) for one in site.audit(tenant).operations()]

    yield operations
    with database.tenant(tenant) as connection:
        connection.execute("update drill_runs set status = 'ended', outcome = 'none' where status <> 'ended'")


def test_every_privileged_operation_is_noted_with_who_asked_for_it(
    writer: httpx.Client, day: Day, noted: Noted
) -> None:
    running, environment = day.running, day.environment
    for path, body in (
        (f"/v1/releases/{running.id}/promote", None),
        (f"/v1/releases/{running.id}/abort", None),
        (f"/v1/environments/{environment.id}/unlock", {"force": True}),
        (f"/v1/environments/{environment.id}/rollback", None),
        (f"/v1/drills/{ROW}/runs", {}),
    ):
        answer = writer.post(path, json=body)
        assert answer.status_code < 300, answer.text
    assert noted() == [
        ("ada", "promote", f"release {running.id}"),
        ("ada", "abort", f"release {running.id}"),
        ("ada", "unlock by force", f"environment {environment.id}"),
        ("ada", "roll back", f"environment {environment.id}"),
        ("ada", "drill", f"{ROW} throttling-storm in demo"),
    ]
    shown = [entry["about"] for entry in writer.get("/v1/evidence").json()["items"] if entry["what"] == "Operation"]
    assert shown[0].startswith("drill R001.1")


def test_a_request_that_is_sent_again_is_one_operation(writer: httpx.Client, noted: Noted) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    for _ in range(3):
        assert writer.post(f"/v1/drills/{ROW}/runs", json={}, headers=key).status_code == 202
    assert len(noted()) == 1


def test_what_is_refused_before_it_begins_is_no_operation(
    client: httpx.Client, writer: httpx.Client, day: Day, noted: Noted
) -> None:
    assert client.post(f"/v1/releases/{day.running.id}/abort").status_code == 401
    assert writer.post(f"/v1/releases/{uuid4()}/abort").status_code == 404
    assert writer.post("/v1/drills/R002.1/runs", json={}).status_code == 422
    assert noted() == []
