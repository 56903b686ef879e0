"""The drawings of trend and indicators: well-formed, in words too, bounded, and without a style of their own."""

from __future__ import annotations

from datetime import date, timedelta
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as some

from prodsprints.register.kris import INDICATORS, Indicator, Point, Reading
from prodsprints.register.status import Counts
from prodsprints.register.trend import Point as Day
from prodsprints.web.sparkline import sparkline
from prodsprints.web.trend_chart import trend_chart

FIRST = date(2026, 1, 1)
SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing: str) -> Element:
    return fromstring(drawing)  # noqa: S314  # ours, made just before


def days(*proven: int, failing: int = 0) -> list[Day]:
    return [
        Day(FIRST + timedelta(days=n), Counts(24, 117, one, 2, 117 - one - 2 - failing, 0, failing, 0, 0), 20 - one, {})
        for n, one in enumerate(proven)
    ]


def test_each_day_is_a_bar_of_what_was_good_and_what_was_not() -> None:
    drawing = parsed(trend_chart(days(0, 5, 9, failing=1), style=False))
    bars = [rect.get("class") for rect in drawing.iter(f"{SVG}rect")]
    assert bars == ["attested", "failing", "proven", "attested", "failing", "proven", "attested", "failing"]
    said = drawing.find(f"{SVG}desc")
    assert said is not None
    assert said.text == (
        "3 days. 2026-01-01: 0 proven, 2 attested, 0 stale, 1 failing or worse, 20 events a year left. "
        "2026-01-03: 9 proven, 2 attested, 0 stale, 1 failing or worse, 11 events a year left."
    )
    assert drawing.find(f"{SVG}style") is None


@pytest.mark.parametrize("count", [1, 2, 14, 365, 400])
def test_any_number_of_days_has_room(count: int) -> None:
    drawing = parsed(trend_chart(days(*[3] * count)))
    for rect in drawing.iter(f"{SVG}rect"):
        assert float(rect.get("x", "-1")) >= 0
        assert float(rect.get("x", "0")) + float(rect.get("width", "0")) <= 761
    dates = [text.text for text in drawing.iter(f"{SVG}text") if text.text and text.text.startswith("20")]
    assert 1 <= len(dates) <= 8


@given(some.lists(some.none() | some.floats(-1e9, 1e9), min_size=1, max_size=60), some.sampled_from(INDICATORS))
def test_a_sparkline_stays_in_its_place_whatever_was_measured(values: list[float | None], indicator: Indicator) -> None:
    series = tuple(Point(FIRST + timedelta(days=n), value) for n, value in enumerate(values))
    known = [value for value in values if value is not None]
    reading = Reading(indicator, known[-1] if known else None, series)
    drawing = parsed(sparkline(reading, style=False))
    for path in drawing.iter(f"{SVG}path"):
        numbers = path.get("d", "").replace("M", " ").replace("L", " ").replace("h0", " ").split()
        assert all(0 <= float(number) <= 180 for number in numbers)
    assert len(list(drawing.iter(f"{SVG}path"))) == bool(known)
