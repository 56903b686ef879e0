"""The trend: every day as it was, from the log alone, and what moved it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from prodsprints.register.assessment import Log, LogState, assess
from prodsprints.register.register import Register
from prodsprints.register.status import Status
from prodsprints.register.trend import Trend, trend
from register import support_log as said
from register.support_log import BEGIN, DAY, HOUR, sha

NOW = BEGIN + 9 * DAY
VERIFIED = Log(LogState.VERIFIED)


def moved(register: Register, log: said.Log, digests: dict[str, dict[str, str]] | None = None) -> Trend:
    return trend(
        register, log.entries, tenant=said.TENANT, environment="demo", digests=digests or {}, log=VERIFIED, now=NOW,
        days=10,
    )  # fmt: skip


def test_a_signature_shows_from_its_day_until_it_expires(register: Register) -> None:
    log = said.Log().add(said.attestation("S001.5", expires=BEGIN + 5 * DAY - HOUR), BEGIN + 2 * DAY)
    found = moved(register, log)
    assert [point.counts.attested for point in found.points] == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0]
    assert [(move.day.day, move.row, move.before, move.after) for move in reversed(found.moves)] == [
        (4, "S001.5", Status.UNPROVEN, Status.ATTESTED),
        (7, "S001.5", Status.ATTESTED, Status.STALE),
    ]
    assert all(move.reason for move in found.moves)


def test_what_was_heard_before_the_window_counts_in_it(register: Register) -> None:
    log = said.Log().add(said.attestation("S001.5", expires=BEGIN + 30 * DAY), BEGIN - 40 * DAY)
    assert [point.counts.attested for point in moved(register, log).points] == [1] * 10
    assert moved(register, log).moves == ()


def test_the_last_day_is_what_an_assessment_of_now_says(register: Register) -> None:
    log = said.Log()
    for number, row in enumerate(["S001.5", "O001.5", "O003.5"]):
        log.add(said.attestation(row, expires=NOW + DAY), BEGIN + number * DAY)
    now = assess(register, log.standing, {}, "demo", NOW, VERIFIED)
    last = moved(register, log).points[-1]
    assert last.counts == now.counts
    assert last.events_per_year == pytest.approx(sum(risk.residual.events_per_year for risk in now.risks.values()))


def test_a_drill_counts_on_its_days_although_its_control_has_changed_since(register: Register) -> None:
    limits = register.risk("R001")
    named = replace(limits.mitigations[0], control="a.b:c", drills=("a.b:d",), lacks=())
    drilled = replace(register, risks=(replace(limits, mitigations=(named, *limits.mitigations[1:])),))
    log = said.Log()
    for day in range(8):
        log.drill("held", row="R001.1", variant="storm", digest="old", at=BEGIN + day * DAY)
    points = moved(drilled, log, {"R001.1": {"storm": sha("new")}}).points
    assert [point.counts.proven for point in points[:8]] == [1] * 8
    assert points[-1].counts.proven == 0
    assert points[-1].counts.stale == 1


def test_the_statuses_of_each_day_add_up_and_the_days_have_no_gap(register: Register) -> None:
    points = moved(register, said.Log()).points
    assert [point.day for point in points] == [(NOW - timedelta(days=back)).date() for back in reversed(range(10))]
    for point in points:
        counts = point.counts.as_json()
        assert sum(counts[str(status)] for status in Status) == counts["mitigations"] == 117
        assert sum(point.ratings.values()) == 24


def test_a_trend_is_json(register: Register) -> None:
    told = moved(register, said.Log()).as_json()
    assert len(told["points"]) == 10
    assert set(told["points"][0]["ratings"]) == {"critical", "high", "medium", "low"}
