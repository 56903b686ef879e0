"""The heat map: one layout, two drawings."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.register import heatmap
from prodsprints.register.rating import rate
from prodsprints.register.register import Register

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


def test_a_cell_grows_with_its_risks_and_nothing_is_drawn_outside(register: Register) -> None:
    crowd = replace(register, risks=tuple(replace(register.risks[0], id=f"X{number}") for number in range(40)))
    for drawn in (register, crowd, replace(register, risks=())):
        root = parsed(heatmap.svg(drawn))
        left, top, width, height = map(float, (root.get("viewBox") or "").split())
        for rect in root.iter(f"{SVG}rect"):
            x, y, w, h = (float(rect.get(name) or 0) for name in ("x", "y", "width", "height"))
            assert left <= x and x + w <= left + width
            assert top <= y and y + h <= top + height


def test_it_is_drawn_in_less_than_50_ms(register: Register) -> None:
    fastest = min(_seconds_to_draw(register) for _ in range(5))
    assert fastest < 0.05


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
