"""`bench guard` measures each case beside its named peers, and every stack that it measures works."""

from __future__ import annotations

import pytest

for package in ("aiolimiter", "backoff", "hyx", "pybreaker"):
    pytest.importorskip(package, reason="the bench extra is not installed")

from prodsprints.bench import guard  # noqa: E402 - it needs the bench extra


def test_each_case_names_its_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_ROUNDS", 5)
    monkeypatch.setattr(guard, "_CALLS", 50)
    monkeypatch.setattr(guard, "_KEPT", 20)
    results = {result.case: result for result in guard.cases(lambda _: None)}
    assert list(results) == ["async", "async-with-attempt", "sync", "sync-with-attempt", "memory"]
    assert list(results["async"].peers) == ["bare", "tenacity-stack", "fastest-parts-stack", "hyx-stack"]
    assert results["sync"].missing == ("hyx-stack",)
    memory = results.pop("memory")
    assert (memory.unit, memory.bound) == ("kB", 20)
    assert memory.ours.value is not None and memory.ours.value > 1
    for result in results.values():
        assert result.unit == "us"
        assert result.ours.runs == 5
        assert all(value is not None and value > 0 for value in [result.ours.value, *result.peers.values()])
