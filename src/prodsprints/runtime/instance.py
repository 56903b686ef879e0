"""The life of one instance: started, watched, started again after a crash, drained and ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prodsprints.kernel import clock
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.runtime import health, keeper
from prodsprints.runtime.keeper import Status
from prodsprints.runtime.state import InstanceRecord
from prodsprints.runtime.workspace import Workspace

_STARTING_SECONDS = 0.25
_HEALTHY_SECONDS = 2.0
_WATCH_SECONDS = 0.1
_FAILURES_UNTIL_UNHEALTHY = 3
_ELSEWHERE_SECONDS = 10.0
_LOOK_ELSEWHERE_SECONDS = 1.0
_RESTARTS, _RESTARTS_WINDOW_SECONDS = 5, 60.0
_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS = 0.1, 5.0


@dataclass(frozen=True)
class Surroundings:
    """What an instance needs of its node: its place, a port (the old one if free), whether a route names it, an ear."""

    workspace: Workspace
    port: Callable[[int], int]
    routed: Callable[[], bool]
    changed: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class _End:
    reason: str
    exit_code: int | None
    crashed: bool  # an app that ended, or never became healthy, may do better next time; a failed preparation will not


class Instance:
    """Supervises the app of one record; every change of state is saved before it is relied upon."""

    def __init__(self, record: InstanceRecord, surroundings: Surroundings) -> None:
        self.record = record
        self._around = surroundings
        self._task: asyncio.Task[None] | None = None
        self._stop: asyncio.Task[None] | None = None
        self._launching = asyncio.Lock()
        self._crashes: deque[float] = deque(maxlen=_RESTARTS)

    def begin(self) -> None:
        """Supervise from now on: adopt the app if it runs, else start it."""
        self._task = asyncio.create_task(self._supervise(), name=f"instance {self.record.id}")

    def end(self, drained: Callable[[], Awaitable[str]], *, keep: bool = False) -> Awaitable[None]:
        """Wait for `drained`, then end the app, bounded at each step; a second caller joins the first.

        It counts as stopping at once, and goes on although its caller goes away. `keep` leaves the directory and the
        wish to run, for the next start of the node.
        """
        if self._stop is None:
            self.record.wanted = keep
            if not self.record.final:
                self.record.state = "stopping"
            self._stop = asyncio.create_task(self._end(drained, keep), name=f"end of {self.record.id}")
        return asyncio.shield(self._stop)

    async def leave(self) -> None:
        """Stop supervising and let the app run on."""
        for task in (self._task, self._stop):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    @property
    def _wanted(self) -> bool:
        return self.record.wanted and self._stop is None

    async def _supervise(self) -> None:
        try:
            while self._wanted:
                found = keeper.status(self._around.workspace)
                if found is None or not found.alive:
                    found = await self._launch(found)
                if found is None:
                    return
                end = await self._watch(found)
                if not self._again(end):
                    await self._finish(end)
                    return
                await self._set("starting", f"Started again. {end.reason}", restarts=self.record.restarts + 1)
                await asyncio.sleep(min(_BACKOFF_SECONDS * 2 ** len(self._crashes), _MAX_BACKOFF_SECONDS))
        except (ProdSprintsError, OSError) as error:
            await self._finish(_End(str(error), None, crashed=False))

    async def _launch(self, before: Status | None) -> Status | None:
        async with self._launching:
            if not self._wanted:
                return None
            if before is not None:
                await keeper.sweep(before)
            record, workspace = self.record, self._around.workspace
            record.port = self._around.port(record.port)
            await self._set("starting", record.reason, pid=None, exit_code=None)
            await asyncio.to_thread(workspace.create, record.spec)
            orders = await asyncio.to_thread(
                workspace.orders, record.spec, port=record.port, prepare=not record.prepared
            )
            return await keeper.start(workspace, orders)

    async def _watch(self, found: Status) -> _End:
        """Follow the running app until it has ended, or was ended because it never became healthy."""
        record, workspace = self.record, self._around.workspace
        loop = asyncio.get_running_loop()
        trial = _Trial(self, loop.time())
        if record.port != found.port:
            record.port = found.port
            await self._set(record.state, record.reason)
        try:
            while True:
                if found.state != "running":
                    found = keeper.status(workspace) or found
                if not found.alive:
                    break
                if found.state == "running":
                    if (found.app and found.app.pid) != record.pid or not record.prepared:
                        await self._set(
                            record.state, record.reason, pid=found.app.pid if found.app else None, prepared=True
                        )
                    if (failure := await trial.step(found, loop.time())) is not None:
                        last = await keeper.stop(workspace, record.spec.grace_seconds)
                        return _End(_with_last_lines(failure, last), last.exit_code if last else None, crashed=True)
                await asyncio.sleep(_WATCH_SECONDS)
        finally:
            trial.close()
        found = keeper.status(workspace) or found
        if not found.ended:
            await keeper.sweep(found)
            return _End("The app's shim was killed, and with it the app was ended.", None, crashed=True)
        return _End(_with_last_lines(found.reason, found), found.exit_code, crashed=found.state == "exited")

    def _again(self, end: _End) -> bool:
        """Whether to start once more: only what a route names and what was healthy once, and not for ever."""
        if not (end.crashed and self._wanted and self._serves):
            return False
        now = time.monotonic()
        exhausted = len(self._crashes) == _RESTARTS and now - self._crashes[0] < _RESTARTS_WINDOW_SECONDS
        while self._crashes and now - self._crashes[0] > _RESTARTS_WINDOW_SECONDS:
            self._crashes.popleft()
        self._crashes.append(now)
        return not exhausted

    @property
    def _serves(self) -> bool:
        return self.record.ever_healthy and self._around.routed()

    async def _finish(self, end: _End) -> None:
        if not self._wanted:  # whoever ends it reports it
            return
        reason = end.reason
        if end.crashed and self._serves:
            reason = f"Given up after {_RESTARTS} restarts within {_RESTARTS_WINDOW_SECONDS:g} s. {reason}"
        worked = self.record.state in {"healthy", "unhealthy"} and not self._serves
        self.record.wanted = False
        self._remember_dropped()
        await self._set("exited" if worked else "failed", reason, exit_code=end.exit_code, pid=None)
        await asyncio.to_thread(self._around.workspace.remove)

    async def _end(self, drained: Callable[[], Awaitable[str]], keep: bool) -> None:
        if not self.record.final:
            await self._set("stopping", "Waiting for the requests under way.")
        told = await drained()
        async with self._launching:
            last = await keeper.stop(self._around.workspace, self.record.spec.grace_seconds)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._remember_dropped()
        if self.record.final:
            await self._set("stopped", self.record.reason)
        else:
            reason = " ".join(part for part in (told, last.reason if last else "") if part)
            await self._set("stopped", reason, exit_code=last.exit_code if last else None, pid=None)
        if not keep:
            await asyncio.to_thread(self._around.workspace.remove)

    def _remember_dropped(self) -> None:
        if (last := keeper.status(self._around.workspace)) is not None:
            self.record.dropped_lines = last.dropped_lines

    async def _set(self, state: str, reason: str, **values: object) -> None:
        record = self.record
        # A watcher that was about to speak must not overrule the end that was decided meanwhile.
        if record.state == "stopping" and state not in {"stopping", "stopped"}:
            state, reason = record.state, record.reason
        if state != record.state:
            record.since = clock.iso(clock.now())
        record.state, record.reason = state, reason
        for name, value in values.items():
            setattr(record, name, value)
        await self._around.changed()


class _Trial:
    """Judges an app by its answers: when it is healthy, when no longer, when it will never be."""

    def __init__(self, instance: Instance, now: float) -> None:
        self._instance = instance
        self._begun = now
        self._due = 0.0
        self._failures = 0
        self._asking: asyncio.Task[health.Answer] | None = None
        self._looked = now
        self._elsewhere_since: float | None = None
        self._last = "it was not asked yet"

    async def step(self, found: Status, now: float) -> str | None:
        """Ask when it is time to, and take in the answer; why it failed for good, if it did."""
        record = self._instance.record
        if self._asking is not None and self._asking.done():
            answer, self._asking = self._asking.result(), None
            await self._take(answer, found, now)
        elif self._asking is None and now >= self._due:
            self._due = now + (_STARTING_SECONDS if record.state == "starting" else _HEALTHY_SECONDS)
            self._asking = asyncio.create_task(health.ask(record.port, record.spec.health_path))
        if record.state != "starting":
            return None
        limit = record.spec.start_timeout_seconds
        if self._elsewhere_since is not None and now - self._elsewhere_since > min(_ELSEWHERE_SECONDS, limit):
            return f"Never healthy: {self._last}."
        if now - self._begun > limit:
            return f"Never healthy within {limit:g} s: {self._last}."
        return None

    def close(self) -> None:
        """Drop an answer that nobody waits for."""
        if self._asking is not None:
            self._asking.cancel()

    async def _take(self, answer: health.Answer, found: Status, now: float) -> None:
        instance, record = self._instance, self._instance.record
        if answer.healthy(any_answer=record.spec.health_any):
            self._failures = 0
            if record.state != "healthy":
                await instance._set("healthy", record.reason if record.restarts else "", ever_healthy=True)
            return
        self._failures += 1
        if not (answer.refused and self._elsewhere_since):  # what it listens on instead says more
            self._last = answer.words
        if record.state == "starting":
            if answer.refused and now - self._looked > _LOOK_ELSEWHERE_SECONDS:
                self._looked = now
                await self._look_elsewhere(found, now)
            if record.reason != (reason := f"Not healthy yet: {self._last}.") and not record.restarts:
                await instance._set("starting", reason)
        elif record.state == "healthy" and self._failures >= _FAILURES_UNTIL_UNHEALTHY:
            await instance._set("unhealthy", f"Unhealthy: {self._last}.")

    async def _look_elsewhere(self, found: Status, now: float) -> None:
        ports = await asyncio.to_thread(keeper.listening_elsewhere, found, self._instance.record.port)
        if not ports:
            self._elsewhere_since = None
            return
        self._elsewhere_since = self._elsewhere_since or now
        listed = " and ".join(map(str, ports[:3]))
        self._last = (
            f"it listens on port {listed}, not on {self._instance.record.port}; "
            "make it listen on the port that the variable $PORT names"
        )


def _with_last_lines(reason: str, last: Status | None) -> str:
    lines = [line for line in (last.last_lines if last else ()) if line.strip()]
    return f"{reason} Its last lines: {' ⏎ '.join(lines[-6:])}" if lines else reason
