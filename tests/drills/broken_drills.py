"""Drills that are themselves defective, each in one way; what the engine makes of them is what is tested."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import example_control
from example_drills import Asking, Echo, answers, bare_client, patient_client, resets, resetting, stand_echo

from prodsprints.drills import faults
from prodsprints.drills.experiment import Observation, Probe, broke, held
from prodsprints.drills.stage import Arm, Stage
from prodsprints.kernel.clock import iso, now

NAMED = resets.named


def _with(look: Any, **changes: Any) -> Any:
    """The good drill with another named probe."""
    return replace(resets, probes=(Probe(NAMED, look),), **changes)


def _hang(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    threading.Event().wait()
    return held("never")


hangs = _with(_hang, limit_seconds=1)


def _hang_in_the_control(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    if stage.arm is Arm.PLACEBO:
        return broke("as without a control")
    example_control.WAIT_SECONDS = 600
    return held(str(example_control.ask(("127.0.0.1", 1), b"nobody listens there")))


control_hangs = _with(_hang_in_the_control, limit_seconds=3)


def _hang_deaf(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", f"grandchild-of-{stage.directory.parent.name}"],
        start_new_session=True,
    )
    os.kill(os.getpid(), 19)  # SIGSTOP: not even the harness's own watch gets to run
    return held("never")


hangs_deaf = _with(_hang_deaf, limit_seconds=1)


def _raise(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    raise KeyError("what the author of this probe did not think of")


raises = _with(_raise)


def _exit(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    sys.exit(3)


exits = _with(_exit)


def _die(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    os.kill(os.getpid(), 9)
    return held("never")


dies = _with(_die)


def _nothing(stage: Stage, echo: Echo, ask: Asking) -> Any:
    return None


says_nothing = _with(_nothing)


@contextmanager
def _for_ever(stage: Stage, echo: Echo) -> Iterator[None]:
    resetting(stage, echo).__enter__()
    leaving = echo.proxy.toxic(faults.Latency(0.001), ttl_seconds=60)
    leaving.__enter__()
    _kept.append(leaving)
    yield


_kept: list[Any] = []

leaves_its_fault = replace(resets, inject=_for_ever)


@contextmanager
def _careless_stand(stage: Stage) -> Iterator[Echo]:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    with stand_echo(stage) as echo:
        yield echo


leaves_a_process = replace(resets, stand=_careless_stand)


@contextmanager
def _deaf_stand(stage: Stage) -> Iterator[Echo]:
    _kept.append(socket.create_server(("127.0.0.1", 0)))
    with stand_echo(stage) as echo:
        yield echo


leaves_a_listener = replace(resets, stand=_deaf_stand)

placebo_passes = replace(resets, placebo=patient_client)


@contextmanager
def _missing_client(stage: Stage, echo: Echo) -> Iterator[Asking]:
    def ask(text: bytes) -> bytes:
        if _under_fault.is_set():
            import a_module_that_is_not_there  # noqa: F401

        return example_control.echo(echo.proxy.address, text)

    yield ask


_under_fault = threading.Event()


@contextmanager
def _marked(stage: Stage, echo: Echo) -> Iterator[None]:
    with resetting(stage, echo):
        _under_fault.set()
        yield


placebo_cannot_be_imported = replace(resets, placebo=_missing_client, inject=_marked)


def _abroad(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    except Exception as error:  # even one that swallows the refusal
        return broke(str(error))
    return held("reached")


aims_abroad = _with(_abroad)


@contextmanager
def _foreign_stand(stage: Stage) -> Iterator[Echo]:
    with faults.tcp_proxy(stage, upstream=("192.0.2.1", 80)) as proxy:
        yield Echo(proxy)


proxies_abroad = replace(resets, stand=_foreign_stand)


@contextmanager
def _dead_stand(stage: Stage) -> Iterator[Echo]:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with faults.tcp_proxy(stage, upstream=("127.0.0.1", port)) as proxy:
        yield Echo(proxy)


system_is_broken = replace(resets, stand=_dead_stand)


@contextmanager
def _no_fault(stage: Stage, echo: Echo) -> Iterator[None]:
    yield


fault_never_comes = replace(resets, inject=_no_fault)


@contextmanager
def _logging_client(stage: Stage, echo: Echo) -> Iterator[Asking]:
    def ask(text: bytes) -> bytes:
        iso(now())
        return example_control.ask(echo.proxy.address, text)

    yield ask


control_reaches_further = replace(resets, treatment=_logging_client)

control_does_nothing = replace(resets, treatment=bare_client)


def _refuses(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    if stage.arm is Arm.TREATMENT:
        example_control.ask(echo.proxy.address, None)  # type: ignore[arg-type]
    return answers(stage, echo, ask)


control_raises = _with(_refuses)


@contextmanager
def _wrong_client(stage: Stage, echo: Echo) -> Iterator[Asking]:
    yield lambda _: b"nonsense"


control_breaks_healthy_calls = replace(resets, treatment=_wrong_client)


def _many(stage: Stage, echo: Echo, ask: Asking) -> Observation:
    seen = answers(stage, echo, ask)
    for _ in range(30_000):
        stage.sample(True, 0.001)
    stage.measure("recover_seconds", 0.25)
    print("many words " * 10_000)  # noqa: T201 - a drill may print
    return seen


talks_much = _with(_many)
