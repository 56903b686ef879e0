"""`bench leases` measures each case beside its named peers, in short."""

from __future__ import annotations

import pytest

for package in ("limits", "pyrate_limiter"):
    pytest.importorskip(package, reason="the bench extra is not installed")

from prodsprints.bench import leases  # noqa: E402 - it needs the bench extra


def test_each_case_names_its_peers_and_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {"_ROUNDS": 1, "_ACQUIRE_SECONDS": 0.2, "_SECONDS": 0.5, "_DUMPS": 2, "_OPENINGS": 2, "_PROCESSES": 1}
    for name, value in short.items():
        monkeypatch.setattr(leases, name, value)
    results = {result.case: result for result in leases.cases(lambda _: None)}
    assert list(results) == [
        *("acquires-per-s", "writes-per-acquire", "allowed-4-processes", "used-4-processes", "adversary-max-window"),
        *("amplification", "breaker-open"),
    ]
    for case in ("acquires-per-s", "allowed-4-processes"):
        assert {"pyrate-postgresql", "one-update-per-acquire"} <= results[case].peers.keys()
        assert "limits-redis" in (*results[case].peers, *results[case].missing)
    assert all(result.bound is not None for result in results.values())
    assert results["adversary-max-window"].holds
    assert results["amplification"].holds


def test_a_window_that_holds_more_than_it_may_is_seen() -> None:
    assert leases.most_in_a_second([(0.0, 5), (0.5, 1), (1.0, 3), (1.01, 9)]) == 13
    assert leases.most_in_a_second([(0.0, 5), (1.5, 6)]) == 6
