"""Key risk indicators: figures of our own releases and incidents; what was not measured is no figure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.register import kris
from prodsprints.register.attestations import Attestation
from prodsprints.register.kris import Facts, Reading, ReleaseFact, TrafficFact
from prodsprints.register.summary import Review
from prodsprints.release import records
from prodsprints.store.database import Database

TODAY = date(2026, 11, 23)
NOT_MEASURED = {"satisfaction", "churn"}


def release(status: str = "released", *, kind: str = "release", back: int = 0) -> ReleaseFact:
    return ReleaseFact(TODAY - timedelta(days=back), kind, status, None, None, 60.0)


endings = st.sampled_from(["released", "rolled_back", "failed", "aborted"])
kinds = st.sampled_from(["release", "rollback"])


def read(facts: Facts) -> dict[str, Reading]:
    return {reading.id: reading for reading in kris.readings(facts, TODAY)}


def test_what_has_no_data_says_so_and_gives_no_number() -> None:
    readings = read(Facts())
    silent = {id for id, reading in readings.items() if reading.state == "no-data"}
    assert silent == set(readings) - {"security-incidents", "audit-findings"}
    for id in silent:
        assert readings[id].value is None
        assert str(readings[id]).endswith(": no data")
        assert {point.value for point in readings[id].series} == {None}


def test_nothing_measures_what_customers_feel_yet() -> None:
    full = Facts([release()], [TrafficFact(TODAY, 100, 1)], [TODAY], TODAY)
    assert {id for id, reading in read(full).items() if reading.state == "no-data"} == NOT_MEASURED | {
        "verdict-time",
        "rollback-time",
    }


def test_deployments_are_counted_by_how_they_ended() -> None:
    readings = read(Facts([release()] * 7 + [release("rolled_back")] * 2 + [release("refused")]))
    assert (readings["deployment-success"].value, readings["deployment-success"].state) == (70.0, "breach")
    assert (readings["rollback-rate"].value, readings["rollback-rate"].state) == (20.0, "breach")


def test_a_rollback_by_hand_counts_as_one_and_as_no_deployment() -> None:
    readings = read(Facts([*[release()] * 10, release(kind="rollback")]))
    assert readings["deployment-success"].value == 100.0
    assert (readings["rollback-rate"].value, readings["rollback-rate"].state) == (10.0, "ok")


def test_a_series_has_a_point_for_each_day_and_none_where_nothing_happened() -> None:
    series = read(Facts([release(back=0), release("failed", back=2)]))["deployment-success"].series
    assert len(series) == kris.WINDOW_DAYS
    assert [point.value for point in series[-3:]] == [0.0, None, 100.0]
    assert series[-1].day == TODAY


def test_availability_is_of_all_requests_not_of_days() -> None:
    traffic = [TrafficFact(TODAY, 10, 5), TrafficFact(TODAY - timedelta(days=1), 9_990, 0)]
    reading = read(Facts(traffic=traffic))["availability"]
    assert reading.value == pytest.approx(99.95)
    assert reading.state == "ok"


def test_a_finding_grows_older_by_the_day() -> None:
    reading = read(Facts(oldest_finding=TODAY - timedelta(days=9)))["audit-findings"]
    assert (reading.value, reading.state) == (9.0, "warn")
    assert [point.value for point in reading.series[-3:]] == [7.0, 8.0, 9.0]
    assert reading.series[0].value is None


def test_the_oldest_finding_is_a_review_that_did_not_happen_or_a_signature_that_nobody_renewed() -> None:
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def signed(row: str, *, made: int, ends: int, is_signed: bool = True) -> Attestation:
        when = (at + timedelta(days=ends), at + timedelta(days=made))
        return Attestation(uuid4(), "demo", row, "p", "x", *when, is_signed)

    renewed = [signed("S001.5", made=-90, ends=-60), signed("S001.5", made=-30, ends=60)]
    lapsed = signed("O001.5", made=-90, ends=-9)
    forged = signed("O003.5", made=-90, ends=-80, is_signed=False)
    assert kris.oldest_finding([], [*renewed, forged], at) is None
    assert kris.oldest_finding([], [*renewed, lapsed], at) == date(2026, 11, 14)
    assert kris.oldest_finding([Review("x", date(2024, 2, 1))], [lapsed], at) == date(2024, 2, 1)


@given(st.lists(st.builds(release, endings, kind=kinds, back=st.integers(0, 29))))
def test_a_share_is_never_outside_its_scale(releases: list[ReleaseFact]) -> None:
    readings = read(Facts(releases))
    for id in ("deployment-success", "rollback-rate"):
        for value in [readings[id].value, *(point.value for point in readings[id].series)]:
            assert value is None or 0 <= value <= 100


@pytest.mark.parametrize("indicator", kris.INDICATORS, ids=lambda one: one.id)
def test_a_threshold_is_reached_only_behind_the_warning(indicator: kris.Indicator) -> None:
    assert indicator.state(None) == "no-data"
    assert indicator.state(indicator.warn) == "ok"
    assert indicator.state(indicator.breach) in ("ok", "warn")
    further = indicator.breach + (-1e-6 if indicator.direction == "at least" else 1e-6)
    assert indicator.state(further) == "breach"
    assert indicator.owner


def test_the_facts_are_those_of_our_own_releases_and_of_no_other_tenant(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    environment = records.ensure_environment(
        database, tenant, project="shop", repository="/srv/shop", environment="production", node="n"
    )
    made = records.add(
        database, environment, id=uuid4(), kind="release", repository="/srv/shop", commit="a" * 40, label="v1",
        requested_by="ada",
    )  # fmt: skip
    records.finish(
        database, made, status="rolled_back", reason="x", figures={"verdict_seconds": 12.5, "rollback_seconds": 0.01},
        serves=False, fencing_token=None,
    )  # fmt: skip
    with database.tenant(tenant) as connection:
        connection.execute("insert into release_ticks values (default, %s, 0, 1, 1, 600, 1, 400, 9)", [made.id])
        connection.execute(
            "insert into incidents (id, environment, risk_id, row_ids, title, what_happened, security)"
            " values (gen_random_uuid(), 'demo', 'S004', '{}', 'x', 'x', true)"
        )
        [row] = connection.execute("select (now() at time zone 'UTC')::date as day").fetchall()
    today = row["day"]
    readings = {one.id: one for one in kris.readings(kris.facts(database, tenant, today, oldest_finding=None), today)}
    values = {id: reading.value for id, reading in readings.items()}
    assert values["availability"] == pytest.approx(99.0)
    assert (values["deployment-success"], values["rollback-rate"], values["security-incidents"]) == (0, 100, 1)
    assert (values["verdict-time"], values["rollback-time"]) == (12.5, 0.01)
    assert kris.facts(database, other_tenant, today, oldest_finding=None) == Facts([], [], [])
