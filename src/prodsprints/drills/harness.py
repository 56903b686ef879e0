"""Plays one arm of an experiment, in a process of its own, and tells what it shows while it happens."""

from __future__ import annotations

import importlib
import ipaddress
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prodsprints.drills import catalog, digest, trace
from prodsprints.drills.arms import MOST_SAMPLES, Ending, Group
from prodsprints.drills.errors import ForeignTargetError
from prodsprints.drills.experiment import Experiment, Observation, Probe, broke
from prodsprints.drills.stage import Arm, Stage
from prodsprints.kernel.settings import Settings
from prodsprints.store.address import Address

_TICK_SECONDS = 0.2
_LONGEST_WORDS = 500
_PATHS = ("home", "witness")


@dataclass(frozen=True)
class Script:
    """What an arm's process is told; it comes through a pipe, since an address may hold a password."""

    entry: str
    arm: Arm
    settings: Settings
    admin: Address | None
    directory: Path
    config: dict[str, Any]
    path: list[str]
    hard_seconds: float

    @staticmethod
    def parse(line: bytes) -> Script:
        """What `document` wrote."""
        told = json.loads(line)
        settings: dict[str, Any] = told["settings"]
        settings.update({name: Path(settings[name]) for name in _PATHS if settings[name] is not None})
        admin = Address(told["admin"]) if told["admin"] else None
        return Script(
            told["entry"],
            Arm(told["arm"]),
            Settings(**settings),
            admin,
            Path(told["directory"]),
            told["config"],
            told["path"],
            told["hard_seconds"],
        )

    def document(self) -> bytes:
        """One line of JSON."""
        told = {**vars(self), "settings": vars(self.settings), "admin": self.admin.conninfo if self.admin else None}
        return json.dumps(told, default=str).encode() + b"\n"


def play(script: Script, events: int) -> None:
    """Play it, and write its events to the descriptor `events`; then this process is of no further use."""
    sys.path[:] = script.path
    voice = _Voice(events)
    _stay_on_loopback(voice)
    try:
        _Playing(script, voice).play()
    except BaseException as error:
        traceback.print_exc()
        voice.say(kind="broken", why=f"it raised {_named(error)} in phase {voice.phase!r}")


class _Playing:
    """One arm, phase by phase."""

    def __init__(self, script: Script, voice: _Voice) -> None:
        self._script = script
        self._voice = voice
        self._own_files: frozenset[str] = frozenset()
        self._looking: tuple[Group, str, float] | None = None

    def play(self) -> None:
        script, voice = self._script, self._voice
        voice.enter("import")
        experiment = catalog.load(script.entry)
        # Both arms import the sources before anything is traced, so that they differ only by what they then call.
        for source in experiment.bound:
            importlib.import_module(source.partition(":")[0])
        if script.arm is Arm.TREATMENT:
            files = digest.source_files(experiment.bound).values()
            self._own_files = frozenset(str(path) for path in files)
        listening = _listening()
        stage = Stage(
            directory=script.directory,
            settings=script.settings,
            admin=script.admin,
            arm=script.arm,
            config=script.config,
            limit_seconds=experiment.limit_seconds,
            emit=voice.hear,
        )
        watch = threading.Thread(target=self._watch, args=(stage, experiment.limit_seconds), name="watch", daemon=True)
        watch.start()
        with trace.executed(script.entry, experiment) as lines, stage.open():
            ending = self._phases(experiment, stage)
        for port in sorted(_listening() - listening):
            voice.say(kind="broken", why=f"it left a listener behind, on port {port}")
        for name, numbers in lines.items():
            voice.say(kind="lines", file=name, lines=numbers)
        voice.say(kind="end", ending=ending)

    def _phases(self, experiment: Experiment[Any, Any], stage: Stage) -> Ending:
        voice = self._voice
        voice.enter("stand")
        with experiment.stand(stage) as peers:
            voice.enter("subject")
            treated = self._script.arm is Arm.TREATMENT
            with self._subject(experiment.treatment if treated else experiment.placebo, stage, peers) as subject:
                if subject is _NOT_BUILT:
                    return Ending.UNSTEADY
                voice.enter("steady")
                if not self._look(Group.STEADY, experiment.steady, stage, peers, subject):
                    return Ending.UNSTEADY
                voice.enter("inject")
                with experiment.inject(stage, peers):
                    voice.say(kind="fault", on=True)
                    voice.enter("probes")
                    self._look(Group.PROBES, experiment.probes, stage, peers, subject)
                    self._look(Group.SEEN, (experiment.seen,), stage, peers, subject)
                voice.say(kind="fault", on=False)
                if "faults" in vars(stage):
                    for fault in stage.faults.active():
                        voice.say(kind="broken", why=f"it left its fault behind: {fault}")
                if treated:
                    voice.enter("after")
                    self._look(Group.AFTER, experiment.after, stage, peers, subject)
                voice.enter("end")
        return Ending.PLAYED

    @contextmanager
    def _subject(self, build: Callable[[Stage, Any], Any], stage: Stage, peers: Any) -> Iterator[Any]:
        """The subject; what the control raises while it is built counts against it, like a broken steady state."""
        with ExitStack() as stack:
            began = self._voice.now()
            try:
                subject = stack.enter_context(build(stage, peers))
            except Exception as error:
                if not self._is_the_controls(error):
                    raise
                self._tell(Group.STEADY, "the control can be built", broke(_raised(error)), began)
                subject = _NOT_BUILT
            yield subject

    def _look(self, group: Group, probes: tuple[Probe[Any, Any], ...], stage: Stage, peers: Any, subject: Any) -> bool:
        """Look through all of them, in order; True if all hold."""
        all_hold = True
        for probe in probes:
            began = self._voice.now()
            self._looking = (group, probe.name, began)
            try:
                seen = probe.look(stage, peers, subject)
            except Exception as error:
                # What comes out of the control's own lines is what the control did. Everything else is the drill's
                # defect, and in the placebo arm, which has no control, everything is.
                if not self._is_the_controls(error):
                    raise
                traceback.print_exc()
                seen = broke(_raised(error))
            if not isinstance(seen, Observation):
                raise TypeError(f"the probe {probe.name!r} returned {seen!r}, which is no Observation")
            self._looking = None
            self._tell(group, probe.name, seen, began)
            all_hold = all_hold and seen.holds
        return all_hold

    def _tell(self, group: Group, name: str, seen: Observation, began: float) -> None:
        self._voice.say(
            kind="probe",
            group=group,
            name=name,
            holds=bool(seen.holds),
            words=seen.words[:_LONGEST_WORDS],
            seconds=round(self._voice.now() - began, 6),
        )

    def _is_the_controls(self, error: BaseException) -> bool:
        if isinstance(error, BaseExceptionGroup):
            return any(self._is_the_controls(part) for part in error.exceptions)
        frames = traceback.walk_tb(error.__traceback__)
        return any(frame.f_code.co_filename in self._own_files for frame, _ in frames)

    def _watch(self, stage: Stage, limit_seconds: float) -> None:
        """Pass samples on as they come, and end this process when its time is over, whatever it is waiting for."""
        while stage.remaining_seconds > 0:
            time.sleep(min(_TICK_SECONDS, stage.remaining_seconds + 0.001))
            self._voice.flush()
        stack = traceback.extract_stack(sys._current_frames()[threading.main_thread().ident or 0])
        if self._hung_in_the_control(stack, limit_seconds):
            self._voice.say(kind="end", ending=Ending.HUNG)
            os._exit(0)
        here = stack[-1]
        where = f"{Path(here.filename).name}:{here.lineno}"
        self._voice.say(
            kind="broken",
            why=f"it hung: still in phase {self._voice.phase!r} after {limit_seconds:g} s, at {where}",
        )
        os._exit(0)

    def _hung_in_the_control(self, stack: traceback.StackSummary, limit_seconds: float) -> bool:
        """Tell of the probe whose call of the control did not come back, if that is what the time went for.

        A third of the limit, for one probe: on a machine that is merely slow no single one takes as long.
        """
        looking = self._looking
        if looking is None or not any(frame.filename in self._own_files for frame in stack):
            return False
        group, name, began = looking
        seconds = self._voice.now() - began
        if seconds < limit_seconds / 3 or group is Group.SEEN:
            return False
        self._tell(group, name, broke(f"the control did not come back within {seconds:.0f} s"), began)
        return True


class _Voice:
    """Writes events as lines of JSON, with the seconds since the arm began; samples go out in batches."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._began = time.monotonic()
        self._lock = threading.RLock()  # a signal handler or an audit hook may speak in the middle of a sentence
        self._samples: list[tuple[float, bool, float, str]] = []
        self._samples_left = MOST_SAMPLES
        self.phase = "start"

    def now(self) -> float:
        """Seconds since the arm began."""
        return time.monotonic() - self._began

    def enter(self, phase: str) -> None:
        """A phase begins."""
        self.phase = phase
        self.say(kind="phase", name=phase)

    def hear(self, event: dict[str, Any]) -> None:
        """What the stage was told."""
        if event["kind"] != "sample":
            self.say(**event)
            return
        with self._lock:
            if self._samples_left > 0:
                self._samples_left -= 1
                label = _readable(event["label"])
                self._samples.append((round(self.now(), 4), event["ok"], event["seconds"], label))

    def say(self, **event: Any) -> None:
        """One event, after the samples that came before it."""
        self.flush()
        told = {name: _readable(value) if isinstance(value, str) else value for name, value in event.items()}
        self._write({"at": round(self.now(), 4), **told})

    def flush(self) -> None:
        """Write the samples that wait."""
        with self._lock:
            while self._samples:
                batch, self._samples = self._samples[:500], self._samples[500:]
                self._write({"at": batch[-1][0], "kind": "samples", "samples": batch})

    def _write(self, event: dict[str, Any]) -> None:
        left = json.dumps(event).encode() + b"\n"
        with self._lock:
            while left:
                left = left[os.write(self._descriptor, left) :]


def _readable(text: str) -> str:
    """As it is, but for what no page, terminal or database takes: a probe may repeat what a broken peer sent."""
    return "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)


_NOT_BUILT = object()


def _stay_on_loopback(voice: _Voice) -> None:
    """Refuse every connection of this process to an address that is not on loopback, and say so.

    A safety net under careless experiments, no wall: programs that they start and libraries in C (libpq) pass beside
    it.
    """

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.sendto"} and _is_foreign(arguments[1]):
            voice.say(kind="broken", why=f"it aimed at a foreign address: {arguments[1][0]}")
            raise ForeignTargetError(
                f"This drill aims at {arguments[1][0]!r}, which is not on loopback.",
                next_step="Start the peer in the experiment's `stand`, on 127.0.0.1.",
            )

    sys.addaudithook(hook)


def _is_foreign(address: Any) -> bool:
    if not isinstance(address, tuple) or not address or not isinstance(address[0], str):
        return False  # a Unix socket
    try:
        ip = ipaddress.ip_address(address[0].partition("%")[0])
    except ValueError:
        return address[0] not in {"localhost", ""}
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return not (ip.is_loopback or ip.is_unspecified)


def _listening() -> set[int]:
    import psutil

    found = psutil.Process().net_connections("tcp")
    return {connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN}


def _raised(error: BaseException) -> str:
    return f"the control let {_named(error)} out"


def _named(error: BaseException) -> str:
    said = " ".join(str(error).split())[:200]
    return f"{type(error).__name__} ({said})" if said else type(error).__name__
