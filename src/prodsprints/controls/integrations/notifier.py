"""Other ways for notifications to arrive: the dispatcher of the outbox, each channel behind a guard of its own."""

from __future__ import annotations

from prodsprints.controls.providers.guards import Guards, Policy
from prodsprints.guard import Profile, Retry
from prodsprints.kernel.settings import Settings
from prodsprints.notify.dispatcher import Dispatcher
from prodsprints.notify.rounds import Channel, Send
from prodsprints.notify.routes import Routes
from prodsprints.store.database import Database

# The deadline is how long a letter may wait for its token: a channel's own time bounds the rest.
_POLICY = Policy(deadline_seconds=3.0, retry=Retry.never(), failure_threshold=2, recovery_timeout=30.0)

_NO_LIMIT = "of your own account or server"
_PROFILES: dict[str, Profile] = {
    "email": Profile("email", "E-mail (SMTP)", unpublished=_NO_LIMIT),
    "twilio": Profile("twilio", "Twilio, messages", unpublished=_NO_LIMIT),
    "apprise": Profile("apprise", "By apprise", unpublished=_NO_LIMIT),
}


class Notifier:
    """One worker's dispatcher: Slack, else e-mail, else SMS, in the order of `notify.yaml`.

    A channel that failed twice in a row is skipped at once for half a minute, by all workers of the fleet. No channel
    is retried by its guard: the next channel is the retry, and after the last one the next round.
    """

    def __init__(self, db: Database, settings: Settings, guards: Guards, *, worker: str) -> None:
        self._guards = guards
        self._dispatcher = Dispatcher(db, Routes(settings), self._guarded, owner=worker)

    def start(self) -> None:
        """Begin; returns at once. Whoever is called `worker` has to beat: its lanes' leases are kept by that."""
        self._dispatcher.start()

    def stop(self) -> None:
        """End after the letters that are being told."""
        self._dispatcher.stop()

    def _guarded(self, channel: Channel, send: Send) -> Send:
        if not channel.provider:
            return send
        return self._guards.guard(
            _PROFILES.get(channel.provider, channel.provider),
            account=channel.name,
            policy=_POLICY,
        )(send)
