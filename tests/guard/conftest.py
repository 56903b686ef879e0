"""What the tests of guards share."""

from __future__ import annotations

import pytest

from guard.support_clock import ManualClock
from prodsprints.guard import registry


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests' guards use up no names here: a process has room for a hundred."""
    monkeypatch.setattr(registry, "_names", set())
