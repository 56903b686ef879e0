"""`prodsprints quotas`: what providers allow, what is used of it, when it ends, and asking for more in time."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Any

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform
from prodsprints.kernel.errors import ExitCode, UsageError

_quota = click.argument("quota", metavar="QUOTA")


def _finite(_ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """What JSON has no number for is no number here either."""
    if value is not None and not isfinite(value):
        raise UsageError(f"{value} can be no {parameter.name}.", next_step="Give a number, such as 5000.")
    return value


@click.group("quotas")
def command() -> None:
    """What providers allow, what is used of it, the day a limit is reached, and the request to raise it.

    QUOTA is a quota's id, the first letters of it, or its code where only one quota has it.

    \b
    Example: prodsprints quotas list
    """


@command.command("list")
@click.option("--provider", default=None, metavar="NAME", help="Only this provider's.")
@click.option("--exit-code", is_flag=True, help="Exit with 2 if a draft waits to be sent.")
@options.tenant
@options.as_json
def list_(provider: str | None, exit_code: bool, platform: Platform, out: Output) -> int:
    """Every quota, the one whose limit is nearest first.

    \b
    Example: prodsprints quotas list --provider aws
    """
    found = platform.get("/quotas", provider=provider)["items"]
    for one in found:
        out.line("quota", one)
    if not found:
        out.say("No quota is followed. Follow one:")
        out.say("  prodsprints quotas follow aws 123456789012 L-DF5E4CA3 --region eu-central-1 --service vpc")
    elif not out.json:
        _print(out, found)
    drafted = any(one["request"] and one["request"]["state"] == "drafted" for one in found)
    return ExitCode.CHANGES if drafted and exit_code else ExitCode.DONE


@command.command("show")
@_quota
@options.tenant
@options.as_json
def show(quota: str, platform: Platform, out: Output) -> None:
    """One quota: its use, what is foreseen, and its requests, each as it is sent.

    \b
    Example: prodsprints quotas show L-DF5E4CA3
    """
    found = platform.get(f"/quotas/{_find(platform, quota)['id']}")
    out.line("quota", found)
    _describe(out, found)
    for request in found["requests"]:
        _request(out, request)


@command.command("follow")
@click.argument("provider")
@click.argument("account")
@click.argument("code")
@click.option("--region", default="", metavar="NAME", help="The region, where the quota has one.")
@click.option("--service", default="", metavar="CODE", help="Such as vpc, compute.googleapis.com, Microsoft.Compute.")
@click.option("--name", default="", metavar="TEXT", help="What people call it.")
@click.option("--unit", default="", metavar="TEXT", help="What it counts.")
@click.option("--rate", is_flag=True, help="It limits how much happens in a time, not how much there is.")
@click.option(
    "--limit",
    type=float,
    default=None,
    callback=_finite,
    metavar="N",
    help="By hand; without it the provider's API is asked.",
)
@click.option("--published", is_flag=True, help="The limit that the provider publishes, by the second.")
@click.option(
    "--lead-days", type=int, default=14, show_default=True, metavar="N", help="How early a request is drafted."
)
@options.tenant
@options.as_json
def follow(
    provider: str,
    account: str,
    code: str,
    region: str,
    service: str,
    name: str,
    unit: str,
    rate: bool,
    limit: float | None,
    published: bool,
    lead_days: int,
    platform: Platform,
    out: Output,
) -> None:
    """Keep book of a quota from now on. Of aws, gcp and azure limit and use are asked for every five minutes.

    \b
    Examples:
      prodsprints quotas follow aws 123456789012 L-DF5E4CA3 --region eu-central-1 --service vpc
      prodsprints quotas follow acme team-7 seats --limit 50
    """
    told: dict[str, Any] = {
        **{"provider": provider, "account": account, "code": code, "region": region, "service": service},
        **{"name": name, "unit": unit, "kind": "rate" if rate else "resource"},
        **{"limit": limit, "published": published, "lead_days": lead_days},
    }
    made = platform.post("/quotas", told)
    out.line("quota", made)
    out.say(f"Followed as {made['id']}.")
    if made["source"] != "provider":
        out.say(f"  prodsprints quotas use {made['id'][:8]} N   whenever it was measured")


@command.command("set")
@_quota
@click.argument("limit", type=float, callback=_finite)
@options.tenant
@options.as_json
def set_(quota: str, limit: float, platform: Platform, out: Output) -> None:
    """Set a limit by hand. Where an API tells it, that one's next answer counts again.

    \b
    Example: prodsprints quotas set 3f0c 80
    """
    changed = platform.post(f"/quotas/{_find(platform, quota)['id']}/limit", {"limit": limit})
    out.line("quota", changed)
    _describe(out, changed)


@command.command("use")
@_quota
@click.argument("used", type=float, callback=_finite)
@click.option(
    "--at", default=None, metavar="TIME", help="When it was measured, such as 2026-11-29T12:00Z; now if not given."
)
@options.tenant
@options.as_json
def use(quota: str, used: float, at: str | None, platform: Platform, out: Output) -> None:
    """Tell how much is used: for what no API tells.

    \b
    Example: prodsprints quotas use seats 42
    """
    sample: dict[str, Any] = {"used": used} | ({"at": _moment(at)} if at else {})
    changed = platform.post(f"/quotas/{_find(platform, quota)['id']}/use", {"samples": [sample]})
    out.line("quota", changed)
    _describe(out, changed)


@command.command("draft")
@_quota
@options.tenant
@options.as_json
def draft(quota: str, platform: Platform, out: Output) -> None:
    """Draft the request to raise a limit now, due or not. Nothing is sent.

    \b
    Example: prodsprints quotas draft L-DF5E4CA3
    """
    made = platform.post(f"/quotas/{_find(platform, quota)['id']}/draft")
    out.line("request", made)
    _request(out, made)


@command.command("send")
@_quota
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.tenant
@options.as_json
def send(quota: str, yes: bool, platform: Platform, out: Output) -> int:
    """Send the draft of a quota, after showing it; the worker brings it to the provider. With --json nothing is asked.

    \b
    Example: prodsprints quotas send L-DF5E4CA3
    """
    waiting = _waiting(platform, quota)
    _request(out, waiting)
    if not (yes or out.json) and not click.confirm("Send it?", err=True):
        out.say("Nothing was sent.")
        return ExitCode.NOT_APPROVED
    sent = platform.post(f"/quota-requests/{waiting['id']}/send", {"desired": waiting["desired"]})
    out.line("request", sent)
    out.say("It is on its way. What becomes of it:")
    out.say(f"  prodsprints quotas show {waiting['quota_id'][:8]}")
    return ExitCode.DONE


@command.command("drop")
@_quota
@options.tenant
@options.as_json
def drop(quota: str, platform: Platform, out: Output) -> None:
    """Do not send the draft of a quota; for a week none is made anew by itself.

    \b
    Example: prodsprints quotas drop L-DF5E4CA3
    """
    dropped = platform.post(f"/quota-requests/{_waiting(platform, quota)['id']}/drop")
    out.line("request", dropped)
    out.say("Dropped.")


@command.command("forget")
@_quota
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.tenant
@options.as_json
def forget(quota: str, yes: bool, platform: Platform, out: Output) -> int:
    """Follow a quota no longer; its history and its requests are forgotten. With --json nothing is asked.

    \b
    Example: prodsprints quotas forget seats
    """
    found = _find(platform, quota)
    question = f"Forget {found['name']} ({found['provider']} {found['account']}) with its history?"
    if not (yes or out.json) and not click.confirm(question, err=True):
        out.say("Nothing was forgotten.")
        return ExitCode.NOT_APPROVED
    platform.delete(f"/quotas/{found['id']}")
    out.line("forgotten", {"id": found["id"]})
    out.say(f"{found['name']} is not followed any more.")
    return ExitCode.DONE


def _find(platform: Platform, named: str) -> dict[str, Any]:
    """The quota that is meant. Raises UsageError."""
    known: list[dict[str, Any]] = platform.get("/quotas")["items"]
    found = [one for one in known if named in {one["id"], one["code"]}]
    found = found or [one for one in known if len(named) >= 4 and one["id"].startswith(named.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(one["id"][:8] for one in found)
        raise UsageError(f"{len(found)} quotas are called {named!r}.", next_step=f"Name one by its id: {ids}.")
    raise UsageError(
        f"No quota is called {named[:80]!r}.", next_step="`prodsprints quotas list` shows those there are."
    )


def _waiting(platform: Platform, named: str) -> dict[str, Any]:
    """The draft that waits. Raises UsageError."""
    found = _find(platform, named)
    request: dict[str, Any] | None = found["request"]
    if request is None or request["state"] != "drafted":
        said = f"it is {request['state']}" if request else "there is none"
        raise UsageError(
            f"No draft of {found['name']} waits: {said}.", next_step="`prodsprints quotas draft` makes one."
        )
    return request


def _moment(text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text[:40]!r} is no moment.", next_step="Give one such as 2026-11-29T12:00Z.") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


def _describe(out: Output, one: dict[str, Any]) -> None:
    where = " ".join(filter(None, (one["provider"], one["account"], one["region"], one["service"], one["code"])))
    out.say(f"{one['name']}  ({where})")
    if one["limit"] is not None:
        used = "not measured" if one["used"] is None else f"{one['used']:,.15g}"
        out.say(f"  {used} of {one['limit']:,.15g} {one['unit']}".rstrip())
    out.say(f"  {one['outlook']}")
    if one["trouble"]:
        out.say(f"  {one['trouble']}")


def _request(out: Output, request: dict[str, Any]) -> None:
    import json

    said = f", {request['provider_status']}" if request["provider_status"] else ""
    out.say(f"Request {request['id'][:8]}: {request['state']}{said}")
    out.say(f"  {request['reason']}")
    if request["trouble"]:
        out.say(f"  {request['trouble']}")
    call = request["call"]
    if call is None:
        out.say("  The provider has no API for it that is known here: send these words yourself, then `quotas set`.")
        return
    out.say(f"  {call['method']} {call['url']}")
    for line in json.dumps(call["body"], indent=2, ensure_ascii=False).splitlines():
        out.say(f"    {line}")


def _print(out: Output, found: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    columns = ("id", "quota", "of", "used", "limit", "reached", "request")
    table = Table(*columns, box=None, header_style="dim", padding=(0, 2, 0, 0))
    tones = {"reached": "red", "due": "yellow", "unknown": "dim"}
    for one in found:
        used = "–" if one["used"] is None else f"{one['used']:,.6g}"
        limit = "–" if one["limit"] is None else f"{one['limit']:,.6g}"
        when = one["reaches"][:10] if one["reaches"] else {"unknown": "not enough data"}.get(one["state"], "–")
        state = one["request"]["state"] if one["request"] else ""
        place = f"{one['provider']} {one['account']}"
        table.add_row(
            one["id"][:8], Text(one["name"]), place, used, limit, Text(when, style=tones.get(one["state"], "")), state
        )
    out.say(table)
