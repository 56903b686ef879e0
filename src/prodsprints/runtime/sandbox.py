"""Strangers' code runs here only: gates, dependency builds, migrations, and (through the shim) the released apps.

Three walls, each used where the machine has it: a cleaned environment with limits and a process tree that dies as a
whole (everywhere); a user of its own (as root); bubblewrap with a read-only system, private /tmp, /proc and process
ids, no network unless asked for, and nobody's home in sight (Linux, where bubblewrap works).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prodsprints.kernel.settings import Settings
from prodsprints.runtime import users
from prodsprints.runtime.errors import SandboxError
from prodsprints.runtime.lines import LineReader

_LAUNCHER = Path(__file__).with_name("launcher.py")
_GIB = 1024**3

_MAX_OUTPUT_BYTES = 8 * 1024**2
_TAIL_LINES = 40
_PULSE_SECONDS = 0.5
_LAST_WORDS_SECONDS = 6.0  # how long a killed tree may take to be gone; the launcher's own sweep is bounded by 5 s

# They steer the loader, or the shell, of the programs that confine strangers' code, while these still have rights.
_STEERING = re.compile(r"LD_.*|DYLD_.*|GLIBC_TUNABLES|GCONV_PATH|LOCPATH|BASH_ENV|BASHOPTS|SHELLOPTS|PS4")

# What the confined see of this machine: programs, libraries and their configuration; no homes, no /var, no /run.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store", "/gnu/store")


@dataclass(frozen=True)
class Limits:
    """What one process may use; `processes` counts only where the sandbox has a user of its own.

    `memory_bytes` bounds private writable memory (RLIMIT_DATA), not address space, which many runtimes reserve
    generously without ever touching it. macOS does not enforce it.
    """

    memory_bytes: int = 4 * _GIB
    cpu_seconds: int | None = None
    processes: int = 1024
    file_bytes: int = 2 * _GIB
    open_files: int = 4096


@dataclass(frozen=True)
class Confinement:
    """What strangers' code may touch: it writes below `writable`, and reads those, `readable` and the system.

    `user` comes from `users.unprivileged`; hand it the writable directories with `users.give` before the first run.
    """

    writable: tuple[Path, ...]
    readable: tuple[Path, ...] = ()
    network: bool = False
    user: int | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Completed:
    """How a confined run ended. `tail` holds its last lines, `dropped_bytes` what went beyond the output's bound."""

    exit_code: int
    timed_out: bool
    seconds: float
    tail: tuple[str, ...]
    dropped_bytes: int


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    confinement: Confinement,
    timeout_seconds: float,
    on_line: Callable[[str], None],
    pulse: Callable[[], None] = lambda: None,
) -> Completed:
    """Run `argv` confined, stream its output line by line, and return when nothing of it is left.

    `pulse` is called at least twice a second while it writes nothing. On time-out, and also if `on_line` or `pulse`
    raises, the whole tree of processes is killed, those included that left their session. `env` is the entire
    environment: build it with `environment`; what `steers` is left out of it. Redaction
    is up to `on_line`.
    """
    started = time.monotonic()
    wrapped = _command(argv, confinement, cwd, contain=True)
    reader = LineReader(max_bytes=_MAX_OUTPUT_BYTES)
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    try:
        process = subprocess.Popen(
            wrapped,
            cwd="/",
            env={name: value for name, value in env.items() if not steers(name)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxError(
            f"A confined process could not be started: {error.strerror}.", next_step="Free some resources, try again."
        ) from None
    assert process.stdout is not None  # noqa: S101 - it is a pipe, by the line above
    output = process.stdout
    timed_out = True
    try:
        for line in reader.lines(output.fileno(), until=started + timeout_seconds, pulse=pulse):
            tail.append(line)
            on_line(line)
        timed_out = reader.interrupted or not _ends(process, until=started + timeout_seconds, pulse=pulse)
    finally:
        _end(process)
        output.close()
    return Completed(
        exit_code=_exit_code(process.returncode),
        timed_out=timed_out,
        seconds=time.monotonic() - started,
        tail=tuple(tail),
        dropped_bytes=reader.dropped_bytes,
    )


def command(argv: Sequence[str], confinement: Confinement, *, cwd: Path | None = None) -> list[str]:
    """`argv` wrapped so that starting it confines it: user, limits and, where it works, bubblewrap.

    For whoever keeps the process (the shim): it starts in `cwd`, or in the starter's directory, which must then be
    visible inside. A SIGTERM to the process group reaches the program only; killing the first process ends the tree
    under bubblewrap. Without bubblewrap the first process becomes the program.
    """
    return _command(argv, confinement, cwd, contain=False)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean environment, nothing of the platform's in it, with `extra` on top.

    There is no home in it; give HOME and TMPDIR a directory of the run's own where tools insist on them.
    """
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
        "TMPDIR": "/tmp",  # noqa: S108 - private under bubblewrap
        **(extra or {}),
    }


def steers(name: str) -> bool:
    """Whether the variable `name` would reach into the programs that confine strangers' code."""
    return _STEERING.fullmatch(name) is not None


@functools.cache
def bubblewrap() -> str | None:
    """The path of a bubblewrap that works here (0.7 or newer, namespaces allowed), else None; probed once."""
    path = shutil.which("bwrap") if sys.platform == "linux" else None
    if path is None:
        return None
    user = users.FIRST if os.geteuid() == 0 else None
    probe = _wrapped(path, Confinement(writable=(), user=user), _launch(["/bin/true"], Limits(), user, None))
    try:
        done = subprocess.run(probe, cwd="/", env=environment(), capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if done.returncode == 0 else None


def base_python() -> Path:
    """The interpreter that this one's virtual environment was made from: it knows none of the platform's packages."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable)


def _command(argv: Sequence[str], confinement: Confinement, cwd: Path | None, *, contain: bool) -> list[str]:
    wrapper = bubblewrap()
    if wrapper is not None:
        inner = _launch(argv, confinement.limits, confinement.user, cwd)
        # The starter of the namespace must outlive a SIGTERM to the group: with it, everything inside would be killed.
        return ["/bin/sh", "-c", 'trap "" TERM INT; exec "$@"', "sh", *_wrapped(wrapper, confinement, inner)]
    for path in (*confinement.writable, *(() if cwd is None else (cwd,))):
        if not users.reachable(path, confinement.user):
            raise SandboxError(
                f"The unprivileged user {confinement.user} cannot enter {path}.",
                why="A directory above it is closed to other users.",
                next_step="Set PRODSPRINTS_HOME to a directory that everybody can enter, or install bubblewrap.",
            )
    return _launch(argv, confinement.limits, confinement.user, cwd, contain=contain)


def _launch(
    argv: Sequence[str], limits: Limits, user: int | None, cwd: Path | None, *, contain: bool = False
) -> list[str]:
    resources = {
        "RLIMIT_CORE": 0,
        "RLIMIT_DATA": limits.memory_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.open_files,
    }
    if limits.cpu_seconds is not None:
        resources["RLIMIT_CPU"] = limits.cpu_seconds
    if user is not None:  # the kernel counts a user's processes over the whole machine
        resources["RLIMIT_NPROC"] = limits.processes
    spec = {
        "contain": contain,
        "parent": os.getpid(),
        "user": user,
        "limits": resources,
        "directory": None if cwd is None else str(cwd),
    }
    return [str(base_python()), "-I", "-S", str(_LAUNCHER), json.dumps(spec), *argv]


def _wrapped(bwrap: str, confinement: Confinement, inner: Sequence[str]) -> list[str]:
    options = ["--die-with-parent", "--unshare-pid", "--unshare-ipc"]
    if not confinement.network:
        options.append("--unshare-net")
    if os.geteuid() == 0:
        options += ["--cap-drop", "ALL"]
    if confinement.user is not None:  # root inside only long enough to become that user
        options += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    for directory in map(Path, _SYSTEM):
        if directory.is_symlink():
            options += ["--symlink", str(directory.readlink()), str(directory)]
        elif directory.is_dir():
            options += ["--ro-bind", str(directory), str(directory)]
    options += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", str(2 * _GIB), "--tmpfs", "/tmp"]  # noqa: S108 - a new one
    home = Settings.from_environment().home
    if _below_system(home):
        options += ["--tmpfs", str(home)]
    for path, kind in sorted(_bindings(confinement, home).items(), key=lambda binding: len(binding[0].parts)):
        # Said first, since bubblewrap makes missing parents with mode 0700.
        options += ["--dir", str(path.parent), kind, str(path), str(path)]
    return [bwrap, *options, "--", *inner]


def _bindings(confinement: Confinement, home: Path) -> dict[Path, str]:
    readable = [_LAUNCHER, Path(sys.base_prefix), base_python().resolve(), *confinement.readable]
    if confinement.network:
        readable.append(Path("/etc/resolv.conf").resolve())  # often a link into /run
    bindings = {
        path: "--ro-bind"
        for path in readable
        if path.exists() and (path.is_relative_to(home) or not _below_system(path))
    }
    return bindings | dict.fromkeys(confinement.writable, "--bind")


def _below_system(path: Path) -> bool:
    return any(path.is_relative_to(directory) for directory in _SYSTEM)


def _ends(process: subprocess.Popen[bytes], *, until: float, pulse: Callable[[], None] = lambda: None) -> bool:
    while True:
        try:
            process.wait(max(0.05, min(_PULSE_SECONDS, until - time.monotonic())))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= until:
                return False
            pulse()
        else:
            return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing behind: the containing launcher sweeps on SIGTERM, bubblewrap's namespace dies with its first."""
    if process.poll() is None:
        if bubblewrap() is None:
            process.send_signal(signal.SIGTERM)
            if _ends(process, until=time.monotonic() + _LAST_WORDS_SECONDS):
                return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _exit_code(status: int) -> int:
    return 128 - status if status < 0 else status
