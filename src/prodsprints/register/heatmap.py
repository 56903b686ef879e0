"""The heat map: risks by level and probability, as one layout that is drawn twice, as SVG and for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from io import StringIO
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prodsprints.register.assessment import Assessment
from prodsprints.register.grid import Cell, Grid, grid
from prodsprints.register.model import Risk
from prodsprints.register.rating import Probability, Rating
from prodsprints.register.register import Register

__all__ = ["STYLE", "grid", "svg", "text"]


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
.heatmap .more text{fill:var(--map-ink);text-decoration:underline}
.heatmap .ghost rect{fill:var(--map-chip);fill-opacity:.72;stroke:var(--map-muted);stroke-dasharray:3 3}
.heatmap .ghost text{fill:var(--map-ink)}
.heatmap .way{fill:none;stroke:var(--map-ink);stroke-width:1.5;stroke-opacity:.75}
.heatmap .way-end{fill:var(--map-ink)}
.heatmap .id{font-weight:650;font-variant-numeric:tabular-nums}
.heatmap a{text-decoration:none}
.heatmap a:hover .chip text{text-decoration:underline}
.heatmap a:focus-visible{outline:none}
.heatmap a:focus-visible .chip rect{stroke:var(--map-focus);stroke-width:2.5}
"""
"""The map's style. A page whose policy forbids `<style>` serves this itself and asks `svg` to leave it out.

Every colour yields to a custom property of the page: `--heat-critical`, `--heat-on-critical`, `--heat-ground`, …"""


def svg(
    register: Register,
    *,
    assessment: Assessment | None = None,
    links: bool = True,
    style: bool = True,
    name: str = "heatmap",
) -> str:
    """The map as SVG, to be put into a page (with `links` to `/risks/R001`) or saved as a file of its own (without).

    With an `assessment` each risk lies where it is today; if that is elsewhere than without controls, the way it went
    is drawn. `name` starts the ids of its title and description, for a page with several maps.
    """
    rows = grid(register.risks, assessment)
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
    parts += _svg_probabilities(columns, top, moved=any(cell.moved for row in rows for cell in row))
    return "".join([*parts, "</svg>"])


def _columns(rows: Grid) -> list[tuple[int, int]]:
    # left edge and width of each column; one without a risk gives most of its room to the others
    empty = [not any(row[index].lines for row in rows) for index in range(len(Probability))]
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
    most = max(1, *(cell.lines for cell in row))
    return _CELL_HEAD + most * (_CHIP + _CHIP_GAP) + _PADDING - _CHIP_GAP


def _description(rows: Grid) -> str:
    cells = [cell for row in rows for cell in row if cell.risks]
    return " ".join(
        f"{cell.level.capitalize()}, {cell.probability.words.lower()} ({cell.probability.share}), "
        f"rated {cell.rating}: {', '.join(risk.id for risk in cell.shown)}{_and_more(cell)}."
        for cell in cells
    )


def _and_more(cell: Cell) -> str:
    return f" and {cell.hidden} more" if cell.hidden else ""


def _svg_row(row: tuple[Cell, ...], columns: list[tuple[int, int]], top: int, links: bool) -> Iterator[str]:
    height = _row_height(row)
    count = sum(len(cell.risks) for cell in row)
    middle = top + height // 2
    yield f'<text class="axis" x="{_GUTTER - 12}" y="{middle}" text-anchor="end">{row[0].level.capitalize()}</text>'
    yield (
        f'<text class="note" x="{_GUTTER - 12}" y="{middle + 16}" text-anchor="end">'
        f"{count} risk{'' if count == 1 else 's'}</text>"
    )
    places = [(cell, left + _PADDING, width - 2 * _PADDING) for cell, (left, width) in zip(row, columns, strict=True)]
    for cell, (left, width) in zip(row, columns, strict=True):
        tint, ink = (cell.rating, f"on-{cell.rating}") if cell.lines else (f"{cell.rating} empty", "on-empty")
        yield f'<rect class="{tint}" x="{left}" y="{top}" width="{width}" height="{height}" rx="6"/>'
        yield f'<text class="rating {ink}" x="{left + _PADDING}" y="{top + 17}">{cell.rating.upper()}</text>'
    yield from _svg_ways(places, top)
    for cell, left, width in places:
        for index, risk in enumerate(cell.shown):
            chip = _svg_chip(risk, _spoken(risk, cell), left, _line(top, index), width)
            yield f'<a href="/risks/{risk.id}" aria-label="{escape(_spoken(risk, cell))}">{chip}</a>' if links else chip
        if cell.hidden:
            yield _svg_more(cell, left, _line(top, len(cell.shown)), links)
        for index, risk in enumerate(cell.ghosts, cell.lines - len(cell.ghosts)):
            spoken = f"{risk.id} would be here without the controls that are proven"
            yield _svg_chip(risk, spoken, left, _line(top, index), width, kind="chip ghost")


def _line(top: int, index: int) -> int:
    return top + _CELL_HEAD + index * (_CHIP + _CHIP_GAP)


def _svg_ways(places: list[tuple[Cell, int, int]], top: int) -> Iterator[str]:
    """An arrow from where each risk would be to where it is, if both ends are shown."""
    ends = {
        risk.id: (left + width, _line(top, index) + _CHIP // 2)
        for cell, left, width in places
        for index, risk in enumerate(cell.shown)
    }
    for cell, left, _ in places:
        for index, risk in enumerate(cell.ghosts, cell.lines - len(cell.ghosts)):
            if risk.id in ends:
                x, y = ends[risk.id]
                start = _line(top, index) + _CHIP // 2
                bend = (left + x) // 2
                yield f'<path class="way" d="M{left} {start}C{bend} {start} {bend} {y} {x + 6} {y}"/>'
                yield f'<path class="way-end" d="M{x} {y}l7 -4v8z"/>'


def _svg_more(cell: Cell, left: int, top: int, links: bool) -> str:
    words = f'<g class="more"><text x="{left + 8}" y="{top + 15}">+{cell.hidden} more</text></g>'
    if not links:
        return words
    label = f"{cell.hidden} more risks: {cell.level}, {cell.probability.words.lower()}"
    where = f"/risks?level={cell.level}&amp;probability={int(cell.probability)}"
    return f'<a href="{where}" aria-label="{label}">{words}</a>'


def _svg_chip(risk: Risk, spoken: str, left: int, top: int, width: int, kind: str = "chip") -> str:
    baseline = top + 15
    title_left = left + 8 + 9 * len(risk.id) + 3
    title = _shortened(risk.title, left + width - 6 - title_left)
    return (
        f'<g class="{kind}"><title>{escape(spoken)}</title>'
        f'<rect x="{left}" y="{top}" width="{width}" height="{_CHIP}" rx="4"/>'
        f'<text class="id" x="{left + 8}" y="{baseline}">{risk.id}</text>'
        f'<text x="{title_left}" y="{baseline}">{escape(title)}</text></g>'
    )


def _spoken(risk: Risk, cell: Cell) -> str:
    today = f"{risk.level}, {cell.probability.words.lower()}, rated {cell.rating}"
    if cell.probability == risk.probability:
        return f"{risk.id} {risk.title}: {today}"
    before = f"{risk.probability.words.lower()}, rated {risk.rating}"
    return f"{risk.id} {risk.title}: {today} today, {before} without its controls"


def _shortened(text: str, room: int) -> str:
    # SVG does not wrap: estimate, on the wide side, what fits
    used = 0.0
    for index, letter in enumerate(text):
        used += 4.2 if letter in "iljtfrI.,:'()/- " else 11 if letter in "mwMW" else 8.2 if letter.isupper() else 7.1
        if used > room:
            return text[: index - 1].rstrip() + "…"
    return text


def _svg_probabilities(columns: list[tuple[int, int]], top: int, *, moved: bool) -> Iterator[str]:
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
    if moved:
        yield (
            f'<text class="note" x="{_GUTTER}" y="{top + 55}">'
            "An arrow leads from where a risk would be without its proven controls to where it is today.</text>"
        )


# --- for a terminal ---------------------------------------------------------------------------------------------------

_NARROWEST_TABLE = 72
_BADGE = {
    Rating.LOW: "black on #a9c9d6",
    Rating.MEDIUM: "black on #f4d987",
    Rating.HIGH: "black on #eda05c",
    Rating.CRITICAL: "bold white on #a5304a",
}


def text(register: Register, width: int = 80, *, assessment: Assessment | None = None, colour: bool = False) -> str:
    """The map for a terminal `width` columns wide. Every rating is also a word: nothing is lost without `colour`."""
    rows = grid(register.risks, assessment)
    colours: Literal["truecolor"] | None = "truecolor" if colour else None
    console = Console(file=StringIO(), width=width, force_terminal=colour, color_system=colours, highlight=False)
    with console.capture() as captured:
        console.print(_table(rows, colour) if width >= _NARROWEST_TABLE else _list(rows, colour))
        if any(cell.moved for row in rows for cell in row):
            console.print("(In brackets: where a risk would be without the controls that are proven.)")
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
    for cell in (cell for row in rows for cell in row if cell.lines):
        where = f" {cell.level}, {cell.probability.words.lower()} ({cell.probability.share})"
        lines.append(Text.assemble(_badge(cell, colour), where, "\n  ", _ids(cell)))
    return Text("\n").join(lines)


def _badge(cell: Cell, colour: bool) -> Text:
    word = cell.rating.upper()
    return Text(f" {word} ", style=_BADGE[cell.rating]) if colour else Text(word)


def _ids(cell: Cell) -> Text:
    more = [f"+{cell.hidden} more"] if cell.hidden else []
    return Text(" ".join([*(risk.id for risk in cell.shown), *more, *(f"({risk.id})" for risk in cell.ghosts)]))
