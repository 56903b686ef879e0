"""Slack, by an incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks)."""

from __future__ import annotations

import re

from prodsprints.guard import ServiceUnavailable
from prodsprints.notify.channels.web import Post
from prodsprints.notify.message import Letter

_SIGNS = {"info": "", "warning": ":warning: ", "critical": ":rotating_light: "}
_CODE = re.compile(rb"[a-z_]{3,60}")


class SlackWebhook:
    """Posts to the channel that its webhook was made for. The address holds the secret."""

    def __init__(self, name: str, seconds: float, url: str) -> None:
        self.name = name
        self.provider = "slack"
        self.seconds = seconds
        self._post = Post(url, seconds)

    def send(self, letter: Letter) -> str:
        """Post it. Slack answers `ok`; whatever else comes with a 200 is an error, or is not Slack."""
        told = self._post({"Idempotency-Key": letter.key}, json=_payload(letter))
        if told.body.strip() == b"ok":
            return "Slack answered ok"
        code = _CODE.search(told.body.partition(b'"error"')[2] or told.body)
        said = f": {code.group().decode()}" if code else ""
        raise ServiceUnavailable(f"it answered {told.status}, but not ok{said}")


def _payload(letter: Letter) -> dict[str, str]:
    # `&`, `<` and `>` begin what Slack would act on: links, mentions of everybody.
    text = letter.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": f"{_SIGNS[letter.severity]}{text}\n({letter.mark})"}
