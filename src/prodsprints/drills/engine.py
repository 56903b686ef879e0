"""Runs a drill: both arms of one experiment side by side, each in a process of its own, and what they prove."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from prodsprints.drills import catalog, digest, journal, trace, verdict
from prodsprints.drills.arms import Listening, Played
from prodsprints.drills.experiment import Experiment
from prodsprints.drills.harness import Script
from prodsprints.drills.journal import Journal
from prodsprints.drills.stage import Arm
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.clock import now
from prodsprints.kernel.redaction import Redactor
from prodsprints.kernel.settings import Settings
from prodsprints.store.address import Address

_START_SECONDS = 20.0
_END_SECONDS = 8.0
_TAIL_BYTES = 8_192
_LONGEST_LINE = 4 * 1_048_576
_PASSED_ON = ("PATH", "LANG", "LC_", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Event:
    """Something that happened in an arm (or, with `arm` empty, in the run), `at` seconds after its arm began.

    Kinds: `phase` {name}, `probe` {group, name, holds, words, seconds}, `fault` {on}, `samples` {samples: [[at, ok,
    seconds, label]…]}, `measure` {name, value}, `broken` {why}, `end` {ending}; of the run: `verdict` {outcome,
    reason}.
    """

    arm: str
    at: float
    kind: str
    data: Mapping[str, Any]


OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Result:
    """What one run proves, and all that its evidence needs."""

    entry: str
    experiment: Experiment[Any, Any]
    digest: str
    experiment_sha256: str
    tenant: UUID
    environment: str
    target: str
    outcome: Outcome
    reason: str
    treatment: Played
    placebo: Played | None
    treatment_journal: Journal
    placebo_journal: Journal | None
    outside: tuple[str, ...]
    started_at: datetime
    finished_at: datetime
    output: Mapping[str, str] = field(default_factory=dict)

    @property
    def measured(self) -> Mapping[str, float]:
        """The figures of the treatment arm."""
        return self.treatment.measured


def run(
    entry: str,
    *,
    settings: Settings,
    on_event: OnEvent,
    directory: Path,
    tenant: UUID,
    environment: str,
    admin: Address | None = None,
    config: Mapping[str, Any] | None = None,
    arms: Sequence[Arm] = (Arm.PLACEBO, Arm.TREATMENT),
    tree: Path | None = None,
) -> Result:
    """Run the drill called `entry` (`package.module:attribute`) below `directory`, where nothing of it is left.

    With `tree` the arms import packages from that directory first: how a damaged copy of the sources is drilled.

    Raises ExperimentError when there is no such experiment; whatever goes wrong in an arm is part of the result. Side
    by side, so that whatever else the machine does hits both arms alike. Without the placebo arm `outside` is not
    known.
    """
    experiment = catalog.load(entry)
    told = digest.without_secrets(config or {})
    bound = digest.control(entry, experiment, told)
    started_at = now()
    played = _Stagehand(entry, experiment, settings, admin, told, directory, tree, on_event).play(tuple(arms))
    treatment, placebo = played[Arm.TREATMENT], played.get(Arm.PLACEBO)
    outside = trace.outside(entry, experiment, treatment.played, placebo.played) if placebo else ()
    found = verdict.judge(experiment, treatment.played, placebo.played if placebo else None, outside)
    on_event(Event("", treatment.played.seconds, "verdict", {"outcome": found.outcome, "reason": found.reason}))

    def written(arm: _PlayedArm) -> Journal:
        return journal.of(entry, experiment, arm.played, node=settings.node, digest=bound)

    return Result(
        entry,
        experiment,
        bound,
        digest.experiment_sha256(entry, experiment),
        tenant,
        environment,
        ", ".join(peer.name for peer in experiment.peers),
        found.outcome,
        found.reason,
        treatment.played,
        placebo.played if placebo else None,
        written(treatment),
        written(placebo) if placebo else None,
        outside,
        started_at,
        now(),
        {arm: done.output for arm, done in played.items()},
    )


@dataclass(frozen=True)
class _PlayedArm:
    played: Played
    output: str


@dataclass(frozen=True)
class _Stagehand:
    """Has arms played at the same time."""

    entry: str
    experiment: Experiment[Any, Any]
    settings: Settings
    admin: Address | None
    config: dict[str, Any]
    directory: Path
    tree: Path | None
    on_event: OnEvent

    def play(self, arms: tuple[Arm, ...]) -> dict[Arm, _PlayedArm]:
        one_at_a_time = threading.Lock()

        def tell(event: Event) -> None:
            with one_at_a_time:
                self.on_event(event)

        running = []
        try:
            for arm in arms:
                running.append(_Running(self._script(arm), self.tree, tell))
            return {process.arm: process.wait() for process in running}
        finally:
            for process in running:
                process.end()
            for arm in arms:
                shutil.rmtree(self.directory / arm, ignore_errors=True)

    def _script(self, arm: Arm) -> Script:
        place = self.directory / arm
        place.mkdir(parents=True)
        place.chmod(0o755)  # as root, programs that an arm starts may run under users of their own
        hard = self.experiment.limit_seconds + _START_SECONDS
        path = [*([str(self.tree)] if self.tree else []), *sys.path]
        return Script(self.entry, arm, self.settings, self.admin, place, self.config, path, hard)


class _Running:
    """One arm's keeper process, and what comes from it."""

    def __init__(self, script: Script, tree: Path | None, tell: OnEvent) -> None:
        self.arm = script.arm
        self._began = time.monotonic()
        self._deadline = self._began + script.hard_seconds + _END_SECONDS
        self._arm = Listening(script.arm, now())
        self._tell = tell
        self._tail: deque[bytes] = deque(maxlen=64)
        self._redactor = Redactor(_passwords(script))
        read, write = os.pipe()
        with os.fdopen(write, "wb") as theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "prodsprints.drills.keeper", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                env=_environment(script, tree),
                cwd=script.directory,
                start_new_session=True,
            )
        self._events = os.fdopen(read, "rb")
        self._readers = [
            threading.Thread(target=reader, name=f"drill-{script.arm}", daemon=True)
            for reader in (self._read_events, self._read_output)
        ]
        for reader in self._readers:
            reader.start()
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(script.document())
            self._process.stdin.flush()

    def wait(self) -> _PlayedArm:
        """Until it has ended; the keeper sees to that, and this one to the keeper."""
        try:
            self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._arm.take({"kind": "broken", "why": "its keeper did not end it in time"})
        self.end()
        output = b"".join(self._tail)[-_TAIL_BYTES:].decode(errors="replace")
        return _PlayedArm(self._arm.played(seconds=time.monotonic() - self._began), self._redactor.text(output))

    def end(self) -> None:
        """Let go of the lifeline: the keeper then ends everything, if it has not yet."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for reader in self._readers:
            reader.join(1.0)

    def _read_events(self) -> None:
        with self._events:
            while line := self._events.readline(_LONGEST_LINE):
                with contextlib.suppress(ValueError, KeyError, TypeError):  # the line that it was killed in
                    event = json.loads(line)
                    if event["kind"] == "lines":
                        self._arm.take(event)
                    else:
                        event = self._redactor.value(event)
                        self._arm.take(event)
                        data = {name: value for name, value in event.items() if name not in {"kind", "at"}}
                        at = event.get("at", time.monotonic() - self._began)
                        self._tell(Event(self.arm, at, event["kind"], data))

    def _read_output(self) -> None:
        """All of it, so that nobody waits for a full pipe; the end of it is kept."""
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        with self._process.stdout as output:
            while chunk := output.read1(4096):  # type: ignore[attr-defined]
                self._tail.append(chunk)


def _passwords(script: Script) -> list[str]:
    """What the arm is told and nobody who reads its journal may know: an error's text may quote it."""
    known = (script.admin, *map(_address, (script.settings.database_url, script.settings.admin_database_url)))
    return [password for each in known if each is not None and (password := each.parts().get("password"))]


def _address(conninfo: str | None) -> Address | None:
    return Address(conninfo) if conninfo else None


def _environment(script: Script, tree: Path | None) -> dict[str, str]:
    """Nothing of the worker's own: no token, no address, no credentials of whoever started it."""
    passed = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    env = {**passed, "HOME": str(script.directory), "PYTHONUNBUFFERED": "1"}
    if tree is not None:  # also for the processes that the subject starts; its compiled files stay with it
        env |= {"PYTHONPATH": str(tree), "PYTHONPYCACHEPREFIX": str(tree / "__pycache__")}
    return env
