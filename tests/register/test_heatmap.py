"""The heat map: one layout, two drawings."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.register import heatmap
from prodsprints.register.assessment import Assessment, LogState, assess
from prodsprints.register.assessment import Log as LogOf
from prodsprints.register.model import FailurePath
from prodsprints.register.rating import rate
from prodsprints.register.register import Register
from register.support_log import BEGIN, DAY, Log, sha

SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawing)  # noqa: S314 - we have just drawn it


def test_every_risk_lies_in_the_cell_of_its_level_and_probability(register: Register) -> None:
    cells = [cell for row in heatmap.grid(register.risks) for cell in row]
    assert len(cells) == 20
    assert sum(len(cell.risks) for cell in cells) == 24
    for cell in cells:
        assert cell.rating == rate(cell.level, cell.probability)
        assert all((risk.level, risk.probability) == (cell.level, cell.probability) for risk in cell.risks)


def test_in_a_page_every_risk_is_a_link_with_its_full_title(register: Register) -> None:
    root = parsed(heatmap.svg(register))
    links = {link.get("href"): link.get("aria-label") or "" for link in root.iter(f"{SVG}a")}
    assert set(links) == {f"/risks/{risk.id}" for risk in register.risks}
    assert links["/risks/R003"].startswith("R003 Database Connection Pool Exhaustion: critical, possible")
    assert root.get("role") == "group"


def test_as_a_file_it_is_an_image_with_a_title_and_a_description_in_words(register: Register) -> None:
    root = parsed(heatmap.svg(register, links=False))
    assert root.get("role") == "img"
    named = [root.find(f"{SVG}title"), root.find(f"{SVG}desc")]
    assert (root.get("aria-labelledby") or "").split() == [part.get("id") for part in named if part is not None]
    assert "Critical, likely (60–80 %), rated critical: R001." in (named[1].text or "" if named[1] is not None else "")
    assert not list(root.iter(f"{SVG}a"))


def test_every_cell_says_its_rating_in_a_word_and_not_only_in_a_colour(register: Register) -> None:
    root = parsed(heatmap.svg(register))
    words = [text.text for text in root.iter(f"{SVG}text") if "rating" in (text.get("class") or "")]
    assert words == [cell.rating.upper() for row in heatmap.grid(register.risks) for cell in row]


def test_the_style_can_be_left_to_the_page(register: Register) -> None:
    assert "<style>" not in heatmap.svg(register, style=False)
    assert "prefers-color-scheme:dark" in heatmap.STYLE


@given(st.text(min_size=1, max_size=120).filter(str.isprintable))
def test_no_title_breaks_the_drawing(register: Register, title: str) -> None:
    renamed = replace(register, risks=(replace(register.risks[0], title=title),))
    root = parsed(heatmap.svg(renamed))
    assert title in (next(root.iter(f"{SVG}a")).get("aria-label") or "")


def crowd(register: Register, count: int) -> Register:
    risks = (replace(register.risks[number % 24], id=f"X{number}", mitigations=()) for number in range(count))
    return replace(register, risks=tuple(risks))


def test_a_cell_grows_with_its_risks_and_nothing_is_drawn_outside(register: Register, moved: Moved) -> None:
    one_cell = replace(register, risks=tuple(replace(register.risks[0], id=f"X{number}") for number in range(40)))
    for drawn in (one_cell, crowd(register, 500), replace(register, risks=())):
        inside(heatmap.svg(drawn))
    inside(heatmap.svg(moved.register, assessment=moved.assessment))


def inside(drawing: str) -> None:
    root = parsed(drawing)
    left, top, width, height = map(float, (root.get("viewBox") or "").split())
    for rect in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(rect.get(name) or 0) for name in ("x", "y", "width", "height"))
        assert left <= x and x + w <= left + width
        assert top <= y and y + h <= top + height


def test_a_crowded_cell_shows_its_first_risks_and_a_link_to_all_of_them(register: Register) -> None:
    full = replace(register, risks=tuple(replace(register.risks[0], id=f"X{number}") for number in range(40)))
    links = {link.get("href"): "".join(link.itertext()) for link in parsed(heatmap.svg(full)).iter(f"{SVG}a")}
    assert len(links) == 13
    assert links["/risks?level=critical&probability=4"] == "+28 more"
    assert "X11 and 28 more." in heatmap.svg(full)
    assert "X11 +28 more" in re.sub(r"\s+", " ", heatmap.text(full, 60))


# --- today ------------------------------------------------------------------------------------------------------------


class Moved(NamedTuple):
    register: Register
    assessment: Assessment


@pytest.fixture(scope="module")
def moved(register: Register) -> Moved:
    """R001, which is likely, is held by a control that passed on twelve days."""
    risk = register.risk("R001")
    row = replace(risk.mitigations[0], control="a:b", drills=("x:y",), lacks=())
    held = replace(risk, mitigations=(row, *risk.mitigations[1:]), paths=(FailurePath("every", 1.0, (row.id,)),))
    changed = replace(register, risks=tuple(held if one.id == "R001" else one for one in register.risks))
    log = Log()
    for day in range(12):
        log.drill(at=BEGIN + day * DAY)
    now = BEGIN + 12 * DAY
    found = assess(changed, log.standing, {row.id: {"storm": sha("a")}}, "demo", now, LogOf(LogState.VERIFIED))
    return Moved(changed, found)


def test_a_risk_lies_where_it_is_today_and_leaves_a_mark_where_it_would_be(moved: Moved) -> None:
    cells = [cell for row in heatmap.grid(moved.register.risks, moved.assessment) for cell in row]
    where = {(risk.id, cell.probability) for cell in cells for risk in cell.risks if risk.id == "R001"}
    left = {(risk.id, cell.probability) for cell in cells for risk in cell.moved}
    assert (where, left) == ({("R001", 1)}, {("R001", 4)})


def test_the_way_between_is_drawn_and_told(moved: Moved) -> None:
    root = parsed(heatmap.svg(moved.register, assessment=moved.assessment))
    assert [path.get("class") for path in root.iter(f"{SVG}path")] == ["way", "way-end"]
    label = next(link.get("aria-label") or "" for link in root.iter(f"{SVG}a") if link.get("href") == "/risks/R001")
    assert label.endswith("critical, very unlikely, rated high today, likely, rated critical without its controls")


def test_what_did_not_move_has_no_way(register: Register) -> None:
    assert not list(parsed(heatmap.svg(register)).iter(f"{SVG}path"))
    assert "brackets" not in heatmap.text(register, 80)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_terminal_shows_both_places_and_says_which_is_which(moved: Moved, width: int) -> None:
    plain = heatmap.text(moved.register, width, assessment=moved.assessment)
    assert max(len(line) for line in plain.splitlines()) <= width
    assert re.findall(r"\(?R001\)?", plain) == ["R001", "(R001)"]
    assert "In brackets" in plain


# --- how long it takes ------------------------------------------------------------------------------------------------


def test_it_is_drawn_in_less_than_50_ms(register: Register) -> None:
    fastest = min(_seconds_to_draw(register) for _ in range(5))
    assert fastest < 0.05


def test_ten_thousand_risks_are_drawn_in_less_than_200_ms(register: Register) -> None:
    many = crowd(register, 10_000)
    assert min(_seconds_to_draw(many) for _ in range(3)) < 0.2


def _seconds_to_draw(register: Register) -> float:
    began = time.perf_counter()
    heatmap.svg(register)
    return time.perf_counter() - began


@pytest.mark.parametrize("width", [40, 71, 72, 80, 120, 200])
@pytest.mark.parametrize("colour", [False, True])
def test_the_terminal_map_fits_and_names_every_risk(register: Register, width: int, colour: bool) -> None:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", heatmap.text(register, width, colour=colour))
    assert max(len(line) for line in plain.splitlines()) <= width
    assert sorted(re.findall(r"\b[RSOB]\d{3}\b", plain)) == sorted(risk.id for risk in register.risks)


def test_without_colour_the_terminal_map_holds_no_escape_sequence_and_all_four_ratings(register: Register) -> None:
    plain = heatmap.text(register, 80)
    assert "\x1b" not in plain
    assert all(word in plain for word in ("CRITICAL", "HIGH", "MEDIUM", "LOW", "60–80 %", "unlikely"))
