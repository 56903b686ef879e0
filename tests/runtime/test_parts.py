"""The node agent's smaller parts, each by itself."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.runtime import lifeline, logs, platform, shim
from prodsprints.runtime.errors import (
    PlatformUnsupportedError,
    PortTakenError,
    StaleTokenError,
    from_problem,
    to_problem,
)
from prodsprints.runtime.ports import PortRange, free
from prodsprints.runtime.processes import Identity, who_listens
from prodsprints.runtime.workspace import known_secrets


def test_a_recycled_pid_is_not_the_process_that_had_it() -> None:
    me = Identity.of(os.getpid())
    assert me is not None
    assert me.alive()
    assert not Identity(me.pid, me.start + "0").alive()
    assert Identity.parse(json.loads(json.dumps(me.document()))) == me


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = Identity.of(child.pid)
    assert identity is not None
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not identity.alive()
    child.wait()


def test_old_systems_are_refused_with_what_they_lack() -> None:
    check = platform._check_system
    check("linux", "x86_64", ("glibc", "2.31"), "")
    check("darwin", "arm64", ("", ""), "15.1")
    for system, machine, libc, macos, said in [
        ("linux", "x86_64", ("glibc", "2.28"), "", "glibc 2.28"),
        ("linux", "x86_64", ("", ""), "", "another libc"),
        ("darwin", "x86_64", ("", ""), "15.1", "x86_64"),
        ("darwin", "arm64", ("", ""), "14.7", "macOS 14.7"),
        ("win32", "AMD64", ("", ""), "", "win32"),
    ]:
        with pytest.raises(PlatformUnsupportedError, match=said):
            check(system, machine, libc, macos)


def test_a_missing_envoy_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(PlatformUnsupportedError) as caught:
        platform.check()
    assert "prodsprints[embedded]" in caught.value.next_step


def test_a_taken_port_is_not_chosen_and_its_holder_is_named() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        assert not free(port)
        assert who_listens(port).endswith(f"(pid {os.getpid()})")
        with pytest.raises(PortTakenError):
            PortRange(port, port).choose(())


def test_an_error_is_the_same_on_both_sides_of_the_socket() -> None:
    error = StaleTokenError("what", why="why", next_step="next")
    again = from_problem(json.loads(json.dumps(to_problem(error))))
    assert type(again) is StaleTokenError
    assert (again.what, again.why, again.next_step) == ("what", "why", "next")


def test_secrets_are_known_by_name_and_by_password() -> None:
    found = known_secrets({"API_KEY": "k-123456", "DATABASE_URL": "postgresql://u:hunter22@h/d", "LABEL": "v1"})
    assert found == ["hunter22", "k-123456", "postgresql://u:hunter22@h/d"]


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 200))
def test_a_rotated_log_reads_back_whole_from_any_offset(lengths: list[int], limit: int) -> None:
    import tempfile

    lines = [chr(97 + n % 26) * length for n, length in enumerate(lengths)]
    whole = "".join(f"{line}\n" for line in lines)
    with tempfile.TemporaryDirectory() as name:
        directory, start = Path(name), 0
        for first in range(0, len(lines), 7):
            part = "".join(f"{line}\n" for line in lines[first : first + 7])
            (directory / f"{start:015d}.log").write_text(part)
            start += len(part)
        text, offset = "", 0
        while (part_read := logs.read(directory, offset, limit))["text"]:
            assert part_read["offset"] == offset
            text, offset = text + part_read["text"], part_read["next"]
        assert text == whole
        assert logs.read(directory, start + 100, limit)["text"] == ""
        assert whole.endswith(logs.read(directory, -limit, limit)["text"])


class _Plain:
    """A redactor that hides one word."""

    def text(self, line: str) -> str:
        return line.replace("hunter22", "[redacted]")


def test_the_log_rotates_keeps_two_files_and_never_half_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shim, "_BYTES_PER_SECOND", 10**9)
    monkeypatch.setattr(shim, "_WORK_PER_SECOND", 10**9)
    log = shim._Log(str(tmp_path), _Plain())
    line = b"z" * 1023 + b"\n"
    for _ in range(9 * 1024):
        log.feed(line)
    log.feed(b"x" * (shim._LINE_BYTES - 4) + b"hunter22" + b"y" * 100_000 + b"\n")
    for piece in (b"pass hun", b"ter22 done\n", b"no end"):
        log.feed(piece)
    log.finish()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) <= 2 * shim._FILE_BYTES
    assert int(files[1].stem) == int(files[0].stem) + files[0].stat().st_size
    text = files[1].read_text()
    assert "hunt" not in text
    assert text.endswith("pass [redacted] done\nno end\n")
    assert "[line cut]" in text


def test_a_child_learns_at_once_that_its_supervisor_is_gone() -> None:
    end, ours = os.pipe()
    program = (
        "import os, threading; from prodsprints.runtime import lifeline; gone = threading.Event()\n"
        "assert lifeline.watch(gone.set); print('watching', flush=True); assert gone.wait(10); print('gone')"
    )
    child: Any = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, lifeline.VARIABLE: str(end)},
        pass_fds=(end,),
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(end)
    assert child.stdout.readline() == "watching\n"
    assert child.poll() is None
    os.close(ours)
    assert child.communicate(timeout=10)[0] == "gone\n"
    assert child.returncode == 0


def test_without_a_supervisor_there_is_nothing_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lifeline.VARIABLE, raising=False)
    assert not lifeline.watch(lambda: None)
