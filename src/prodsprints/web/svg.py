"""What the charts are drawn with: scales, text, and a document that follows the page's colours or brings its own.

Colours are the page's `--chart-ink`, `--chart-muted`, `--chart-grid` and so on; without them a chart has colours of its
own, light and dark.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from math import ceil, floor

from prodsprints.web import words

_COLOURS = {  # light, dark
    "ink": ("#1c2330", "#e7eaf1"),
    "muted": ("#5b6577", "#9aa5b8"),
    "grid": ("#dde2ea", "#333c4c"),
    "canary": ("#b4430c", "#ff9d5c"),
    "stable": ("#1f62b8", "#7db4ff"),
    "limit": ("#a3123a", "#ff8fab"),
    "held": ("#17663f", "#74d3a0"),
    "broken": ("#9c2040", "#ff95a8"),
    "fault": ("#8a5200", "#e9bd68"),
}
_TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] onto pixels; what lies outside is drawn at the edge."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def document(
    name: str, title: str, description: str, shapes: Iterable[str], size: tuple[float, float], style: bool
) -> str:
    """The drawing, of class `name`. A page that forbids `<style>` and gives all the colours itself leaves it out."""
    width, height = size
    dark = ";".join(f"--_chart-{name}:{dark}" for name, (_, dark) in _COLOURS.items())
    own = f"<style>@media (prefers-color-scheme:dark){{.{name}{{{dark}}}}}</style>" if style else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{name}" role="img" viewBox="0 0 {width} {height}" '
        f'width="100%" font-family="system-ui, sans-serif" font-size="12" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
        f"{own}{''.join(shapes)}</svg>"
    )


def colour(name: str) -> str:
    """The page's colour if it has one, else ours. As attributes they hold under a policy that forbids inline styles."""
    return f"var(--chart-{name}, var(--_chart-{name}, {_COLOURS[name][0]}))"


def text(x: float, y: float, text: str, *, fill: str = "ink", anchor: str = "start", weight: int = 400) -> str:
    """One line of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour(fill)}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )


def time_axis(time: Scale, y: float) -> Iterable[str]:
    """Marks and their words below `y`, at most eight."""
    step = next((s for s in _TIME_STEPS if time.high / s <= 7), _TIME_STEPS[-1] * ceil(time.high / _TIME_STEPS[-1] / 7))
    for number in range(floor(time.high / step) + 1):
        x = time(number * step)
        yield (
            f'<line x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{y + 4}" stroke="{colour("muted")}"/>'
            + text(x, y + 19, at(number * step), fill="muted", anchor="middle")
        )


def at(seconds: float) -> str:
    """A moment on the time axis."""
    return f"{round(seconds, 1):g} s" if seconds < 60 else words.duration(seconds)
