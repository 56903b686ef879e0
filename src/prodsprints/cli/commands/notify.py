"""`prodsprints notify`: tell an audience something, and see what became of it."""

from __future__ import annotations

import time
from typing import Any

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform
from prodsprints.kernel.errors import ExitCode

_TEST_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_SEND = "send"


class _Group(click.Group):
    """`prodsprints notify "#ops" "…"` is its `send`: an audience begins with # or @, as no command's name does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [one for one in args if not one.startswith("-")]
        if words and words[0] not in self.commands and (len(words) > 1 or words[0].startswith(("#", "@"))):
            args = [_SEND, *args]
        return super().parse_args(ctx, args)


@click.group("notify", cls=_Group)
def command() -> None:
    """Tell an audience something: by its first channel that takes it, in the order of notify.yaml.

    Put the audience in quotes: for a shell, what follows a bare # is a comment.

    \b
    Example: prodsprints notify "#ops" "The database moves tonight at 22:00."
    """


@command.command(_SEND)
@click.argument("audience")
@click.argument("text")
@click.option("--subject", default=None, metavar="TEXT", help="The text's first line if none is given.")
@click.option(
    "--severity", type=click.Choice(["info", "warning", "critical"]), default="info", show_default=True, help="How bad."
)
@click.option(
    "--key", "dedupe_key", default=None, metavar="KEY", help="The same key again within ten minutes is told once."
)
@options.tenant
@options.as_json
def send(
    audience: str,
    text: str,
    subject: str | None,
    severity: str,
    dedupe_key: str | None,
    platform: Platform,
    out: Output,
) -> None:
    """Put TEXT into the outbox for AUDIENCE; a worker sends it from there. `send` may be left out.

    \b
    Example: prodsprints notify "#ops" "The database moves tonight at 22:00."
    """
    told = {"audience": audience, "text": text, "severity": severity}
    told |= {"subject": subject} if subject is not None else {}
    told |= {"dedupe_key": dedupe_key} if dedupe_key is not None else {}
    notification = platform.post("/notifications", told)
    out.line("notification", notification)
    out.say(f"In the outbox for {notification['audience']}: {notification['id']}")
    out.say(f"  prodsprints notify show {notification['id']}   what became of it")


@command.command("list")
@click.option("--state", type=click.Choice(["waiting", "delivered", "dead"]), default=None, help="Only these.")
@click.option("--audience", default=None, metavar="NAME", help="Only what it was told.")
@options.tenant
@options.as_json
def list_(state: str | None, audience: str | None, platform: Platform, out: Output) -> None:
    """The newest notifications, and where each stands.

    \b
    Example: prodsprints notify list --state dead
    """
    found = platform.get("/notifications", state=state, audience=audience)["items"]
    for notification in found:
        out.line("notification", notification)
    if not found:
        out.say("No notification is there.")
    elif not out.json:
        _print(out, found)


@command.command("show")
@click.argument("notification_id", metavar="NOTIFICATION")
@options.tenant
@options.as_json
def show(notification_id: str, platform: Platform, out: Output) -> None:
    """One notification, with every channel that was asked to take it.

    \b
    Example: prodsprints notify show 3f0c…
    """
    _tell(out, platform.get(f"/notifications/{notification_id}"))


@command.command("again")
@click.argument("notification_id", metavar="NOTIFICATION")
@options.tenant
@options.as_json
def again(notification_id: str, platform: Platform, out: Output) -> None:
    """Let a notification that nothing delivered go out again, by all of its channels.

    \b
    Example: prodsprints notify again 3f0c…
    """
    notification = platform.post(f"/notifications/{notification_id}/again")
    out.line("notification", notification)
    out.say(f"{notification['subject']} waits again.")


@command.command("audiences")
@options.tenant
@options.as_json
def audiences(platform: Platform, out: Output) -> None:
    """Who can be told something, and by which channels, in order.

    \b
    Example: prodsprints notify audiences
    """
    for one in platform.get("/notification-audiences")["items"]:
        out.line("audience", one)
        out.say(f"{one['audience']}: {', else '.join(one['channels'])}")


@command.command("test")
@click.argument("audience")
@options.tenant
@options.as_json
def test(audience: str, platform: Platform, out: Output) -> int:
    """Send a test message to AUDIENCE, wait for it, and say which channel took it. Exits 1 if none did.

    \b
    Example: prodsprints notify test "#ops"
    """
    text = "A test: nothing happened, and nothing has to be done."
    told = {"audience": audience, "text": text, "subject": "A test of notifications"}
    sent = platform.post("/notifications", told)
    deadline = time.monotonic() + _TEST_SECONDS
    while True:
        found: dict[str, Any] = platform.get(f"/notifications/{sent['id']}")
        # after one round without success the rest is waiting for the same again
        if found["state"] != "waiting" or found["rounds"] or time.monotonic() > deadline:
            break
        time.sleep(_LOOK_SECONDS)
    _tell(out, found)
    return ExitCode.DONE if found["state"] == "delivered" else ExitCode.FAILED


def _tell(out: Output, found: dict[str, Any]) -> None:
    out.line("notification", found)
    out.say(f"{found['subject']}  (to {found['audience']}, {found['state']})")
    if not found["attempts"]:
        out.say("  Nothing was tried yet: is a worker running? `prodsprints status` says.")
    for one in found["attempts"]:
        out.say(f"  {one['channel']}: {one['outcome']} after {one['seconds']:.2f} s, {one['words']}")
    if found["state"] == "delivered":
        out.say(f"Delivered by {found['delivered_by']} after {found['delivered_after_seconds']:.1f} s.")
    elif found["state"] == "dead":
        out.say("Nothing delivered it, and it is not tried any more.")
        out.say(f"  prodsprints notify again {found['id']}   once that is repaired")


def _print(out: Output, found: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        "notification", "to", "state", "by", "put", "what", box=None, header_style="dim", padding=(0, 2, 0, 0)
    )
    for one in found:
        style = {"dead": "red", "delivered": "green"}.get(one["state"], "")
        put = one["created_at"][:16].replace("T", " ")
        state = Text(one["state"], style=style)
        table.add_row(one["id"], one["audience"], state, one["delivered_by"] or "–", put, Text(one["subject"]))
    out.say(table)
