"""The heat map: risks by level and probability, as one layout that is drawn twice, as SVG and for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prodsprints.register.model import Risk
from prodsprints.register.rating import Level, Probability, Rating, rate
from prodsprints.register.register import Register


@dataclass(frozen=True)
class Cell:
    """One cell of the map: where it lies, what it is rated, and the risks in it."""

    level: Level
    probability: Probability
    rating: Rating
    risks: tuple[Risk, ...]


Grid = tuple[tuple[Cell, ...], ...]


def grid(risks: Iterable[Risk]) -> Grid:
    """The rows of the map, critical first, each with its five cells from very unlikely to very likely."""
    risks = tuple(risks)
    return tuple(
        tuple(
            Cell(
                level,
                probability,
                rate(level, probability),
                tuple(risk for risk in risks if (risk.level, risk.probability) == (level, probability)),
            )
            for probability in Probability
        )
        for level in Level
    )


# --- as SVG -----------------------------------------------------------------------------------------------------------

_WIDTH, _GUTTER, _GAP, _MARGIN = 1104, 84, 4, 8
_EMPTY_COLUMN = 104
_CHIP, _CHIP_GAP = 22, 4
_PADDING, _CELL_HEAD, _AXIS = 8, 26, 62

STYLE = """
.heatmap{
  --map-low:var(--heat-low,#e3eef3);--map-medium:var(--heat-medium,#f4d987);
  --map-high:var(--heat-high,#eda05c);--map-critical:var(--heat-critical,#a5304a);
  --map-on-low:var(--heat-on-low,#33434d);--map-on-medium:var(--heat-on-medium,#4d3c06);
  --map-on-high:var(--heat-on-high,#45200a);--map-on-critical:var(--heat-on-critical,#fff);
  --map-ground:var(--heat-ground,#fff);--map-ink:var(--heat-ink,#1b262d);--map-muted:var(--heat-muted,#5a6872);
  --map-chip:var(--heat-chip,#fffffff0);--map-chip-ink:var(--heat-chip-ink,#1b262d);--map-focus:var(--heat-focus,#0b62c4);
  font-family:var(--heat-font,ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif);
  font-size:11.5px;max-width:100%;height:auto;display:block}
@media (prefers-color-scheme:dark){.heatmap{
  --map-low:var(--heat-low,#1f3039);--map-medium:var(--heat-medium,#51461f);
  --map-high:var(--heat-high,#834e1d);--map-critical:var(--heat-critical,#b43853);
  --map-on-low:var(--heat-on-low,#b4c6cf);--map-on-medium:var(--heat-on-medium,#f1dfa5);
  --map-on-high:var(--heat-on-high,#ffe8d2);--map-on-critical:var(--heat-on-critical,#fff);
  --map-ground:var(--heat-ground,#0f1519);--map-ink:var(--heat-ink,#e7edf1);--map-muted:var(--heat-muted,#94a4ae);
  --map-chip:var(--heat-chip,#0f1519d9);--map-chip-ink:var(--heat-chip-ink,#e7edf1);--map-focus:var(--heat-focus,#7db8ff)}}
.heatmap .ground{fill:var(--map-ground)}
.heatmap .low{fill:var(--map-low)}.heatmap .medium{fill:var(--map-medium)}
.heatmap .high{fill:var(--map-high)}.heatmap .critical{fill:var(--map-critical)}
.heatmap .on-low{fill:var(--map-on-low)}.heatmap .on-medium{fill:var(--map-on-medium)}
.heatmap .on-high{fill:var(--map-on-high)}.heatmap .on-critical{fill:var(--map-on-critical)}
.heatmap .empty{fill-opacity:.4}.heatmap .on-empty{fill:var(--map-ink)}
.heatmap .rating{font-size:10px;font-weight:650;letter-spacing:.06em}
.heatmap .axis{fill:var(--map-ink);font-size:13px;font-weight:600}
.heatmap .note{fill:var(--map-muted);font-size:11.5px}
.heatmap .chip rect{fill:var(--map-chip)}.heatmap .chip text{fill:var(--map-chip-ink)}
.heatmap .id{font-weight:650;font-variant-numeric:tabular-nums}
.heatmap a{text-decoration:none}
.heatmap a:hover .chip text{text-decoration:underline}
.heatmap a:focus-visible{outline:none}
.heatmap a:focus-visible .chip rect{stroke:var(--map-focus);stroke-width:2.5}
"""
"""The map's style. A page whose policy forbids `<style>` serves this itself and asks `svg` to leave it out.

Every colour yields to a custom property of the page: `--heat-critical`, `--heat-on-critical`, `--heat-ground`, …"""


def svg(register: Register, *, links: bool = True, style: bool = True, name: str = "heatmap") -> str:
    """The map as SVG, to be put into a page (with `links` to `/risks/R001`) or saved as a file of its own (without).

    `name` starts the ids of its title and description, for a page with several maps.
    """
    rows = grid(register.risks)
    columns = _columns(rows)
    height = sum(_row_height(row) + _GAP for row in rows) + _AXIS
    left, width, outer_height = -_MARGIN, _WIDTH + 2 * _MARGIN, height + 2 * _MARGIN
    # an image has no parts, so links inside one would be lost to a screen reader: a map with links is a group
    role = "group" if links else "img"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="heatmap" width="{width}" height="{outer_height}" '
        f'viewBox="{left} {left} {width} {outer_height}" role="{role}" aria-labelledby="{name}-title {name}-desc">',
        f'<title id="{name}-title">Risks by level and probability</title>',
        f'<desc id="{name}-desc">{escape(_description(rows))}</desc>',
        f"<style>{STYLE}</style>" if style else "",
        f'<rect class="ground" x="{left}" y="{left}" width="{width}" height="{outer_height}" rx="8"/>',
    ]
    top = 0
    for row in rows:
        parts += _svg_row(row, columns, top, links)
        top += _row_height(row) + _GAP
    parts += _svg_probabilities(columns, top)
    return "".join([*parts, "</svg>"])


def _columns(rows: Grid) -> list[tuple[int, int]]:
    # left edge and width of each column; one without a risk gives most of its room to the others
    empty = [not any(row[index].risks for row in rows) for index in range(len(Probability))]
    free = _WIDTH - _GUTTER - _GAP * len(empty)
    if not all(empty):
        free -= _EMPTY_COLUMN * sum(empty)
    share = free // (len(empty) if all(empty) else empty.count(False))
    columns, left = [], _GUTTER
    for is_empty in empty:
        width = _EMPTY_COLUMN if is_empty and not all(empty) else share
        columns.append((left, width))
        left += width + _GAP
    return columns


def _row_height(row: tuple[Cell, ...]) -> int:
    most = max(1, *(len(cell.risks) for cell in row))
    return _CELL_HEAD + most * (_CHIP + _CHIP_GAP) + _PADDING - _CHIP_GAP


def _description(rows: Grid) -> str:
    cells = [cell for row in rows for cell in row if cell.risks]
    return " ".join(
        f"{cell.level.capitalize()}, {cell.probability.words.lower()} ({cell.probability.share}), "
        f"rated {cell.rating}: {', '.join(risk.id for risk in cell.risks)}."
        for cell in cells
    )


def _svg_row(row: tuple[Cell, ...], columns: list[tuple[int, int]], top: int, links: bool) -> Iterator[str]:
    height = _row_height(row)
    count = sum(len(cell.risks) for cell in row)
    middle = top + height // 2
    yield f'<text class="axis" x="{_GUTTER - 12}" y="{middle}" text-anchor="end">{row[0].level.capitalize()}</text>'
    yield (
        f'<text class="note" x="{_GUTTER - 12}" y="{middle + 16}" text-anchor="end">'
        f"{count} risk{'' if count == 1 else 's'}</text>"
    )
    for cell, (left, width) in zip(row, columns, strict=True):
        tint, ink = (cell.rating, f"on-{cell.rating}") if cell.risks else (f"{cell.rating} empty", "on-empty")
        inner = left + _PADDING
        yield f'<rect class="{tint}" x="{left}" y="{top}" width="{width}" height="{height}" rx="6"/>'
        yield f'<text class="rating {ink}" x="{inner}" y="{top + 17}">{cell.rating.upper()}</text>'
        for index, risk in enumerate(cell.risks):
            chip = _svg_chip(risk, inner, top + _CELL_HEAD + index * (_CHIP + _CHIP_GAP), width - 2 * _PADDING)
            yield f'<a href="/risks/{risk.id}" aria-label="{escape(_spoken(risk))}">{chip}</a>' if links else chip


def _svg_chip(risk: Risk, left: int, top: int, width: int) -> str:
    baseline = top + 15
    title_left = left + 8 + 9 * len(risk.id) + 3
    title = _shortened(risk.title, left + width - 6 - title_left)
    return (
        f'<g class="chip"><title>{escape(_spoken(risk))}</title>'
        f'<rect x="{left}" y="{top}" width="{width}" height="{_CHIP}" rx="4"/>'
        f'<text class="id" x="{left + 8}" y="{baseline}">{risk.id}</text>'
        f'<text x="{title_left}" y="{baseline}">{escape(title)}</text></g>'
    )


def _spoken(risk: Risk) -> str:
    return f"{risk.id} {risk.title}: {risk.level}, {risk.probability.words.lower()}, rated {risk.rating}"


def _shortened(text: str, room: int) -> str:
    # SVG does not wrap: estimate, on the wide side, what fits
    used = 0.0
    for index, letter in enumerate(text):
        used += 4.2 if letter in "iljtfrI.,:'()/- " else 11 if letter in "mwMW" else 8.2 if letter.isupper() else 7.1
        if used > room:
            return text[: index - 1].rstrip() + "…"
    return text


def _svg_probabilities(columns: list[tuple[int, int]], top: int) -> Iterator[str]:
    for probability, (left, width) in zip(Probability, columns, strict=True):
        middle = left + width // 2
        yield f'<text class="axis" x="{middle}" y="{top + 18}" text-anchor="middle">{probability.words}</text>'
        yield (
            f'<text class="note" x="{middle}" y="{top + 35}" text-anchor="middle">{escape(probability.share)}</text>'
        )
    yield f'<text class="note" x="{_GUTTER - 12}" y="{top + 18}" text-anchor="end">Level ↑</text>'
    yield (
        f'<text class="note" x="{_WIDTH - _GAP}" y="{top + 55}" text-anchor="end">'
        "Probability of at least one such event in 12 months →</text>"
    )


# --- for a terminal ---------------------------------------------------------------------------------------------------

_NARROWEST_TABLE = 72
_BADGE = {
    Rating.LOW: "black on #a9c9d6",
    Rating.MEDIUM: "black on #f4d987",
    Rating.HIGH: "black on #eda05c",
    Rating.CRITICAL: "bold white on #a5304a",
}


def text(register: Register, width: int = 80, *, colour: bool = False) -> str:
    """The map for a terminal `width` columns wide. Every rating is also a word: nothing is lost without `colour`."""
    rows = grid(register.risks)
    colours: Literal["truecolor"] | None = "truecolor" if colour else None
    console = Console(file=StringIO(), width=width, force_terminal=colour, color_system=colours, highlight=False)
    with console.capture() as captured:
        console.print(_table(rows, colour) if width >= _NARROWEST_TABLE else _list(rows, colour))
    return "\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines()) + "\n"


def _table(rows: Grid, colour: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_lines=True, expand=True, padding=(0, 1, 0, 0))
    table.add_column("Level", style="bold", width=8)
    for probability in Probability:
        table.add_column(f"{probability.words}\n{probability.share}", ratio=1, vertical="top")
    for row in rows:
        cells = (Text("\n").join([_badge(cell, colour), _ids(cell)]) for cell in row)
        table.add_row(row[0].level.capitalize(), *cells)
    return table


def _list(rows: Grid, colour: bool) -> Text:
    lines = []
    for cell in (cell for row in rows for cell in row if cell.risks):
        where = f" {cell.level}, {cell.probability.words.lower()} ({cell.probability.share})"
        lines.append(Text.assemble(_badge(cell, colour), where, "\n  ", _ids(cell)))
    return Text("\n").join(lines)


def _badge(cell: Cell, colour: bool) -> Text:
    word = cell.rating.upper()
    return Text(f" {word} ", style=_BADGE[cell.rating]) if colour else Text(word)


def _ids(cell: Cell) -> Text:
    return Text(" ".join(risk.id for risk in cell.risks))
