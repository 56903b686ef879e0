"""What the tests of guards share."""

from __future__ import annotations

import pytest

from guard.support_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
