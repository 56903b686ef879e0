"""Drills in the terminal: which there are, one as it runs, and what mutation says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform
from prodsprints.kernel.errors import ExitCode

if TYPE_CHECKING:
    from prodsprints.drills.mutation_report import Report

Json = dict[str, Any]

_COLOURS = {"held": "green", "failed": "red", "invalid": "magenta", "none": "yellow"}
_ENDINGS = {
    "held": "The control held",
    "failed": "The control failed",
    "invalid": "The drill is invalid",
    "none": "No verdict",
}
_ARMS = {"treatment": "with the control", "placebo": "without it"}


def follow(platform: Platform, run: Json, out: Output) -> int:
    """Show a run until it has ended; returns the exit code that its outcome means."""
    try:
        for event in platform.follow(f"/drill-runs/{run['id']}/events"):
            out.line("event", {"run": run["id"], **event})
            if (line := _line(event)) is not None:
                out.progress.print(line)
    except KeyboardInterrupt:
        out.note(f"\nNo longer following. The drill goes on: {platform.address}/drill-runs/{run['id']}")
        raise
    ended: Json = platform.get(f"/drill-runs/{run['id']}")
    out.line("drill-run", ended)
    out.say(ending(ended))
    return int(ExitCode.DONE if ended["outcome"] == "held" and not _is_unsigned(ended) else ExitCode.FAILED)


def lines(platform: Platform, run: Json) -> Iterator[Text]:
    """What happens in both arms, as it happens, until the run has ended."""
    for event in platform.follow(f"/drill-runs/{run['id']}/events"):
        if (line := _line(event)) is not None:
            yield line


def ending(run: Json) -> RenderableType:
    """How the run ended, as a person would say it."""
    outcome = str(run["outcome"])
    parts: list[Text] = [
        Text(
            f"{_ENDINGS.get(outcome, outcome)}: {run['row']} {run['variant']}",
            style=f"bold {_COLOURS.get(outcome, '')}",
        ),
        Text(str(run["reason"])),
    ]
    measured = run.get("measured") or {}
    if measured:
        figures = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in sorted(measured.items()))
        parts.append(Text(figures, style="dim"))
    if _is_unsigned(run):
        parts.append(Text("No evidence: the log did not take what it showed, so nothing is proven.", style="red"))
        parts.append(Text("→ The worker's log says why; verify the log: `prodsprints evidence export`."))
    elif run.get("evidence_index") is not None:
        parts.append(Text(f"Evidence: entry {run['evidence_index']} of the ledger.", style="dim"))
    return Group(*parts)


def _is_unsigned(run: Json) -> bool:
    """It came to a verdict, and the log did not take it."""
    return run["outcome"] != "none" and run.get("evidence_index") is None


def table(drills: list[Json]) -> Table:
    """One line for each drill."""
    lines = Table(box=None, pad_edge=False)
    for name in ("row", "variant", "breaks", "safety", "peer", "last"):
        lines.add_column(name, style="bold" if name == "row" else "", overflow="fold")
    for drill in drills:
        if drill["trouble"]:
            lines.add_row(drill["row"], "", Text(drill["trouble"], style="red"))
            continue
        last = drill["last"] or {}
        outcome = str(last.get("outcome") or last.get("status") or "never run")
        peers = ", ".join(f"{peer['name']} ({peer['peer_class']})" for peer in drill["peers"])
        lines.add_row(
            drill["row"],
            drill["variant"],
            drill["fault"],
            drill["safety"],
            peers,
            Text(outcome, style=_COLOURS.get(outcome, "dim")),
        )
    return lines


def mutate(
    rows: tuple[str, ...], *, most: int, seed: int, at_once: int, note: Callable[[str], None]
) -> Iterator[Report]:
    """The mutation report of each of the register's rows that are named, or of every row with a drill."""
    from prodsprints.bench.scratch import scratch
    from prodsprints.drills import mutation
    from prodsprints.drills.catalog import Catalog
    from prodsprints.register.load import load

    register = load()
    catalog = Catalog.of({row.id: row.drills for risk in register.risks for row in risk.mitigations})
    wanted = {row: catalog.drills(row) or (catalog.find(row),) for row in rows}
    wanted = wanted or {row: catalog.drills(row) for row, drills in catalog.rows.items() if drills}
    with scratch() as place:
        for row, drills in wanted.items():
            yield mutation.mutate(
                row,
                drills,
                settings=place.settings,
                admin=place.postgres.admin_address("postgres"),
                most=most,
                seed=seed,
                at_once=at_once,
                progress=note,
            )


def _line(event: Json) -> Text | None:
    """One event of the stream in a line; phases, samples and figures are for the page."""
    data, arm = event["data"], _ARMS.get(event["arm"], "")
    head = Text(f"{float(event['at']):6.2f} s  {arm:<16}  ", style="dim")
    match event["kind"]:
        case "probe":
            mark, style = ("✓", "green") if data["holds"] else ("✗", "red")
            return head + Text.assemble((f"{mark} ", style), (f"{data['name']}: ", "bold"), str(data["words"]))
        case "fault":
            return head + Text("the fault begins" if data["on"] else "the fault ends", style="cyan")
        case "broken":
            return head + Text(str(data["why"]), style="yellow")
    return None
