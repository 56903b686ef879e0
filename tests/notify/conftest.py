"""A home with a `notify.yaml`, peers on loopback, and a dispatcher that beats for its lanes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from prodsprints.controls.integrations import notify_peers
from prodsprints.controls.integrations.notifier import Notifier
from prodsprints.controls.integrations.notify_peers import HttpBox, MailBox
from prodsprints.kernel.settings import Settings
from prodsprints.notify import outbox
from prodsprints.notify.message import Message
from prodsprints.notify.outbox import Attempt, Notification
from prodsprints.store.database import Database
from prodsprints.store.workers import Heartbeat
from support_waiting import eventually


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a home of the test's own."""
    return replace(settings, home=tmp_path)


@dataclass(frozen=True)
class World:
    """Three ways to reach somebody, and what is told by them."""

    db: Database
    tenant: UUID
    settings: Settings
    slack: HttpBox
    mail: MailBox
    sms: HttpBox

    def configure(self, *channels: str, audience: str = "#ops", mail_port: int | None = None) -> None:
        """Write a `notify.yaml` by which `audience` is told by `channels`."""
        secret(self.settings.home / "slack-url", f"{self.slack.url}/services/T0/B0/topsecret")
        secret(self.settings.home / "sms-token", "topsecret")
        secret(
            self.settings.home / "notify.yaml",
            f"""\
version: 1
channels:
  slack: {{kind: slack, url_file: slack-url}}
  mail: {{kind: email, host: 127.0.0.1, port: {mail_port or self.mail.port}, security: none, \
sender: us@example.com, recipients: [ops@example.com]}}
  sms: {{kind: sms, account: AC0, token_file: sms-token, sender: "+4915100000", recipients: ["+4915100001"], \
api: "{self.sms.url}"}}
audiences:
  "{audience}": [{", ".join(channels)}]
""",
        )

    def put(self, text: str, audience: str = "#ops") -> UUID:
        """Put a message in a transaction of its own."""
        message = Message.of(audience, text)
        return outbox.add(self.db, self.tenant, message, requested_by="test", id=uuid4()).id

    def get(self, id: UUID) -> Notification:
        return outbox.get(self.db, self.tenant, id)

    def ended(self, id: UUID, *, seconds: float = 20.0) -> Notification:
        """Wait until it waits no longer."""
        eventually(lambda: self.get(id).state != "waiting", seconds=seconds)
        return self.get(id)

    def attempts(self, id: UUID) -> list[Attempt]:
        return outbox.attempts(self.db, self.tenant, id)

    @contextmanager
    def notifier(self) -> Iterator[Notifier]:
        """One dispatcher, as a worker has it."""
        worker = f"test-{uuid4().hex[:8]}"
        beat = Heartbeat(self.db, worker=worker, node="test", on_reaped=lambda: None)
        one = Notifier(self.db, self.settings, notify_peers.unlimited(self.settings.home), worker=worker)
        beat.start()
        one.start()
        try:
            yield one
        finally:
            one.stop()
            beat.stop()


def secret(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


@pytest.fixture
def world(database: Database, tenant: UUID, own: Settings) -> Iterator[World]:
    with ExitStack() as stack:
        slack, mail, sms = (
            stack.enter_context(start()) for start in (notify_peers.slack, notify_peers.smtp, notify_peers.twilio)
        )
        made = World(database, tenant, own, slack, mail, sms)
        made.configure("slack", "mail", "sms")
        yield made


Write = Callable[[str], Path]


@pytest.fixture
def write(own: Settings) -> Write:
    """Write `notify.yaml` into the test's home."""

    def written(text: str) -> Path:
        path = own.home / "notify.yaml"
        secret(path, text)
        return path

    return written
