"""A release as it goes: its live log drawn in the terminal, and how it ended, for whoever waits for it."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform
from prodsprints.kernel.errors import ExitCode

Json = dict[str, Any]

_EXIT_CODES = {
    "released": ExitCode.DONE,
    "rolled_back": ExitCode.ROLLED_BACK,
    "refused": ExitCode.REFUSED,
}
_MARKS = {
    "done": ("✓", "green"),
    "skipped": ("–", "dim"),
    "refused": ("✗", "red"),
    "failed": ("✗", "red"),
}
_ENDINGS = {"released": "green", "rolled_back": "yellow", "refused": "red", "failed": "red", "aborted": "yellow"}


def follow(platform: Platform, release: Json, out: Output) -> int:
    """Show a release until it has ended; returns the exit code that its end means. Ctrl-C stops only the showing."""
    try:
        ended = watch(platform, release, out)
    except KeyboardInterrupt:
        out.note(
            f"\nNo longer following. {release['project']} {release['label']} goes on; "
            "`prodsprints status` shows it, `prodsprints abort` stops it."
        )
        raise
    out.line("release", ended)
    out.say(ending(ended))
    return exit_code(ended)


def watch(platform: Platform, release: Json, out: Output, console: Console | None = None) -> Json:
    """Show the live log on `console` (stderr), and as JSON lines if asked for; returns the release as it ended."""
    with _Progress(console or out.progress) as progress:
        for event in platform.events(release["id"]):
            out.line("event", {"release": release["id"], **event})
            progress.show(event)
    ended: Json = platform.get(f"/releases/{release['id']}")
    return ended


def ending(release: Json) -> RenderableType:
    """How the release ended, as a person would say it."""
    status = str(release["status"])
    words = {"released": "is released", "rolled_back": "was rolled back", "refused": "was refused"}
    headline = Text(
        f"{release['project']} {release['label']} {words.get(status, status)} ({release['environment']})",
        style=f"bold {_ENDINGS.get(status, '')}",
    )
    figures = release.get("figures") or {}
    parts = [headline, Text(release.get("reason") or "")]
    parts += [Text.assemble(("! ", "bold yellow"), str(one["said"])) for one in release.get("degradations") or ()]
    if status != "released" and figures.get("next_step"):
        parts.append(Text.assemble(("→ ", "bold cyan"), str(figures["next_step"])))
    return Group(*(part for part in parts if part))


def exit_code(release: Json) -> int:
    """0 released, 3 refused, 6 rolled back; anything else failed."""
    return int(_EXIT_CODES.get(str(release["status"]), ExitCode.FAILED))


class _Progress:
    """One line for each step that ended, above one that lives: the running step, or the canary's figures."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._step = ""
        self._began = time.monotonic()
        self._said = Text()
        self._why = ""
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(get_renderable=self._now, console=console, transient=True, refresh_per_second=8)

    def __enter__(self) -> _Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, event: Json) -> None:
        """Take one event of the live log."""
        kind, message = event["kind"], str(event["message"])
        if kind == "began":
            self._step, self._began, self._said, self._why = str(event["step"]), time.monotonic(), Text(), ""
        elif kind == "ended":
            self._print_step(str(event["step"]), str(event["data"].get("status", "done")), message)
        elif kind == "tick":
            self._said = _figures(event["data"])
            if not self._console.is_terminal and event["data"]["looks"] % 10 == 0:
                self._console.print(Text("    ").append_text(self._said))
        elif kind == "route":
            self._console.print(Text(f"    {message}", style="cyan"))
        elif kind == "why":
            self._why = message
        else:
            self._said = Text(message.strip()[:200], style="dim", overflow="ellipsis", no_wrap=True)

    def _print_step(self, step: str, status: str, summary: str) -> None:
        mark, style = _MARKS.get(status, ("·", ""))
        took = f"{time.monotonic() - self._began:.1f} s" if step == self._step else ""
        row = Table.grid(padding=(0, 1))
        row.add_column(width=1)
        row.add_column(width=9)
        row.add_column(width=7, justify="right")
        row.add_column(ratio=1)
        row.add_row(Text(mark, style=style), Text(step, style="bold"), Text(took, style="dim"), Text(summary))
        self._console.print(row)
        if self._why:
            self._console.print(Padding(Text(self._why, style="red"), (0, 0, 0, 4)))
        self._step, self._said = "", Text()

    def _now(self) -> RenderableType:
        if not self._step:
            return Text()
        row = Table.grid(padding=(0, 1))
        row.add_row(
            self._spinner,
            Text(f"{self._step:9}", style="bold"),
            Text(f"{time.monotonic() - self._began:5.0f} s", style="dim"),
            self._said,
        )
        return row


def _figures(verdict: Json) -> Text:
    """The canary's figures at one look, in one line."""
    canary, stable = verdict["canary"], verdict["stable"]
    if not canary["requests"] and not stable["requests"]:
        waiting = "no request came yet, so there is nothing to judge by: send traffic, or `prodsprints promote`"
        return Text.assemble((f"{verdict['weight']:>2g} %", "cyan"), " ", (waiting, "yellow"))
    evidence = verdict["e_value"] / verdict["threshold"]
    # Whichever comes first: the evidence against it reaches 100 %, or the possible rise of its errors falls to delta.
    rise = "unknown" if verdict["bound"] >= 1 else f"≤ {100 * verdict['bound']:.2f} pp"
    figures = Text.assemble(
        (f"{verdict['weight']:>2g} %", "cyan"),
        f" {_arm(canary)} · {_arm(stable)} · against it ",
        (f"{min(evidence, 1):.0%}", "red" if evidence >= 0.5 else "green"),
        f" · rise {rise} (allowed {100 * verdict['delta']:g})",
    )
    figures.no_wrap, figures.overflow = True, "ellipsis"
    return figures


def _arm(arm: Json) -> str:
    rate = arm["errors"] / arm["requests"] if arm["requests"] else 0.0
    return f"{arm['label']} {arm['errors']:,}/{arm['requests']:,} ({rate:.2%})"
