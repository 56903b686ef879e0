"""`bench notify`: how soon a message arrives by the third channel, and what kill -9 loses or doubles.

The peers are the ones of the drill: a real SMTP server, and doubles of Slack and Twilio, in this process. Dispatchers
are processes of their own on one PostgreSQL with its usual durability, and one of them is killed each second.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from statistics import median
from uuid import UUID

from prodsprints.bench.report import Figure, Progress, Result
from prodsprints.bench.scratch import Scratch, scratch
from prodsprints.controls.integrations import notify_drills, notify_peers
from prodsprints.controls.integrations.notifier import Notifier
from prodsprints.controls.integrations.notify_peers import Box, Taken
from prodsprints.drills.stage import Arm, Stage
from prodsprints.kernel.settings import Settings
from prodsprints.notify import outbox
from prodsprints.notify.message import Message
from prodsprints.store.address import Address
from prodsprints.store.database import Database
from prodsprints.store.workers import Heartbeat

_BENCH = "notify"
_RUNS = 5
_ARRIVES_SECONDS = 10.0
_NOTIFICATIONS = 10_000
_LANES = 40
_DISPATCHERS = 3
_KILL_SECONDS = 1.0
_PATIENCE_SECONDS = 600.0
_LOOK_SECONDS = 0.1
_AROUND_A_KILL_SECONDS = 1.0
"""A letter that was under way when its dispatcher was killed arrives this close to it: both share two cores."""


def cases(progress: Progress) -> Iterator[Result]:
    """`failover`, `lost`, `twice` and `throughput`."""
    progress(f"Slack hangs, mail resets in the middle of a letter, {_RUNS} times")
    with scratch() as platform:
        times = [_failover(platform) for _ in range(_RUNS)]
        figure = Figure(median(times), _RUNS, min(times), max(times))
        yield Result(_BENCH, "failover", "s", figure, bound=_ARRIVES_SECONDS)
    with scratch() as platform:
        yield from _results(killed(platform, _NOTIFICATIONS, lanes=_LANES, progress=progress), progress)


def _failover(platform: Scratch) -> float:
    """Seconds from the transaction that tells it to its arrival; every run meets guards that know of no failure."""
    directory = Path(tempfile.mkdtemp(prefix="prodsprints-bench-notify-"))
    stage = Stage(
        directory=directory,
        settings=platform.settings,
        admin=platform.postgres.admin_address(),
        arm=Arm.TREATMENT,
        config={},
        limit_seconds=120.0,
        emit=lambda _: None,
    )
    try:
        with (
            stage.open(),
            notify_drills.three_peers(stage) as ground,
            notify_drills.by_the_outbox(stage, ground) as subject,
            notify_drills.slack_hangs_and_mail_fails(stage, ground),
        ):
            began = time.monotonic()
            subject.tell("it broke")
            while not ground.sms.taken and time.monotonic() - began < 3 * _ARRIVES_SECONDS:
                time.sleep(0.005)
            return (ground.sms.taken[0].at if ground.sms.taken else time.monotonic()) - began
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass
class Killed:
    """What came of so many notifications while dispatchers were killed. Times are `time.monotonic()`."""

    put: Mapping[UUID, tuple[str, int]]
    """Each notification's lane, and its place in it."""
    taken: list[Taken] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    seconds: float = 0.0
    left: int = 0

    @property
    def lost(self) -> list[UUID]:
        """What no peer took."""
        known = {_id(one) for one in self.taken}
        return [id for id in self.put if id not in known]

    @property
    def twice(self) -> dict[UUID, list[float]]:
        """What was taken more than once, with the times, by the key that all copies bear."""
        times: dict[UUID, list[float]] = {}
        for one in self.taken:
            times.setdefault(_id(one), []).append(one.at)
        return {id: sorted(at) for id, at in times.items() if len(at) > 1}

    @property
    def unexplained(self) -> int:
        """Copies that fall to no kill: each kill explains one, which was handed over as it fell."""
        kills = sorted(self.kills)
        found = 0
        for first in sorted(first for at in self.twice.values() for first in at[:-1]):
            near = next((kill for kill in kills if abs(kill - first) <= _AROUND_A_KILL_SECONDS), None)
            if near is None:
                found += 1
            else:
                kills.remove(near)
        return found

    @property
    def out_of_order(self) -> int:
        """What arrived for the first time after something that was put later in the same lane."""
        seen: set[UUID] = set()
        latest: Counter[str] = Counter()
        found = 0
        for one in sorted(self.taken, key=lambda one: one.at):
            id = _id(one)
            if id in seen:
                continue
            seen.add(id)
            lane, place = self.put[id]
            found += place < latest[lane]
            latest[lane] = max(latest[lane], place)
        return found


def killed(platform: Scratch, count: int, *, lanes: int, progress: Progress) -> Killed:
    """Put `count` notifications into so many lanes, and kill a dispatcher each second until all of them are told."""
    settings = platform.settings
    with notify_peers.slack() as slack, notify_peers.smtp() as mail:
        names = [f"#lane-{number}" for number in range(lanes)]
        _configure(settings.home, slack, mail, names)
        progress(f"putting {count:,} notifications into {lanes} lanes of two tenants")
        tenants = [platform.tenant(), platform.tenant()]
        came = Killed(_put(platform, tenants, names, count))
        progress(f"{_DISPATCHERS} dispatchers tell them; one is killed every {_KILL_SECONDS:g} s")
        began = time.monotonic()
        with _dispatchers(platform.postgres.address(), settings) as fleet:
            while (left := _left(platform.db, tenants)) and time.monotonic() - began < _PATIENCE_SECONDS:
                if time.monotonic() - began > (len(came.kills) + 1) * _KILL_SECONDS:
                    came.kills.append(fleet.kill_one())
                    if len(came.kills) % 10 == 0:
                        progress(f"{len(came.kills)} kills, {count - left:,} told")
                time.sleep(_LOOK_SECONDS)
        came.seconds, came.left = time.monotonic() - began, left
        came.taken = [*slack.taken, *mail.taken]
        return came


def _results(came: Killed, progress: Progress) -> Iterator[Result]:
    lost, twice, kills = len(came.lost) + came.left, len(came.twice), len(came.kills)
    copies = sum(len(at) - 1 for at in came.twice.values())
    progress(f"{kills} kills in {came.seconds:.0f} s: {lost} lost, {copies} copies of {twice}, each with the same key")
    seen = {"kills": float(kills), "out-of-order": float(came.out_of_order)}
    yield Result(_BENCH, "lost", "notifications", _once(lost), seen, bound=0)
    explained = {"kills": float(kills), "without-a-kill": float(came.unexplained)}
    yield Result(_BENCH, "twice", "notifications", _once(copies), explained, bound=kills)
    yield Result(_BENCH, "throughput", "1/s", _once(round(len(came.put) / came.seconds, 1)), {"kills": float(kills)})


def _once(value: float) -> Figure:
    return Figure(value, 1, value, value)


def _id(taken: Taken) -> UUID:
    """By the Message-ID of an e-mail, or the idempotency key of the others."""
    return UUID(taken.key.strip("<>").partition("@")[0])


def _configure(home: Path, slack: Box, mail: Box, lanes: Sequence[str]) -> None:
    (home / "slack-url").touch(mode=0o600)
    (home / "slack-url").write_text(f"http://127.0.0.1:{slack.port}/services/T0/B0/bench")
    routes = "".join(f'  "{lane}": [{"slack" if number % 2 else "mail"}]\n' for number, lane in enumerate(lanes))
    (home / "notify.yaml").touch(mode=0o600)
    (home / "notify.yaml").write_text(
        f"""\
version: 1
channels:
  slack: {{kind: slack, url_file: slack-url, timeout_seconds: 10}}
  mail:
    kind: email
    host: 127.0.0.1
    port: {mail.port}
    security: none
    sender: us@example.com
    recipients: [ops@example.com]
    timeout_seconds: 10
audiences:
{routes}"""
    )


def _put(platform: Scratch, tenants: Sequence[UUID], lanes: Sequence[str], count: int) -> dict[UUID, tuple[str, int]]:
    put: dict[UUID, tuple[str, int]] = {}
    for number, lane in enumerate(lanes):
        tenant = tenants[number // 2 % len(tenants)]
        share = count // len(lanes) + (number < count % len(lanes))
        with platform.db.tenant(tenant) as connection:
            for place in range(share):
                message = Message.of(lane, f"{lane} {place}\nIt erred on {place} of 500 requests.")
                put[outbox.put(connection, message, requested_by="bench")] = (f"{tenant} {lane}", place)
    return put


def _left(db: Database, tenants: Sequence[UUID]) -> int:
    return sum(sum(outbox.counts(db, tenant).values()) for tenant in tenants)


class _Fleet:
    """Dispatchers, of which the next is killed when one is asked to be, and replaced at once."""

    def __init__(self, address: Address, home: Path) -> None:
        # Forked from a process that has everything imported: a new one works after some 20 ms, as if it had waited.
        self._context = multiprocessing.get_context("forkserver")
        channels = (f"prodsprints.notify.channels.{name}" for name in ("slack", "mail"))
        self._context.set_forkserver_preload([__name__, *channels])
        self._arguments = (address.conninfo, str(home))
        self._started = 0
        self._processes: list[ForkServerProcess] = []
        for _ in range(_DISPATCHERS):
            self._start()

    def kill_one(self) -> float:
        """SIGKILL for the one that lives longest; when that was."""
        oldest = self._processes.pop(0)
        assert oldest.pid is not None  # noqa: S101 - it was started
        os.kill(oldest.pid, signal.SIGKILL)
        at = time.monotonic()
        oldest.join()
        self._start()
        return at

    def end(self) -> None:
        """Kill them all."""
        for process in self._processes:
            process.kill()
            process.join()

    def _start(self) -> None:
        self._started += 1
        process = self._context.Process(target=_dispatch, args=(*self._arguments, self._started), daemon=True)
        process.start()
        self._processes.append(process)


@contextmanager
def _dispatchers(address: Address, settings: Settings) -> Iterator[_Fleet]:
    fleet = _Fleet(address, settings.home)
    try:
        yield fleet
    finally:
        fleet.end()


def _dispatch(conninfo: str, home: str, number: int) -> None:
    """One dispatcher, as a worker has it, until it is killed."""
    settings = replace(Settings.from_environment({}), home=Path(home))
    worker = f"bench-{os.getpid()}-{number}"
    with ExitStack() as stack:
        db = Database(Address(conninfo), max_connections=8, patience_seconds=10)
        stack.callback(db.close)
        guards = notify_peers.unlimited(Path(tempfile.mkdtemp(dir=home)))
        Heartbeat(db, worker=worker, node="bench", on_reaped=lambda: os._exit(75)).start()
        Notifier(db, settings, guards, worker=worker).start()
        threading.Event().wait()
