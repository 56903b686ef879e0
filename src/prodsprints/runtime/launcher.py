"""The last step before strangers' code: a stdlib-only program that gives up rights, then becomes or contains that code.

`python -I -S launcher.py SPEC PROGRAM ARGUMENT…`, started by `sandbox.py` only. Without `contain` in SPEC the launcher
turns into the program. With it, it stays as the reaper of everything below it: when the program ends, or on SIGTERM,
or when whoever started it dies, every descendant is killed, also those that moved to a session of their own.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_CANNOT_START = 126
_LAST_SWEEP_SECONDS = 5.0


def main(arguments: list[str]) -> NoReturn:
    """Give up rights as SPEC says, then run the program."""
    spec: dict[str, Any] = json.loads(arguments[0])
    program = arguments[1:]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if spec["contain"]:
        _contain(spec, program)
    _become(spec, program)


def _become(spec: dict[str, Any], program: list[str]) -> NoReturn:
    for name, value in spec["limits"].items():
        _limit(getattr(resource, name), value)
    user = spec["user"]
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if sys.platform == "linux":
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    os.umask(0o022)
    try:
        if spec["directory"] is not None:
            os.chdir(spec["directory"])
        os.execvp(program[0], program)  # noqa: S606 - an argument list, no shell
    except OSError as error:
        where = spec["directory"] or "its directory"
        sys.stderr.write(f"cannot start {program[0]} as user {os.getuid()} in {where}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(_CANNOT_START)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses some of them; the others still count
        resource.setrlimit(kind, (wanted, wanted))


def _contain(spec: dict[str, Any], program: list[str]) -> NoReturn:
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != spec["parent"]:  # it died before we asked to be told
            os._exit(_CANNOT_START)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGCHLD})
        _become(spec, program)
    status = _wait(child)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # all that can be done where there is no /proc
    _sweep()
    os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def _wait(child: int) -> int:
    """Reap until `child` ends or we are told to stop; return its wait status."""
    while True:
        arrived = signal.sigwait({signal.SIGTERM, signal.SIGCHLD})
        if arrived == signal.SIGTERM:
            return signal.SIGKILL
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == child:
                return status
            if pid == 0:
                break


def _sweep() -> None:
    """Kill every descendant. Orphans become our children, so killing children until there are none reaches them all."""
    deadline = time.monotonic() + _LAST_SWEEP_SECONDS
    while time.monotonic() < deadline:
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir() if sys.platform == "linux" else ():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):
            # The name in parentheses may hold anything, so fields count from its last closing one.
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    pending = [root]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
