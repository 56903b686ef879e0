"""One app's keeper: a small stdlib-only process that outlives the node agent, holds the app's output and its end.

`python -I -S shim.py`, started by the node agent only, its orders as JSON on stdin (they hold secrets, and argv and
environment are readable by others). It runs the preparing commands, then the app; it writes the output, redacted and
bounded, to the log directory and what happened to `status.json`. On SIGTERM it ends the app: SIGTERM, grace, SIGKILL.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib.util
import json
import os
import re
import select
import signal
import sys
import time
from typing import Any

_LINE_BYTES = 16 * 1024
_OVERLAP_BYTES = 4 * 1024  # a line is redacted before it is cut, with this much more, lest half a secret passes
_FILE_BYTES = 4 * 1024 * 1024
_FILES = 2
_BYTES_PER_SECOND = 1024 * 1024
_WORK_PER_SECOND = 0.25  # redacting hostile lines is slow, and the app must not wait for us
_CHUNK_BYTES = 64 * 1024
_PREPARE_SECONDS = 60.0
_LAST_OUTPUT_SECONDS = 1.0
_TAIL_LINES = 12
_TAIL_CHARACTERS = 300
_CANNOT_START = 126
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")  # the tail is quoted in sentences


def main() -> None:
    """Read the orders, run what they say, and record how it ended."""
    orders: dict[str, Any] = json.load(sys.stdin)
    if not _only_one(orders["lock_file"]):  # an agent that was killed while it started us has had its way already
        return
    redactor = _redaction(orders["redaction"]).Redactor(orders["secrets"])
    _Shim(orders, _Log(orders["log_directory"], redactor)).run()


def start_mark(pid: int) -> str:
    """When the process with `pid` started, as this boot's id and the kernel's tick; empty if there is none or a zombie.

    Linux only: elsewhere it is empty, and the node agent asks psutil.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123 - pathlib costs the shim 1 MB
            # The name in parentheses may hold anything, so fields count from its last closing one.
            fields = stream.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {b"Z", b"X"} else f"{_boot()}:{fields[19].decode()}"


class _Shim:
    def __init__(self, orders: dict[str, Any], log: _Log) -> None:
        self._orders = orders
        self._log = log
        self._stopping_since: float | None = None
        self._running = 0
        self._ended: set[int] = set()
        self._written_at = 0.0
        self._status: dict[str, Any] = {
            "state": "preparing",
            "shim": {"pid": os.getpid(), "start": start_mark(os.getpid())},
            "app": None,
            "port": orders["port"],
            "exit_code": None,
            "reason": "",
        }
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._woken, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(self) -> None:
        self._write_status()
        for argv in self._orders["prepare"]:
            exit_code, note = self._execute(argv["wrapped"], seconds=_PREPARE_SECONDS)
            if exit_code != 0 or self._stopping_since is not None:
                told = f"Preparing failed: {argv['shown']} ended with exit code {exit_code}{note}."
                self._end("failed" if self._stopping_since is None else "exited", exit_code, told)
                return
        exit_code, note = self._execute(self._orders["argv"], seconds=None)
        self._end("exited", exit_code, f"The app ended with exit code {exit_code}{note}.")

    def _execute(self, argv: list[str], *, seconds: float | None) -> tuple[int, str]:
        """Run one command to its end; its exit code, and what is to be said of its end."""
        if self._stopping_since is not None:
            return 128 + signal.SIGTERM, ""
        output, pid = self._spawn(argv)
        if seconds is None:
            self._status |= {"state": "running", "app": {"pid": pid, "start": start_mark(pid)}}
            self._write_status()
        deadline = None if seconds is None else time.monotonic() + seconds
        note, killed = "", False
        while (exit_code := self._reap()) is None:
            now = time.monotonic()
            overdue = deadline is not None and now > deadline
            grace_over = self._stopping_since is not None and now > self._stopping_since + self._orders["grace_seconds"]
            if (overdue or grace_over) and not killed:
                killed = True
                note = (
                    f", killed after {seconds:.0f} s"
                    if overdue
                    else f": it ignored SIGTERM for {self._orders['grace_seconds']:g} s and was killed"
                )
                _signal_group(pid, signal.SIGKILL)
            self._pump(output, 0.25)
        _signal_group(pid, signal.SIGKILL)  # whatever the command left behind in its group
        until = time.monotonic() + _LAST_OUTPUT_SECONDS
        while time.monotonic() < until and self._pump(output, 0.05):
            pass
        self._ended.discard(output)
        os.close(output)
        self._log.finish()
        return exit_code, note

    def _spawn(self, argv: list[str]) -> tuple[int, int]:
        output, write = os.pipe()
        begun, begin = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                null = os.open(os.devnull, os.O_RDONLY)
                os.dup2(null, 0)
                os.dup2(write, 1)
                os.dup2(write, 2)
                os.closerange(3, 256)
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
                    signal.signal(number, signal.SIG_DFL)
                os.chdir("/")
                os.execve(argv[0], argv, self._orders["env"])  # noqa: S606 - the very purpose
            except OSError as error:
                os.write(2, f"cannot start {argv[0]}: {error.strerror}\n".encode())
            os._exit(_CANNOT_START)
        os.close(write)
        os.close(begin)
        with contextlib.suppress(InterruptedError):
            os.read(begun, 1)  # ends when the child, in a session of its own by then, closes its side
        os.close(begun)
        self._running = pid
        if self._stopping_since is not None:  # a SIGTERM that came between the check and the fork
            _signal_group(pid, signal.SIGTERM)
        return output, pid

    def _pump(self, output: int, seconds: float) -> bool:
        """Move what the app has written to the log; whether more may come."""
        ready, _, _ = select.select([self._woken] if output in self._ended else [output, self._woken], [], [], seconds)
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 512)
        if output in ready:
            chunk = os.read(output, _CHUNK_BYTES)
            self._log.feed(chunk)
            if not chunk:  # closed, perhaps by an app that lives on
                self._ended.add(output)
        if self._log.dropped_lines != self._status["dropped_lines"] and time.monotonic() > self._written_at + 1:
            self._write_status()
        return output not in self._ended

    def _reap(self) -> int | None:
        """The command's exit code if it has ended: 128 + signal when one ended it, as shells say it."""
        found, status = os.waitpid(self._running, os.WNOHANG)
        if not found:
            return None
        self._running = 0
        code = os.waitstatus_to_exitcode(status)
        return 128 - code if code < 0 else code

    def _stop(self, *_: object) -> None:
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            if self._running:
                _signal_group(self._running, signal.SIGTERM)

    def _end(self, state: str, exit_code: int, reason: str) -> None:
        self._status |= {
            "state": state,
            "exit_code": exit_code,
            "reason": reason,
            "last_lines": list(self._log.tail),
        }
        self._write_status()

    def _write_status(self) -> None:
        self._status["dropped_lines"] = self._log.dropped_lines
        self._written_at = time.monotonic()
        path = self._orders["status_file"]
        draft = f"{path}.draft"
        with contextlib.suppress(OSError):  # a full disk must not end the app
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(descriptor, json.dumps(self._status).encode())
            finally:
                os.close(descriptor)
            os.replace(draft, path)  # noqa: PTH105 - pathlib costs the shim 1 MB


class _Log:
    """Whole, redacted lines in files named after the offset of their first byte; the oldest file goes first."""

    def __init__(self, directory: str, redactor: Any) -> None:
        self.dropped_lines = 0
        self.tail: list[str] = []
        self._directory = directory
        self._redactor = redactor
        self._line = bytearray()
        self._too_long = False
        self._second = 0
        self._spent_bytes = 0
        self._spent_seconds = 0.0
        self._untold = 0
        names = sorted(os.listdir(directory))  # noqa: PTH208 - pathlib costs the shim 1 MB
        self._offset = int(names[-1][:-4]) if names else 0
        self._open(self._offset)

    def feed(self, chunk: bytes) -> None:
        """Take what the app has written; an empty chunk is nothing."""
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            self._append(part)
            self._emit()
        self._append(rest)

    def finish(self) -> None:
        """Write what stands there without a line's end, and how much was dropped."""
        if self._line:
            self._emit()
        self._tell_dropped()

    def _append(self, part: bytes) -> None:
        room = _LINE_BYTES + _OVERLAP_BYTES - len(self._line)
        self._line += part[:room]
        self._too_long = self._too_long or len(part) > room

    def _emit(self) -> None:
        raw, too_long = bytes(self._line), self._too_long
        self._line.clear()
        self._too_long = False
        begun = time.monotonic()
        if int(begun) != self._second:
            self._second, self._spent_bytes, self._spent_seconds = int(begun), 0, 0.0
            self._tell_dropped()
        self._spent_bytes += len(raw) + 1
        if self._spent_bytes > _BYTES_PER_SECOND or self._spent_seconds > _WORK_PER_SECOND:
            self.dropped_lines += 1
            self._untold += 1
            return
        text = self._redactor.text(raw.decode("utf-8", "replace").replace("\0", "\ufffd").rstrip("\r"))
        encoded = text.encode()
        if too_long or len(encoded) > _LINE_BYTES:
            text = encoded[:_LINE_BYTES].decode("utf-8", "ignore") + " … [line cut]"
        self.tail = [*self.tail, _ESCAPES.sub("", text)[:_TAIL_CHARACTERS]][-_TAIL_LINES:]
        self._write(text)
        self._spent_seconds += time.monotonic() - begun

    def _tell_dropped(self) -> None:
        if self._untold:
            self._write(f"… {self._untold:,} lines dropped")
            self._untold = 0

    def _write(self, text: str) -> None:
        data = text.encode() + b"\n"
        if self._size and self._size + len(data) > _FILE_BYTES:
            self._rotate()
        try:
            written = os.write(self._file, data)
        except OSError:  # a full disk: the app goes on, its line is lost and counted
            self.dropped_lines += 1
            return
        self._size += written

    def _rotate(self) -> None:
        os.close(self._file)
        self._open(self._offset + self._size)
        for name in sorted(os.listdir(self._directory))[:-_FILES]:  # noqa: PTH208 - pathlib costs the shim 1 MB
            with contextlib.suppress(OSError):
                os.unlink(f"{self._directory}/{name}")  # noqa: PTH108 - pathlib costs the shim 1 MB

    def _open(self, offset: int) -> None:
        self._offset = offset
        self._file = os.open(f"{self._directory}/{offset:015d}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size


def _only_one(lock_file: str) -> bool:
    """Whether no other shim keeps this instance; the lock is held until we end."""
    lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


@functools.cache
def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as stream:  # noqa: PTH123 - pathlib costs the shim 1 MB
        return stream.read().strip()


def _redaction(path: str) -> Any:
    """The kernel's redaction, loaded by path: a shim knows no packages."""
    # Python's own digests do for a mark, and OpenSSL would cost every app 3 MB.
    sys.modules["_hashlib"] = None  # type: ignore[assignment]  # None forbids the import
    spec = importlib.util.spec_from_file_location("redaction", path)
    assert spec is not None and spec.loader is not None  # noqa: S101 - the agent names an existing .py file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
