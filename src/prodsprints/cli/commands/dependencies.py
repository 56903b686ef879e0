"""`prodsprints dependencies`: whom the platform calls, and how they are."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform


@click.command("dependencies")
@click.argument("name", required=False, metavar="[NAME]")
@options.tenant
@options.as_json
def command(name: str | None, platform: Platform, out: Output) -> None:
    """The providers that the platform calls: circuit, rate against limit, durations, what is frozen.

    With a NAME, more of that one: how its calls ended, its keys and its processes.

    \b
    Example: prodsprints dependencies github
    """
    if name is not None:
        one = platform.get(f"/dependencies/{quote(name, safe='')}")
        out.line("dependency", one)
        _tell(out, one)
        return
    found = platform.get("/dependencies")["items"]
    for one in found:
        out.line("dependency", one)
    if not found:
        out.say("No process of the platform has called anybody yet.")
    elif not out.json:
        _list(out, found)


def frozen(one: dict[str, Any]) -> str:
    """What of it is frozen, and for how long still; empty if nothing is."""
    parts = [
        f"{', '.join(scope['keys']) or 'all'} for {scope['frozen_seconds']:.0f} s"
        for scope in one["scopes"]
        if scope["frozen_seconds"] > 0
    ]
    return "; ".join(parts)


def _list(out: Output, found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    columns = ("provider", "circuit", "rate", "in flight", "p50", "p95", "p99", "retries", "frozen")
    table = Table(*columns, box=None, header_style="dim", padding=(0, 2, 0, 0))
    for one in found:
        durations = [_seconds(one, f"p{share}_seconds") for share in (50, 95, 99)]
        table.add_row(
            one["name"], _circuit(one), _rate(one), _in_flight(one), *durations, f"{one['retries']:,}", frozen(one)
        )
    out.say(table)


def _tell(out: Output, one: dict[str, Any]) -> None:
    if out.json:
        return
    from rich.table import Table

    out.say(f"{one['name']}: circuit {_circuit(one)}, {one['trips']} trips; {_rate(one)}, {_in_flight(one)} in flight")
    quantiles = ", ".join(f"p{share} {_seconds(one, f'p{share}_seconds')}" for share in (50, 95, 99))
    out.say(f"  attempts of the last 5 minutes: {one['recent_attempts']:,}; {quantiles}")
    unpaid = f", {one['budget_spent']:,} not paid for" if one["budget_spent"] else ""
    out.say(f"  retries {one['retries']:,}{unpaid}; throttled {one['throttled']:,}; {_ended(one)}")
    if one["quota"]:
        out.say(f"  its quota {one['quota']['name']!r} is exhausted on {one['quota']['reaches'][:10]}")
    if one["bucket_seconds"] is not None:
        out.say(f"  its bucket is empty in {one['bucket_seconds']:.0f} s at this rate")
    for trip in one["last_trips"]:
        out.say(f"  its circuit opened at {trip[:19]}Z")
    for act in one["by_hand"]:
        out.say(f"  {act['actor']}: {act['act']}, {act['seconds']:.0f} s, at {act['at'][:19]}Z")
    table = Table("keys", "limit", "left", "frozen", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for scope in one["scopes"]:
        limit = "unknown" if scope["rate"] is None else f"{scope['rate']:g}/s, {scope['burst']:g} at once"
        left = "–" if scope["remaining"] is None else f"{scope['remaining']:.0f}"
        cold = f"{scope['frozen_seconds']:.0f} s left" if scope["frozen_seconds"] > 0 else "–"
        table.add_row(", ".join(scope["keys"]) or "the caller's own", limit, left, cold)
    out.say(table)
    table = Table("worker", "circuit", "in flight", "rate", "heard", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for process in one["processes"]:
        state = process["circuit"] if process["is_fresh"] else "not heard of"
        heard = f"{process['heard_seconds_ago']:.0f} s ago"
        table.add_row(process["worker"], state, str(process["in_flight"]), f"{process['rate']:.2g}/s", heard)
    out.say(table)


def _circuit(one: dict[str, Any]) -> str:
    return str(one["circuit"]) if one["is_fresh"] else f"{one['circuit']} {one['heard_seconds_ago']:.0f} s ago"


def _rate(one: dict[str, Any]) -> str:
    limit = f" of {one['rate_limit']:g}" if one["rate_limit"] is not None else ""
    return f"{one['rate']:.3g}{limit}/s"


def _in_flight(one: dict[str, Any]) -> str:
    return f"{one['in_flight']} of {one['limit']:.0f}" if one["limit"] is not None else str(one["in_flight"])


def _seconds(one: dict[str, Any], name: str) -> str:
    if one[name] is None:
        return "> 60 s" if one["recent_attempts"] else "–"
    return f"{one[name] * 1000:g} ms" if one[name] < 1 else f"{one[name]:g} s"


def _ended(one: dict[str, Any]) -> str:
    return ", ".join(f"{outcome} {count:,}" for outcome, count in one["outcomes"].items()) or "no call has ended yet"
