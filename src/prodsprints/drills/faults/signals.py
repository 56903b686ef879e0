"""Faults of processes: stopped for a while, or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prodsprints.drills.errors import ExperimentError
from prodsprints.drills.faults.toxics import checked_ttl
from prodsprints.runtime.processes import Identity


@contextmanager
def stopped(pid: int, *, ttl_seconds: float) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end; a helper process sends that too, should the drill be killed or take too long."""
    process = _ours(pid)
    read, write = os.pipe()
    helper = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WAKE, str(pid), str(checked_ttl(ttl_seconds))],
        stdin=read,
        stdout=subprocess.PIPE,
        start_new_session=True,  # it outlives a killed process group, for as long as it takes to send one signal
    )
    os.close(read)
    try:
        assert helper.stdout is not None  # noqa: S101 - asked for above
        helper.stdout.read(1)  # not before somebody is there who would wake it
        process.signal(signal.SIGSTOP)
        yield
    finally:
        process.signal(signal.SIGCONT)
        os.close(write)
        helper.communicate()


@contextmanager
def killed(pid: int) -> Iterator[None]:
    """SIGKILL; whoever started the process starts it again, if that is what the drill is about."""
    _ours(pid).signal(signal.SIGKILL)
    yield


# Waits for the end of its input or of the ttl, whichever comes first.
_WAKE = """
import os, select, signal, sys
os.write(1, b"."); select.select([0], [], [], float(sys.argv[2]))
try: os.kill(int(sys.argv[1]), signal.SIGCONT)
except OSError: pass
"""


def _ours(pid: int) -> Identity:
    """The process, if this drill started it: a drill signals nothing else."""
    found = Identity.of(pid)
    mine = Identity.of(os.getpid())
    started = {process.pid for process in mine.tree()} - {os.getpid()} if mine else set()
    if found is None or pid not in started:
        raise ExperimentError(
            f"The process {pid} was not started by this drill, or is gone.",
            next_step="Start the peer in the experiment's `stand`, and signal that.",
        )
    return found
