from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from prodsprints.runtime import sandbox, users
from prodsprints.runtime.errors import SandboxError
from prodsprints.runtime.sandbox import Completed, Confinement, Limits
from support_waiting import eventually

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give users of their own")

Run = Callable[..., Completed]


@pytest.fixture
def run(place: Path, walls: str) -> Run:
    def start(
        *argv: str, timeout_seconds: float = 20, on_line=lambda _: None, pulse=lambda: None, extra=None, **options
    ) -> Completed:
        user = users.unprivileged("test")
        work = place / "work"
        work.mkdir(exist_ok=True)
        users.give(work, user)
        return sandbox.run(
            argv,
            cwd=work,
            env=sandbox.environment(extra),
            confinement=Confinement(writable=(work,), user=user, **options),
            timeout_seconds=timeout_seconds,
            on_line=on_line,
            pulse=pulse,
        )

    return start


def running(marker: str) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if marker in (process.info["cmdline"] or []) and process.status() != psutil.STATUS_ZOMBIE
    ]


def test_nothing_of_the_platforms_environment_gets_in(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PRODSPRINTS_DATABASE_URL", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "PYTHONPATH"):
        monkeypatch.setenv(name, "ours")
    done = run("/usr/bin/env")
    assert {line.partition("=")[0] for line in done.tail} <= {"PATH", "LANG", "HOME", "TMPDIR", "PWD", "SHLVL", "_"}


@pytest.mark.parametrize("name", ["LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "GLIBC_TUNABLES", "BASH_ENV", "SHELLOPTS"])
def test_a_repository_cannot_reach_into_the_programs_that_confine_it(run: Run, name: str) -> None:
    done = run("/usr/bin/env", extra={name: "/tmp/theirs.so", "LOG_LEVEL": "info"})
    assert "LOG_LEVEL=info" in done.tail
    assert not [line for line in done.tail if line.startswith(f"{name}=")]


def test_the_programs_exit_code_is_returned(run: Run) -> None:
    assert run("/bin/sh", "-c", "exit 7").exit_code == 7
    assert run("/bin/sh", "-c", "kill -9 $$").exit_code == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_is_reported_in_words(run: Run) -> None:
    done = run("/no/such/program")
    assert done.exit_code == 126
    assert "cannot start /no/such/program" in done.tail[-1]


def test_a_run_that_takes_too_long_is_stopped_in_time(run: Run) -> None:
    done = run("/bin/sh", "-c", "echo begun; sleep 987", timeout_seconds=0.7)
    assert done.timed_out
    assert done.seconds < 6
    assert done.tail == ("begun",)


def test_grandchildren_that_left_their_session_die_with_a_run_that_is_stopped(run: Run) -> None:
    marker = f"9{time.monotonic_ns()}"
    script = f"setsid sh -c 'setsid sleep {marker} & sleep {marker}' & echo begun; sleep {marker}"
    assert run("/bin/sh", "-c", script, timeout_seconds=1).timed_out
    eventually(lambda: not running(marker), seconds=2)


def test_nothing_stays_behind_after_a_run_that_ended_by_itself(run: Run) -> None:
    marker = f"9{time.monotonic_ns()}"
    script = f"setsid sleep {marker} >/dev/null 2>&1 & setsid sleep {marker} & exit 0"
    done = run("/bin/sh", "-c", script)
    assert (done.exit_code, done.timed_out) == (0, False)
    eventually(lambda: not running(marker), seconds=2)


def test_a_listener_that_fails_stops_the_run_and_everything_of_it(run: Run) -> None:
    marker = f"9{time.monotonic_ns()}"

    def refuse(_line: str) -> None:
        raise RuntimeError("aborted")

    with pytest.raises(RuntimeError, match="aborted"):
        run("/bin/sh", "-c", f"echo begun; exec sleep {marker}", on_line=refuse)
    eventually(lambda: not running(marker), seconds=2)


@pytest.mark.parametrize("script", ["exec sleep {}", "exec sleep {} >/dev/null 2>&1"])
def test_a_silent_run_can_be_interrupted(run: Run, script: str) -> None:
    marker = f"9{time.monotonic_ns()}"

    def interrupt() -> None:
        raise RuntimeError("aborted")

    with pytest.raises(RuntimeError, match="aborted"):
        run("/bin/sh", "-c", script.format(marker), pulse=interrupt)
    eventually(lambda: not running(marker), seconds=2)


def test_a_killed_starter_takes_its_run_with_it(place: Path, walls: str) -> None:
    marker = f"9{time.monotonic_ns()}"
    bare = "sandbox.bubblewrap = lambda: None" if walls == "bare" else ""
    code = (
        "from pathlib import Path; from prodsprints.runtime import sandbox as sandbox\n"
        f"{bare}\n"
        f"sandbox.run(['/bin/sh', '-c', 'setsid sleep {marker} & sleep {marker}'], cwd=Path('/tmp'),"
        " env=sandbox.environment(), confinement=sandbox.Confinement(()), timeout_seconds=60, on_line=print)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code])
    try:
        eventually(lambda: len(running(marker)) >= 2)
    finally:
        starter.kill()
        starter.wait()
    eventually(lambda: not running(marker))


def test_a_flood_of_output_is_bounded_and_counted(run: Run) -> None:
    seen: list[int] = []
    done = run("/bin/sh", "-c", "yes 0123456789 | head -c 20000000", on_line=lambda line: seen.append(len(line)))
    assert done.exit_code == 0
    assert sum(seen) <= 8 * 1024**2
    assert done.dropped_bytes == 20_000_000 - 8 * 1024**2


def test_a_very_long_line_is_cut(run: Run) -> None:
    done = run("/bin/sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x")
    assert done.tail[0].startswith("x" * 8192 + " … [91808 bytes cut]")


def test_memory_beyond_the_limit_is_refused(run: Run) -> None:
    python = "/usr/bin/env python3" if sys.platform == "darwin" else str(sandbox.base_python())
    if not users.reachable(Path(python), users.unprivileged("test")) and sandbox.bubblewrap() is None:
        pytest.skip("no python that another user can reach")
    done = run(python, "-I", "-S", "-c", "bytearray(400_000_000)", limits=Limits(memory_bytes=100_000_000))
    assert done.exit_code != 0
    assert "MemoryError" in done.tail[-1]


def test_a_file_cannot_grow_beyond_the_limit(run: Run, place: Path) -> None:
    run("/bin/sh", "-c", "head -c 5000000 /dev/zero > big", limits=Limits(file_bytes=1_000_000))
    assert (place / "work" / "big").stat().st_size <= 1_000_000


def test_runs_from_many_threads_do_not_disturb_each_other(run: Run) -> None:
    answers: dict[int, Completed] = {}

    def one(number: int) -> None:
        answers[number] = run("/bin/sh", "-c", f"echo {number}; exit {number}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: (done.exit_code, done.tail) for number, done in answers.items()} == {
        number: (number, (str(number),)) for number in range(6)
    }


@as_root
def test_as_root_strangers_code_is_nobody_in_particular(run: Run, place: Path) -> None:
    mine = place / "mine"
    mine.write_text("ours")
    done = run("/bin/sh", "-c", f"id -u; echo x > {mine}; echo y > written; id -G")
    assert done.tail[0] == done.tail[-1] == str(users.unprivileged("test"))
    assert mine.read_text() == "ours"
    assert (place / "work" / "written").read_text() == "y\n"


@as_root
def test_each_purpose_has_a_user_of_its_own_for_good(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_LAST", users.FIRST + 4)  # so narrow that they must collide
    given = [users.unprivileged(f"purpose {number}") for number in range(5)]
    assert len(set(given)) == 5
    assert given == [users.unprivileged(f"purpose {number}") for number in range(5)]
    with pytest.raises(SandboxError, match="All 5 users"):
        users.unprivileged("one more")


@as_root
def test_a_directory_that_the_user_cannot_enter_is_named_before_anything_starts(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sandbox, "bubblewrap", lambda: None)
    closed = place / "closed"
    (closed / "work").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(SandboxError, match="cannot enter"):
        sandbox.command(["/bin/true"], Confinement(writable=(closed / "work",), user=61_000))


def test_a_handed_over_directory_does_not_take_the_targets_of_its_links_along(place: Path) -> None:
    (place / "given").mkdir()
    outside = place / "outside"
    outside.write_text("")
    (place / "given" / "link").symlink_to(outside)
    users.give(place / "given", 61_000 if os.geteuid() == 0 else None)
    assert outside.stat().st_uid == os.geteuid()


needs_bubblewrap = pytest.mark.skipif(sandbox.bubblewrap() is None, reason="no working bubblewrap here")


def inside(place: Path, script: str, **options) -> Completed:
    user = users.unprivileged("test")
    work = place / "work"
    work.mkdir()
    users.give(work, user)
    return sandbox.run(
        ["/bin/sh", "-c", script],
        cwd=work,
        env=sandbox.environment(),
        confinement=Confinement(writable=(work,), user=user, **options),
        timeout_seconds=20,
        on_line=lambda _: None,
    )


@needs_bubblewrap
def test_homes_and_the_platforms_data_are_not_in_sight(place: Path) -> None:
    (place / "home").mkdir()
    (place / "home" / "key").write_text("secret")
    done = inside(
        place, f"cat {place}/home/key; ls -A {Path.home()} | grep -v pyenv; ls -A /run /var; touch /usr/x; ps ax"
    )
    said = "\n".join(done.tail)
    assert "secret" not in said
    assert "Read-only" in said
    assert ".ssh" not in said


@needs_bubblewrap
@pytest.mark.parametrize("network", [False, True])
def test_the_network_is_reachable_only_if_asked_for(place: Path, network: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2); print('through')"
        done = inside(place, f'"{sandbox.base_python()}" -I -S -c "{code}"', network=network)
    assert ("through" in done.tail) is network


def test_a_sigterm_to_the_group_lets_the_program_end_in_its_own_way(place: Path, walls: str) -> None:
    user = users.unprivileged("test")
    script = "trap 'echo saved; exit 3' TERM; echo ready; while :; do sleep 0.02; done"
    process = subprocess.Popen(
        sandbox.command(["/bin/sh", "-c", script], Confinement(writable=(), user=user), cwd=Path("/")),
        env=sandbox.environment(),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout.readline() == b"saved\n"
        assert process.wait(5) == 3
