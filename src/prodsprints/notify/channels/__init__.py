"""The channels: one module for each way to reach people."""

from __future__ import annotations

from pathlib import Path

from prodsprints.notify import credentials
from prodsprints.notify.config import Email, Entry, Other, Slack, Sms, refusal
from prodsprints.notify.errors import NotifyConfigError
from prodsprints.notify.rounds import Channel


def open(name: str, entry: Entry | None, *, home: Path) -> Channel:
    """The channel `name` as `entry` describes it; without an entry, one of those that are always there.

    Raises NotifyConfigError for a credential that cannot be read, or an address that is none.
    """
    if entry is None:
        from prodsprints.notify.channels.here import Page, Terminal

        return Terminal() if name == "terminal" else Page()
    if isinstance(entry, Slack):
        from prodsprints.notify.channels.slack import SlackWebhook

        return SlackWebhook(name, entry.timeout_seconds, _address(name, entry, home))
    if isinstance(entry, Email):
        from prodsprints.notify.channels.mail import Mail

        what = f"the password of the channel {name}"
        given = entry.username is not None
        secret = (
            credentials.read(what, file=entry.password_file, variable=entry.password_env, home=home) if given else None
        )
        return Mail(name, entry, secret)
    if isinstance(entry, Sms):
        from prodsprints.notify.channels.sms import Twilio

        what = f"the token of the channel {name}"
        token = credentials.read(what, file=entry.token_file, variable=entry.token_env, home=home)
        return Twilio(name, entry, token)
    from prodsprints.notify.channels.other import ByApprise

    secret = credentials.read(
        f"the address of the channel {name}", file=entry.url_file, variable=entry.url_env, home=home
    )
    return ByApprise(name, entry.timeout_seconds, secret)


def _address(name: str, entry: Slack | Other, home: Path) -> str:
    url = credentials.read(f"the address of the channel {name}", file=entry.url_file, variable=entry.url_env, home=home)
    problem = refusal(url)
    if problem:
        raise NotifyConfigError(
            f"What is kept as the address of the channel {name} {problem}.",
            next_step="Copy it from where the webhook was made; it is not shown here, since it is a secret.",
        )
    return url
