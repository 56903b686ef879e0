"""The workers of R001's drills: processes that call a provider as releases do, on the guards that releases have."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from prodsprints.controls.providers.fleet import Fleet
from prodsprints.controls.providers.guards import Guards, Policy
from prodsprints.drills.errors import FaultDeviceError
from prodsprints.guard import (
    Circuit,
    CircuitOpenError,
    Clock,
    Guard,
    Key,
    Limit,
    Profile,
    QuotaSpentError,
    RateLimitError,
    Retry,
    ServiceUnavailable,
)
from prodsprints.guard.clock import SystemClock
from prodsprints.store.address import Address

_ANSWER_SECONDS = 2.0
_PAUSE_SECONDS = 0.02  # after a call that was not answered
_WATCH_SECONDS = 0.005
_OK = 200
_THROTTLED = 429


@dataclass(frozen=True)
class Job:
    """What one worker does: call, again and again, with `keys` (name, address, scope), in `threads` at a time.

    It is a member of the fleet that has `store`; without a store its guards are its own, and without `guarded` there is
    none: keys are taken in turn. Its clocks are `clock_ahead_seconds` ahead of the machine's.
    """

    keys: tuple[tuple[str, str, str], ...]
    rate: float
    burst: float
    store: str | None = None
    guarded: bool = True
    threads: int = 2
    pause_seconds: float = 0.0
    failure_threshold: int = 3
    recovery_seconds: float = 60.0
    clock_ahead_seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """What a worker saw: how its calls ended, and when its circuit was found in another state."""

    ended: dict[str, int] = field(default_factory=dict)
    circuits: tuple[tuple[float, str], ...] = ()


class Member:
    """A worker within this process."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._fleet = Fleet(Address(job.store), clock=_clock(job)) if job.store else None
        self._guard = _guard(job, self._fleet) if job.guarded else None
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._ended: dict[str, int] = {}
        self._circuits: list[tuple[float, str]] = []
        self._threads: list[threading.Thread] = []
        self._turn = 0

    @property
    def pid(self) -> int | None:
        """It has no process of its own."""
        return None

    def begin(self) -> None:
        """Call from now on."""
        targets: list[Callable[[], None]] = [self._work] * self._job.threads
        if self._guard is not None:
            targets.append(self._watch)
        self._threads = [threading.Thread(target=target, daemon=True) for target in targets]
        for thread in self._threads:
            thread.start()

    def report(self) -> Report:
        """What was seen so far."""
        with self._lock:
            return Report(dict(self._ended), tuple(self._circuits))

    def end(self) -> None:
        """No more calls."""
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=_ANSWER_SECONDS * 2)
        if self._fleet is not None:
            self._fleet.close()

    def call(self) -> str:
        """One call, and how it ended."""
        with contextlib.closing(_Lines()) as lines:
            return self._call(self._calls(lines))

    def _work(self) -> None:
        with contextlib.closing(_Lines()) as lines:
            call = self._calls(lines)
            while not self._over.is_set():
                ended = self._call(call)
                with self._lock:
                    self._ended[ended] = self._ended.get(ended, 0) + 1
                self._over.wait(self._job.pause_seconds if ended == "answered" else _PAUSE_SECONDS)

    def _calls(self, lines: _Lines) -> Callable[[], None]:
        if self._guard is not None:
            return self._guard.with_attempt(lambda attempt: lines.get(attempt.key.secret))
        return lambda: lines.get(self._next_in_turn())

    def _next_in_turn(self) -> str:
        with self._lock:
            self._turn += 1
            return self._job.keys[self._turn % len(self._job.keys)][1]

    def _call(self, call: Callable[[], None]) -> str:
        try:
            call()
        except CircuitOpenError:
            return "shed"
        except QuotaSpentError:
            return "no quota"
        except RateLimitError:
            return "throttled"
        except (ServiceUnavailable, TimeoutError):
            return "failed"
        return "answered"

    def _watch(self) -> None:
        assert self._guard is not None  # noqa: S101 - begin() looked
        before = Circuit.CLOSED
        while not self._over.wait(_WATCH_SECONDS):
            circuit = self._guard.snapshot().circuit
            if circuit is not before:
                with self._lock:
                    self._circuits.append((time.monotonic(), str(circuit)))
                before = circuit


class Process:
    """A worker in a process of its own; as Member."""

    def __init__(self, job: Job) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._say(json.dumps(asdict(job)))

    @property
    def pid(self) -> int | None:
        """Its process."""
        return self._process.pid

    def ready(self) -> None:
        """Wait until it could begin."""
        self._hear()

    def begin(self) -> None:
        """Call from now on."""
        self._say("begin")

    def report(self) -> Report:
        """What was seen so far; nothing of one that was killed."""
        try:
            self._say("report")
            said = json.loads(self._hear())
        except (OSError, FaultDeviceError):
            return Report()
        return Report(said["ended"], tuple((at, circuit) for at, circuit in said["circuits"]))

    def end(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._process.communicate(timeout=_ANSWER_SECONDS * 3)
        self._process.kill()
        self._process.wait()

    def call(self) -> str:
        """One call, and how it ended."""
        self._say("call")
        return str(json.loads(self._hear()))

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        line = self._process.stdout.readline()
        if not line:
            raise FaultDeviceError("A worker of the drill ended early.", next_step="Run the drill again.")
        return line


Worker = Member | Process


@contextmanager
def crew(jobs: Sequence[Job]) -> Iterator[list[Worker]]:
    """A worker for each job: the first one in this process, so that the drill's trace sees what it executes."""
    with contextlib.ExitStack() as stack:
        processes: list[Process] = []
        for job in jobs[1:]:
            processes.append(Process(job))
            stack.callback(processes[-1].end)
        member = Member(jobs[0])
        stack.callback(member.end)
        for process in processes:
            process.ready()
        yield [member, *processes]


@contextmanager
def provider(*, seconds: float = 0.0) -> Iterator[str]:
    """The address of a provider that answers every call after `seconds`, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _PROVIDER, str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


_PROVIDER = """
import asyncio, sys
class Answers(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        answer = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"
        answers = answer * data.count(b"\\r\\n\\r\\n")
        asyncio.get_running_loop().call_later(float(sys.argv[1]), self.transport.write, answers)
async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answers, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
asyncio.run(main())
"""


class _Lines:
    """Connections of one thread, one for each address."""

    def __init__(self) -> None:
        self._open: dict[str, http.client.HTTPConnection] = {}

    def get(self, url: str) -> None:
        """One request. Raises RateLimitError, ServiceUnavailable."""
        connection = self._open.get(url)
        if connection is None:
            parts = urlsplit(url)
            connection = self._open[url] = http.client.HTTPConnection(
                str(parts.hostname), parts.port, timeout=_ANSWER_SECONDS
            )
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ServiceUnavailable(f"It does not answer: {error}.") from None
        if answer.status == _THROTTLED:
            raise RateLimitError(answer.headers.get("Retry-After"))
        if answer.status != _OK:
            raise ServiceUnavailable(f"It answers {answer.status}.")

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()


class _Ahead(SystemClock):
    """A machine whose clocks are wrong."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return time.monotonic() + self._seconds


def _clock(job: Job) -> Clock:
    return _Ahead(job.clock_ahead_seconds)


def _guard(job: Job, fleet: Fleet | None) -> Guard:
    profile = Profile(
        "drilled", limit=Limit(job.rate, job.burst), deadline_seconds=5.0, timeout_seconds=_ANSWER_SECONDS
    )
    policy = Policy(
        retry=Retry(stop=lambda state: state.attempt_number >= 3, wait=lambda _: 0.0),
        failure_threshold=job.failure_threshold,
        recovery_timeout=job.recovery_seconds,
        keys=tuple(Key(*key) for key in job.keys),
    )
    return Guards(fleet, clock=_clock(job)).guard(profile, policy=policy)


def _serve() -> None:
    """Do what the drill says, line by line, until it closes our input or is gone."""
    stated = json.loads(sys.stdin.readline())
    job = Job(**{**stated, "keys": tuple(tuple(key) for key in stated["keys"])})
    ours = time.time
    time.time = lambda: ours() + job.clock_ahead_seconds
    member = Member(job)
    _answer("ready")
    for line in sys.stdin:
        if line.strip() == "begin":
            member.begin()
        elif line.strip() == "call":
            _answer(member.call())
        else:
            _answer(asdict(member.report()))
    member.end()


def _answer(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve()
