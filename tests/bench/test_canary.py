"""The canary benchmark: its peers are what they claim to be, its lines have the documented shape, its figures hold."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace

import pytest

from prodsprints import bench
from prodsprints.bench.errors import MissingPackageError, UnknownBenchError
from prodsprints.bench.report import Figure, Result, emit, interleave

np = pytest.importorskip("numpy", reason="the bench extra is not installed")
stats = pytest.importorskip("scipy.stats", reason="the bench extra is not installed")

from prodsprints.bench import canary, peers, streams  # noqa: E402 - they need NumPy


def measured(name: str, *, runs: int) -> Result:
    case = next(case for case in canary._CASES if case.name == name)
    return replace(case, runs=runs).measure(seed=11)


@pytest.mark.parametrize("name", ["healthy", "global-incident", "x10-detection", "kept-2-delta"])
def test_the_promises_hold_on_a_small_sample(name: str) -> None:
    result = measured(name, runs=200)
    assert result.bound is not None
    assert result.ours.value is not None
    slack = 1.3 if result.unit == "s" else 1.0
    assert result.ours.value <= slack * result.bound


def test_what_most_runs_never_reach_is_null_not_invented() -> None:
    result = measured("x3-detection", runs=30)
    assert result.peers["mann-whitney"] is None
    assert result.ours.value is not None
    assert '"mann-whitney": null' in _line(result)


def test_a_case_is_reproducible() -> None:
    assert measured("autocorrelated", runs=30) == measured("autocorrelated", runs=30)


def test_a_false_alarm_before_the_onset_is_no_detection() -> None:
    assert canary._seconds([100.0, 760.0, 770.0, 780.0], onset=750.0) == Figure(20.0, 3, 10.0, 30.0)
    assert canary._seconds([float("inf"), float("inf"), 5.0], onset=0.0) == Figure(None, 3, 5.0, None)


def test_the_mann_whitney_peer_is_scipys_at_every_look() -> None:
    sample = streams.steady(10).simulate(seed=3, runs=6, tick_seconds=60)
    z = peers.mann_whitney_z(sample)
    for run in range(sample.runs):
        canary_rates = sample.canary_errors[run] / np.maximum(1, sample.canary_requests[run])
        stable_rates = sample.stable_errors[run] / np.maximum(1, sample.stable_requests[run])
        for looks in range(3, sample.ticks + 1):
            theirs = stats.mannwhitneyu(
                canary_rates[:looks], stable_rates[:looks], alternative="greater", method="asymptotic"
            )
            assert stats.norm.sf(z[run, looks - 1]) == pytest.approx(theirs.pvalue, rel=1e-9)


def test_three_strikes_must_be_in_a_row() -> None:
    sample = streams.steady().simulate(seed=1, runs=2, tick_seconds=60)
    errors = np.zeros_like(sample.canary_errors)
    errors[0, [0, 1, 3, 4]] = sample.canary_requests[0, [0, 1, 3, 4]]
    errors[1, [5, 6, 7]] = sample.canary_requests[1, [5, 6, 7]]
    ends = peers.threshold_three_strikes(replace(sample, canary_errors=errors))
    assert ends.tolist() == [float("inf"), 480.0]


def test_a_global_incident_hits_both_arms_alike() -> None:
    sample = streams.global_incident().simulate(seed=2, runs=400, tick_seconds=60)
    rates = [errors.sum(0) / requests.sum(0) for errors, requests in _arms(sample)]
    assert rates[0] == pytest.approx(rates[1], abs=0.02)
    assert rates[0][9] == pytest.approx(0.2, abs=0.01)


def test_wandering_rates_keep_their_mean() -> None:
    sample = streams.autocorrelated(shared=False).simulate(seed=2, runs=600, tick_seconds=60)
    for errors, requests in _arms(sample):
        assert errors.sum() / requests.sum() == pytest.approx(streams.ERROR_RATE, rel=0.1)


def test_a_line_has_the_documented_shape() -> None:
    result = Result("canary", "x10", "seconds", Figure(85.0, 9, 10.0, None), {"a": None, "b": 1 / 3}, 90, ("c",))
    line = json.loads(_line(result))
    assert list(line)[:10] == ["schema", "bench", "case", "unit", "ours", "peers", "runs", "min", "max", "bound"]
    assert (line["schema"], line["max"], line["peers"]) == (1, None, {"a": None, "b": 0.3333})
    assert line["missing"] == ["c"]
    assert line["host"]["cores"] >= 1


def test_a_broken_promise_is_said_aloud() -> None:
    result = Result("canary", "x10", "seconds", Figure(95.0, 9, 10.0, 99.0), bound=90)
    assert not result.holds
    assert "MISSED" in result.as_text()


def test_interleaved_subjects_take_turns() -> None:
    order: list[str] = []
    subjects = {name: lambda name=name: float(order.append(name) or len(order)) for name in "abc"}
    figures = interleave(subjects, rounds=3)
    assert "".join(order) == "abcbcacab"
    assert figures["a"] == Figure(6.0, 3, 1.0, 8.0)


def test_an_unknown_benchmark_names_those_there_are() -> None:
    with pytest.raises(UnknownBenchError) as refusal:
        bench.run("speed", json=True)
    assert "canary" in refusal.value.next_step


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("canary", "peers", "streams"):
        monkeypatch.delitem(sys.modules, f"prodsprints.bench.{name}")
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(MissingPackageError) as refusal:
        bench.run("canary", json=True)
    assert "numpy" in str(refusal.value)
    assert "prodsprints[bench]" in refusal.value.next_step


def test_results_and_progress_go_to_different_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "_CASES", tuple(replace(case, runs=20) for case in canary._CASES[:2]))
    out, progress = io.StringIO(), io.StringIO()
    bench.run("canary", json=True, out=out, progress=progress)
    assert [json.loads(line)["case"] for line in out.getvalue().splitlines()] == ["healthy", "healthy-240-looks"]
    assert "canary 1/2: healthy, 20 rollouts" in progress.getvalue()


def _line(result: Result) -> str:
    out = io.StringIO()
    emit(result, json=True, out=out)
    return out.getvalue()


def _arms(sample: streams.Streams) -> list[tuple[streams.Counts, streams.Counts]]:
    return [(sample.stable_errors, sample.stable_requests), (sample.canary_errors, sample.canary_requests)]
