"""Text messages, by Twilio's API (https://www.twilio.com/docs/messaging/api/message-resource)."""

from __future__ import annotations

from prodsprints.guard import GuardError
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.notify.channels.web import Post
from prodsprints.notify.config import Sms
from prodsprints.notify.errors import RefusedError
from prodsprints.notify.message import Letter

_LONGEST = 1_600  # Twilio's own bound


class Twilio:
    """Sends to each number; taken by one of them it is delivered, since a second try would reach that one twice."""

    def __init__(self, name: str, entry: Sms, token: str) -> None:
        self.name = name
        self.provider = "twilio"
        self.seconds = entry.timeout_seconds
        self._entry = entry
        url = f"{entry.api}/2010-04-01/Accounts/{entry.account}/Messages.json"
        self._post = Post(url, entry.timeout_seconds, (entry.account, token))

    def send(self, letter: Letter) -> str:
        """Send to every number; raises what the last of them ended with if none took it."""
        taken, failed = 0, None
        for number in self._entry.recipients:
            form = {"To": number, "From": self._entry.sender, "Body": _text(letter)}
            try:
                self._post({"Idempotency-Key": f"{letter.key}/{number}"}, data=form)
                taken += 1
            except (GuardError, RefusedError) as error:
                failed = _worse(failed, error)
        if not taken and failed is not None:
            raise failed
        return f"taken for {taken} of {len(self._entry.recipients)} numbers"


def _worse(known: ProdSprintsError | None, error: ProdSprintsError) -> ProdSprintsError:
    """What can be tried again counts, before what is refused for good."""
    return error if known is None or isinstance(known, RefusedError) else known


def _text(letter: Letter) -> str:
    ending = f" ({letter.mark})"
    text = letter.text
    longest = _LONGEST - len(ending)
    return (text if len(text) <= longest else text[: longest - 1].rstrip() + "…") + ending
