"""The canary chart is well-formed, complete and quick for every length of rollout."""

from __future__ import annotations

import re
import time
from xml.etree import ElementTree

import pytest

from prodsprints.release.verdict import Tick, Verdict, trail
from prodsprints.web.charts import canary_chart

SVG = "{http://www.w3.org/2000/svg}"


def rollout(
    seconds: int, *, every: int = 0, canary: str = "v3", stable: str = "v2"
) -> tuple[list[Tick], list[Verdict]]:
    """A minute each at 1, 5 and 25 %; one canary error in each `every`th second."""
    weights = (1, 5, 25)
    ticks = []
    for second in range(1, seconds + 1):
        weight = weights[(second - 1) * 3 // seconds]
        errors = 1 if every and second % every == 0 else 0
        ticks.append(Tick(second, weight, 300 - 3 * weight, second % 2, 3 * weight, errors))
    return ticks, trail(ticks, canary=canary, stable=stable)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own output


def words(svg: str) -> list[str]:
    return [text.text or "" for text in parsed(svg).iter(f"{SVG}text")]


def test_a_rejected_canary_shows_both_arms_the_threshold_delta_weights_and_the_moment() -> None:
    ticks, verdicts = rollout(60, every=2)
    svg = canary_chart(ticks, verdicts)
    shown = words(svg)
    rejected = next(verdict for verdict in verdicts if verdict.decision == "reject")
    assert {"weight", "1 %", "5 %", "25 %", "reject at 143", "keep below 1 %"} <= set(shown)
    assert f"rejected at {rejected.seconds:g} s" in shown
    assert any(text.startswith("v3 ") for text in shown)
    assert any(text.startswith("v2 ") for text in shown)


def test_a_reader_who_cannot_see_it_gets_the_verdict_in_words() -> None:
    ticks, verdicts = rollout(90)
    root = parsed(canary_chart(ticks, verdicts))
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext(f"{SVG}title") == "Canary v3 beside v2"
    assert root.findtext(f"{SVG}desc") == verdicts[-1].sentence


def test_the_moment_of_the_first_keep_is_exact_although_the_lines_are_thinned() -> None:
    ticks, verdicts = rollout(5000)
    first = next(verdict for verdict in verdicts if verdict.decision == "keep")
    minutes, seconds = divmod(int(first.seconds), 60)
    assert f"good to keep at {minutes} min {seconds} s" in words(canary_chart(ticks, verdicts))


@pytest.mark.parametrize("seconds", [0, 1, 2, 361, 5000])
def test_every_length_of_rollout_draws_inside_the_picture(seconds: int) -> None:
    svg = canary_chart(*rollout(seconds))
    root = parsed(svg)
    _, _, width, height = map(float, (root.get("viewBox") or "").split())
    for line in root.iter(f"{SVG}polyline"):
        points = [tuple(map(float, point.split(","))) for point in (line.get("points") or "").split()]
        assert 1 <= len(points) <= 361
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
        assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert len(svg) < 60_000
    if not seconds:
        assert words(svg) == ["No traffic yet"]


def test_extreme_counts_are_drawn_too() -> None:
    ticks = [Tick(0, 0, 0, 0, 0, 0), Tick(1, 100, 0, 0, 5, 5), Tick(1, 50, 10**9, 0, 10**9, 10**9)]
    svg = canary_chart(ticks, trail(ticks))
    parsed(svg)
    assert "nan" not in svg
    assert "inf" not in svg


def test_labels_from_a_repository_cannot_become_markup() -> None:
    svg = canary_chart(*rollout(5, canary='"><script>x</script>', stable="a&b<i>"))
    parsed(svg)
    assert "<script" not in svg
    assert "<i>" not in svg


def test_labels_at_the_right_never_overlap() -> None:
    svg = canary_chart(*rollout(60))
    right = [
        float(y)
        for x, y in re.findall(r'<text x="([\d.]+)" y="([\d.]+)" [^>]*font-weight="600"', svg)
        if float(x) > 622
    ]
    assert len(right) == 6
    assert all(abs(one - other) >= 14.9 for one, other in zip(right[::2], right[1::2], strict=True))


def test_the_page_decides_the_colours_and_without_it_there_are_some() -> None:
    svg = canary_chart(*rollout(30))
    assert "var(--chart-canary, var(--_chart-canary, #" in svg
    assert "prefers-color-scheme:dark" in svg
    assert ' style="' not in svg  # attributes survive a content security policy that forbids inline styles


def test_six_hundred_ticks_are_drawn_in_under_fifty_milliseconds() -> None:
    ticks, verdicts = rollout(600)
    tries = []
    for _ in range(5):
        start = time.perf_counter()
        canary_chart(ticks, verdicts)
        tries.append(time.perf_counter() - start)
    assert min(tries) < 0.05


def test_ticks_without_their_verdicts_are_refused() -> None:
    ticks, verdicts = rollout(3)
    with pytest.raises(ValueError, match="3 ticks but 2 verdicts"):
        canary_chart(ticks, verdicts[:2])
