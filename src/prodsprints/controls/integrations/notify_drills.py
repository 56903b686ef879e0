"""The drill of R008.3: Slack hangs and the mail server resets in the middle of a letter; the message comes by SMS."""

from __future__ import annotations

import os
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

import httpx

from prodsprints.controls.integrations import notify_peers
from prodsprints.controls.integrations.notifier import Notifier
from prodsprints.controls.integrations.notify_peers import AIOSMTPD, SLACK, TWILIO, Box, HttpBox, MailBox
from prodsprints.controls.providers.guards import Guards
from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Observation, Probe, Safety, broke, held
from prodsprints.drills.faults import Blackhole, Direction, Reset, TcpProxy
from prodsprints.drills.stage import Stage
from prodsprints.guard import ServiceUnavailable
from prodsprints.notify import lanes, outbox, rounds
from prodsprints.notify.lanes import Lane
from prodsprints.notify.message import Letter, Message
from prodsprints.notify.rounds import Tried
from prodsprints.store import scratch
from prodsprints.store.address import Address
from prodsprints.store.database import Connection, Database
from prodsprints.store.workers import Heartbeat

_FAULT_SECONDS = 60.0
_ARRIVES_SECONDS = 10.0
_LOOK_SECONDS = 0.02
_MIDDLE_OF_A_LETTER = 400  # bytes: behind the greeting and the envelope, before the end of the text
_TEXT = "It erred on 25 of 500 requests. " * 20
_ENDS_BADLY = 3
_STUCK_SECONDS = 4.0


@dataclass
class Ground:
    """Three peers, two of them behind a proxy, and what each message was called that somebody was told."""

    address: Address
    slack: HttpBox
    mail: MailBox
    sms: HttpBox
    slack_proxy: TcpProxy
    mail_proxy: TcpProxy
    told: list[str] = field(default_factory=list)

    def arrived(self, box: Box) -> list[str]:
        """The names of what a peer took, in order."""
        return [subject.split("\n")[0].split(" (")[0] for subject in box.subjects()]

    def everywhere(self) -> Counter[str]:
        """How often each message was taken, by whomever."""
        return Counter(name for box in (self.slack, self.mail, self.sms) for name in self.arrived(box))


class Subject(Protocol):
    """Whoever tells people what happened."""

    def tell(self, name: str) -> None:
        """Tell it; returns at once."""

    def undone(self) -> int:
        """How much is not told yet."""


@contextmanager
def three_peers(stage: Stage) -> Iterator[Ground]:
    """Slack, mail and SMS on loopback, and a database of our schema."""
    with ExitStack() as stack:
        enter = stack.enter_context
        slack, mail, sms = enter(notify_peers.slack()), enter(notify_peers.smtp()), enter(notify_peers.twilio())
        slack_proxy, mail_proxy = (
            enter(faults.tcp_proxy(stage, upstream=("127.0.0.1", box.port))) for box in (slack, mail)
        )
        yield Ground(enter(scratch.database(stage.admin)), slack, mail, sms, slack_proxy, mail_proxy)


@contextmanager
def by_the_outbox(stage: Stage, ground: Ground) -> Iterator[Outbox]:
    """An outbox with the platform's notifier at it."""
    home = stage.directory / "home"
    home.mkdir(mode=0o700)
    _configure(home, ground)
    with closing(Database(ground.address, max_connections=6)) as db:
        tenant_id = uuid4()
        with db.dispatch() as connection:
            connection.execute("insert into tenants (id, name) values (%s, 'drilled')", [tenant_id])
        worker = f"drill-{os.getpid()}"
        beat = Heartbeat(db, worker=worker, node="drill", on_reaped=lambda: None)
        notifier = Notifier(db, replace(stage.settings, home=home), Guards(), worker=worker)
        beat.start()
        notifier.start()
        try:
            yield Outbox(db, tenant_id)
        finally:
            notifier.stop()
            beat.stop()


class Outbox:
    """What is told is put into the outbox, as by a release that ends; the platform's notifier does the rest."""

    def __init__(self, db: Database, tenant_id: UUID) -> None:
        self.db = db
        self.tenant_id = tenant_id

    def tell(self, name: str) -> None:
        with self.db.tenant(self.tenant_id) as connection:
            self.put(connection, name)

    def put(self, connection: Connection, name: str, audience: str = "#ops") -> None:
        outbox.put(connection, Message.about(audience, "info", name, _TEXT), requested_by="drill")

    def tell_elsewhere(self, name: str) -> None:
        with self.db.tenant(self.tenant_id) as connection:
            self.put(connection, name, "#elsewhere")

    def undone(self) -> int:
        return sum(outbox.counts(self.db, self.tenant_id).values())


def _configure(home: Path, ground: Ground) -> None:
    for name, text in (
        ("slack-url", f"http://127.0.0.1:{ground.slack_proxy.port}/services/T0/B0/drill"),
        ("sms-token", "only-for-the-drill"),
        (
            "notify.yaml",
            f"""\
version: 1
channels:
  slack: {{kind: slack, url_file: slack-url}}
  mail:
    kind: email
    host: 127.0.0.1
    port: {ground.mail_proxy.port}
    security: none
    sender: us@example.com
    recipients: [ops@example.com]
  sms:
    kind: sms
    account: AC0
    token_file: sms-token
    sender: "+4915100000"
    recipients: ["+4915100001"]
    api: "{ground.sms.url}"
audiences:
  "#ops": [slack, mail, sms]
  "#elsewhere": [sms]
""",
        ),
    ):
        (home / name).touch(mode=0o600)
        (home / name).write_text(text)


class Bare:
    """The same three, asked one after the other by whoever has something to tell, for as long as each takes."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._left = 0

    def tell(self, name: str) -> None:
        self._left += 1
        threading.Thread(target=self._ask, args=(name,), daemon=True).start()

    def undone(self) -> int:
        return self._left

    def _ask(self, name: str) -> None:
        for ask in (partial(_ask_slack, seconds=None), _ask_mail, _ask_sms):
            try:
                ask(self._ground, name)
            except (httpx.HTTPError, OSError, smtplib.SMTPException):
                continue
            self._left -= 1
            return


def _ask_slack(ground: Ground, name: str, seconds: float | None) -> None:
    said, headers = {"text": f"{name}\n{_TEXT}"}, {"Idempotency-Key": name}
    url = f"http://127.0.0.1:{ground.slack_proxy.port}/"
    httpx.post(url, json=said, headers=headers, timeout=seconds, trust_env=False)


def _ask_mail(ground: Ground, name: str) -> None:
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["To"] = name, "us@example.com", "ops@example.com"
    letter.set_content(_TEXT)
    with smtplib.SMTP("127.0.0.1", ground.mail_proxy.port) as server:
        server.send_message(letter)


def _ask_sms(ground: Ground, name: str) -> None:
    form, headers = {"Body": f"{name}\n{_TEXT}"}, {"Idempotency-Key": name}
    httpx.post(f"{ground.sms.url}/", data=form, headers=headers, timeout=None, trust_env=False)  # noqa: S113 - bare


@contextmanager
def _bare(_: Stage, ground: Ground) -> Iterator[Bare]:
    yield Bare(ground)


@contextmanager
def slack_hangs_and_mail_fails(_: Stage, ground: Ground) -> Iterator[None]:
    """Slack takes what it is sent and says nothing; mail resets in the middle of each letter."""
    reset = Reset(after_bytes=_MIDDLE_OF_A_LETTER)
    with (
        ground.slack_proxy.toxic(Blackhole(), ttl_seconds=_FAULT_SECONDS),
        ground.mail_proxy.toxic(reset, ttl_seconds=_FAULT_SECONDS, direction=Direction.TO_PEER),
    ):
        yield


def _slack_is_told(stage: Stage, ground: Ground, subject: Subject) -> Observation:
    seconds = _seconds_until_told(stage, ground, subject, ground.slack, "healthy")
    if seconds is None:
        return broke(f"Slack was not told within {_ARRIVES_SECONDS:g} s.")
    return held(f"Slack was told after {seconds:.2f} s.")


def _sms_arrives(stage: Stage, ground: Ground, subject: Subject) -> Observation:
    seconds = _seconds_until_told(stage, ground, subject, ground.sms, "release 1 was rolled back")
    if seconds is None:
        return broke(f"Nothing arrived within {_ARRIVES_SECONDS:g} s: {subject.undone()} not told yet.")
    stage.measure("recover_seconds", seconds)
    return held(f"It arrived by SMS after {seconds:.1f} s.")


def _the_next_are_told_at_once(stage: Stage, ground: Ground, subject: Subject) -> Observation:
    """The second failure of a channel in a row was the last that somebody waits for."""
    if not _wait(lambda: subject.undone() == 0, 1.0):
        return broke("The one before it is not told yet.")
    took = []
    for number in range(3, 3 + _ENDS_BADLY):
        name = f"release {number} was rolled back"
        seconds = _seconds_until_told(stage, ground, subject, ground.sms, name)
        if seconds is None:
            return broke(f"{name!r} did not arrive within {_ARRIVES_SECONDS:g} s.")
        took.append(seconds)
    words = f"The next arrived after {', '.join(f'{one:.1f}' for one in took)} s."
    return (held if max(took) < 1.5 and min(took) < 1.0 else broke)(words)


def _nobody_elsewhere_waits(stage: Stage, ground: Ground, subject: Subject) -> Observation:
    """Another audience, by SMS alone, while the first waits for Slack."""
    if not isinstance(subject, Outbox) or not _wait(lambda: subject.undone() == 0, 1.0):
        return broke("The one before it is not told yet.")
    ground.told += ["release 2 was rolled back", "elsewhere"]
    asked = time.monotonic()
    subject.tell("release 2 was rolled back")
    _wait(lambda: ground.slack_proxy.counts()["open"] > 0, 0.5)
    subject.tell_elsewhere("elsewhere")
    both = _wait(
        lambda: {"elsewhere", "release 2 was rolled back"} <= set(ground.arrived(ground.sms)), _ARRIVES_SECONDS
    )
    if not both:
        return broke(f"Within {_ARRIVES_SECONDS:g} s arrived: {', '.join(ground.arrived(ground.sms))}.")
    at = {one.subject.split("\n")[0]: one.at - asked for one in ground.sms.taken}
    stage.sample(True, at["elsewhere"], "elsewhere")
    waited = at["release 2 was rolled back"]
    words = f"It was told after {at['elsewhere']:.1f} s; the audience that waits for Slack after {waited:.1f} s."
    return (held if at["elsewhere"] < 2.5 else broke)(words)


def _what_was_tried_is_kept(_: Stage, _ground: Ground, subject: Subject) -> Observation:
    if not isinstance(subject, Outbox):
        return broke("It keeps nothing.")
    known = {one.subject: one for one in outbox.notifications(subject.db, subject.tenant_id)}
    first, last = known.get("release 1 was rolled back"), known.get("release 5 was rolled back")
    if first is None or last is None:
        return broke(f"In the outbox are: {', '.join(known)}.")
    tried = outbox.attempts(subject.db, subject.tenant_id, first.id)
    words = "; ".join(f"{one.channel} {one.outcome} after {one.seconds:.1f} s, {one.words}" for one in tried)
    outcomes = [(one.channel, one.outcome) for one in tried] == [
        ("slack", "failed"),
        ("mail", "failed"),
        ("sms", "delivered"),
    ]
    told = outcomes and all(one.words for one in tried) and 2.5 < tried[0].seconds < _ARRIVES_SECONDS
    told = told and tried[0].words.startswith("no answer") and not tried[1].words.startswith("no answer")
    skipped = [one.outcome for one in outbox.attempts(subject.db, subject.tenant_id, last.id)]
    in_time = all(abs((one.at - first.created_at).total_seconds()) < 30 for one in tried)
    return (held if told and in_time and skipped == ["skipped", "skipped", "delivered"] else broke)(words)


def _a_late_dispatcher_settles_nothing(_: Stage, _ground: Ground, subject: Subject) -> Observation:
    """One that lost its lane while it was held up, and says now that nothing delivered what was delivered since."""
    if not isinstance(subject, Outbox):
        return broke("It has no lanes.")
    [newest] = outbox.notifications(subject.db, subject.tenant_id, limit=1)
    settled = lanes.settle(
        subject.db,
        Lane(subject.tenant_id, newest.audience),
        newest.id,
        (Tried("slack", "failed", "late", 0.0, 0.0),),
        owner="somebody who was held up",
        token=0,
        state="dead",
        delivered_by=None,
        reason="late",
        next_seconds=0.0,
        refused=(),
    )
    after = outbox.get(subject.db, subject.tenant_id, newest.id)
    tried = outbox.attempts(subject.db, subject.tenant_id, newest.id)
    if settled or after.state != "delivered" or any(one.words == "late" for one in tried):
        return broke(f"It was let in: the message is {after.state}.")
    return held(f"It was turned away; the message is {after.state}.")


class _Closed:
    """A channel that takes nothing."""

    name, provider, seconds = "closed", "", 1.0

    def send(self, letter: Letter, /) -> str:
        raise ServiceUnavailable(f"closed to {letter.subject}")


class _Stuck:
    """A channel that does not come back, whatever its sockets are told."""

    name, provider, seconds = "stuck", "", 0.2

    def send(self, _letter: Letter, /) -> str:
        time.sleep(_STUCK_SECONDS)
        return "too late"


def _a_stuck_channel_is_given_up(_: Stage, _ground: Ground, _subject: Subject) -> Observation:
    letter = Letter(UUID(int=1), "#ops", "info", "subject", "", datetime(2026, 1, 1, tzinfo=UTC))
    began = time.monotonic()
    came = rounds.play(letter, [_Stuck()], lambda _, send: send, rounds=0, refused=())
    seconds = time.monotonic() - began
    given_up = came.state == "waiting" and seconds < _STUCK_SECONDS - 1
    return (held if given_up else broke)(f"It has 0.2 s; after {seconds:.1f} s it is {came.state}: {came.reason}.")


def _order_is_kept_while_nobody_takes_anything(_: Stage, ground: Ground, subject: Subject) -> Observation:
    if not isinstance(subject, Outbox):
        return broke("It has no outbox.")
    ground.told += ["held up", "behind it"]
    ground.sms.status = 503
    before = ground.sms.asked
    with subject.db.tenant(subject.tenant_id) as connection:
        subject.put(connection, "held up")
        subject.put(connection, "behind it")
    refused = _wait(lambda: ground.sms.asked > before, _ARRIVES_SECONDS)
    ground.sms.status = 200
    arrived = refused and _wait(lambda: "behind it" in ground.arrived(ground.sms), _ARRIVES_SECONDS)
    names = [name for name in ground.arrived(ground.sms) if name in ("held up", "behind it")]
    words = f"SMS answered 503 once; then came: {', '.join(names) or 'nothing'}."
    return (held if arrived and names == ["held up", "behind it"] else broke)(words)


def _nothing_is_left(_: Stage, _ground: Ground, subject: Subject) -> Observation:
    _wait(lambda: subject.undone() == 0, 2.0)
    left = subject.undone()
    return (held if left == 0 else broke)(f"Not told yet: {left}.")


def _in_order_and_once(_: Stage, ground: Ground, _subject: Subject) -> Observation:
    everywhere, sms = ground.everywhere(), ground.arrived(ground.sms)
    twice = [name for name, times in everywhere.items() if times > 1]
    lost = [name for name in ground.told if name not in everywhere]
    strange = [name for name in everywhere if name not in ground.told]
    if twice or lost or strange:
        return broke(f"Twice: {twice or 'none'}. Lost: {lost or 'none'}. Never told: {strange or 'none'}.")
    ops = [name for name in sms if name != "elsewhere"]
    in_order = ops == [name for name in ground.told if name in ops]
    return (held if in_order else broke)(f"By SMS came, in this order: {', '.join(sms)}.")


def _what_was_taken_back_is_told_by_nobody(_: Stage, ground: Ground, subject: Subject) -> Observation:
    if not isinstance(subject, Outbox):
        return broke("It has no transactions.")
    try:
        with subject.db.tenant(subject.tenant_id) as connection:
            subject.put(connection, "taken back")
            raise _TakenBackError
    except _TakenBackError:
        pass
    ground.told.append("after it")
    subject.tell("after it")
    arrived = _wait(lambda: ground.everywhere()["after it"] > 0, _ARRIVES_SECONDS)
    if not arrived:
        return broke("What was put after it did not arrive.")
    return (broke if ground.everywhere()["taken back"] else held)("What came after it arrived; it did not.")


class _TakenBackError(Exception):
    """The transaction ends here."""


def _keeps_productions_times(_: Stage, _ground: Ground, _subject: Subject) -> Observation:
    """Waits that no drill can sit out, by the function that says them."""
    waits = [rounds.wait_seconds(number) for number in (1, 2, 3, 10, 11, 12, 1_000)]
    if waits != [1.0, 2.0, 4.0, 512.0, 900.0, 900.0, 900.0]:
        return broke(f"Between rounds it waits {waits} s.")
    failed, refused = (Tried(f"by {one}", one, "no", 0.0, 0.0) for one in ("failed", "refused"))
    channels = ("by failed", "by refused")
    last = rounds.MOST_ROUNDS
    ends = [
        rounds.verdict((failed, refused), channels, rounds=last - 1, refused=()),
        rounds.verdict((failed, refused), channels, rounds=last, refused=()),
        rounds.verdict((refused,), channels, rounds=1, refused=("by failed",)),
    ]
    if [one.state for one in ends] != ["waiting", "dead", "dead"] or last != 20:
        return broke(f"After {last} rounds, or refused by everybody, it is {[one.state for one in ends]}.")
    if not all("by refused: no" in one.reason for one in ends) or ends[0].refused != ("by refused",):
        return broke("It does not say who refused.")
    letter = Letter(UUID(int=1), "#ops", "info", "subject", "", datetime(2026, 1, 1, tzinfo=UTC))
    came = [rounds.play(letter, [_Closed()], lambda _, send: send, rounds=n, refused=()) for n in (0, 1, last - 1)]
    if [(one.state, one.next_seconds) for one in came] != [("waiting", 1.0), ("waiting", 2.0), ("dead", 0.0)]:
        return broke(f"After rounds that nobody takes it is {[(one.state, one.next_seconds) for one in came]}.")
    lost = [rounds.unreachable("nobody", rounds=n, refused=()) for n in (0, last - 1)]
    if [(one.state, one.next_seconds) for one in lost] != [("waiting", 1.0), ("dead", 0.0)]:
        return broke(f"To an audience that is known no longer it is {[one.state for one in lost]}.")
    return held("It waits 1, 2, 4, … 900 s, and is dead, with reasons, after 20 rounds or when everybody refused.")


def _both_are_hit(_: Stage, ground: Ground, _subject: Subject) -> Observation:
    """Asked directly, once more, whatever the subject has asked."""
    try:
        _ask_slack(ground, "asked directly", 1.0)
        return broke("Asked directly, Slack answers.")
    except httpx.TimeoutException:
        pass
    try:
        _ask_mail(ground, "asked directly")
    except (OSError, smtplib.SMTPException) as error:
        return held(f"Asked directly, Slack is silent for 1 s, and mail ends with {type(error).__name__}.")
    return broke("Asked directly, the mail server takes a letter.")


def _seconds_until_told(stage: Stage, ground: Ground, subject: Subject, box: Box, name: str) -> float | None:
    ground.told.append(name)
    began = time.monotonic()
    subject.tell(name)
    arrived = _wait(lambda: name in ground.arrived(box), _ARRIVES_SECONDS)
    seconds = time.monotonic() - began
    stage.sample(arrived, seconds, name)
    return seconds if arrived else None


def _wait(check: object, seconds: float) -> bool:
    assert callable(check)  # noqa: S101 - narrows for mypy
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


slack_hangs_mail_resets: Experiment[Ground, Subject] = Experiment(
    row="R008.3",
    variant="slack-hangs-mail-resets",
    title="A notification arrives by SMS while Slack hangs and mail fails",
    safety=Safety.SAFE,
    fault="Slack answers nothing, and the mail server resets the connection in the middle of each letter",
    sources=(
        "prodsprints.controls.integrations.notifier",
        "prodsprints.notify.dispatcher",
        "prodsprints.notify.rounds",
        "prodsprints.notify.lanes",
    ),
    uses=(
        "prodsprints.notify",
        "prodsprints.controls.integrations.notify_peers",
        "prodsprints.controls.providers.guards",
        "prodsprints.guard",
        "prodsprints.kernel.documents",
        "prodsprints.kernel.errors",
        "prodsprints.kernel.validation",
        "prodsprints.store.database",
        "prodsprints.store.leases",
        "prodsprints.store.workers",
        "prodsprints.store.migrations.versions.r0007_notify:0007_notify.sql",
    ),
    peers=(AIOSMTPD, SLACK, TWILIO),
    stand=three_peers,
    treatment=by_the_outbox,
    placebo=_bare,
    steady=(Probe("Slack is told", _slack_is_told),),
    inject=slack_hangs_and_mail_fails,
    seen=Probe("both are hit", _both_are_hit),
    probes=(
        Probe("the message arrives by SMS within 10 s", _sms_arrives),
        Probe("another audience does not wait for it", _nobody_elsewhere_waits),
        Probe("what comes next does not wait for the dead channels", _the_next_are_told_at_once),
        Probe("what was tried is kept, in words", _what_was_tried_is_kept),
        Probe("order is kept while nobody takes anything", _order_is_kept_while_nobody_takes_anything),
        Probe("nothing is left to be told", _nothing_is_left),
        Probe("a late dispatcher settles nothing", _a_late_dispatcher_settles_nothing),
        Probe("all arrived in order, each once", _in_order_and_once),
        Probe("a channel that is stuck is given up in time", _a_stuck_channel_is_given_up),
        Probe("production's own times are as stated", _keeps_productions_times),
    ),
    named="the message arrives by SMS within 10 s",
    after=(Probe("what was taken back is told by nobody", _what_was_taken_back_is_told_by_nobody),),
    limit_seconds=60.0,
)
