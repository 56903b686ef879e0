"""Retry-After as seconds: both of its forms, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.guard import RateLimitError
from prodsprints.guard.retry_after import seconds_from

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@given(st.integers(0, 10**12))
def test_seconds_are_seconds(seconds: int) -> None:
    assert seconds_from(f" {seconds} ") == seconds


@given(st.integers(-(10**6), 10**8))
def test_an_http_date_is_the_time_until_then_and_never_negative(seconds: int) -> None:
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert seconds_from(header, NOW) == max(0, seconds)


@given(st.text(max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    seconds = seconds_from(text, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1.5", "1e9", "NaN", "٣", "Mon, 99 Nov 2026 12:00:00 GMT", "9" * 65, "²"]
)
def test_a_malformed_header_says_nothing(text: str) -> None:
    assert seconds_from(text, NOW) is None
    assert RateLimitError(text).retry_after is None


def test_a_year_is_a_year_here_for_the_guard_decides_whether_to_believe_it() -> None:
    assert seconds_from("31536000") == 31_536_000
    assert seconds_from(format_datetime(NOW + timedelta(days=365), usegmt=True), NOW) == 31_536_000


def test_numbers_are_taken_as_they_are_but_never_below_zero() -> None:
    assert seconds_from(2.5) == 2.5
    assert seconds_from(-1) == 0
    assert seconds_from(float("nan")) is None
