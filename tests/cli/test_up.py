"""What `prodsprints up` says when it cannot begin: one message, an exit code, and nothing left running."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from prodsprints.kernel.errors import ExitCode


@pytest.fixture
def open_home(place: Path) -> Path:
    """A home that, as root, other users could pass through to."""
    return place / "home"


def run(verb: str, home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: it takes signals and logging for itself."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PRODSPRINTS_HOME": str(home),
        "PRODSPRINTS_PORT": str(unused_port()),
        **settings,
    }
    command = [sys.executable, "-m", "prodsprints.cli.main", verb]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_database_that_is_down_is_named_without_its_password(open_home: Path) -> None:
    port = unused_port()
    done = run("up", open_home, PRODSPRINTS_DATABASE_URL=f"postgresql://me:geheim99@127.0.0.1:{port}/db")
    assert done.returncode == ExitCode.FAILED
    assert f"me@127.0.0.1:{port}/db cannot be used" in done.stderr
    assert "geheim99" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "address", ["me:gehe/im99@127.0.0.1/db", "me:1/geheim99@127.0.0.1/db", "me:a@geheim99@127.0.0.1/db"]
)
def test_a_password_with_unescaped_characters_is_not_printed_as_host_or_port(open_home: Path, address: str) -> None:
    done = run("up", open_home, PRODSPRINTS_DATABASE_URL=f"postgresql://{address}")
    assert done.returncode == ExitCode.USAGE
    assert "im99" not in done.stdout + done.stderr
    assert "%40" in done.stderr


def test_a_home_that_is_a_file_is_refused(open_home: Path) -> None:
    open_home.write_text("")
    done = run("up", open_home)
    assert done.returncode == ExitCode.FAILED
    assert str(open_home) in done.stderr
    assert "PRODSPRINTS_HOME" in done.stderr


def test_a_worker_without_a_database_says_so(open_home: Path) -> None:
    done = run("worker", open_home, PRODSPRINTS_DATABASE_URL=f"postgresql://me@127.0.0.1:{unused_port()}/db")
    assert done.returncode == ExitCode.FAILED
    assert "cannot be used" in done.stderr
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistake_in_the_own_provider_profiles_is_told_with_file_and_key(open_home: Path) -> None:
    open_home.mkdir()
    (open_home / "providers.toml").write_text("[github.limit]\nrate = nan\n")
    done = run("up", open_home)
    assert done.returncode == ExitCode.USAGE
    assert "providers.toml: github.limit.rate" in done.stderr and "Traceback" not in done.stderr
