"""The platform's own processes: what they know of our environment, and that they come back."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prodsprints.cli.running import children
from prodsprints.cli.running.children import Child, Role
from prodsprints.kernel.settings import Settings
from support_waiting import eventually

STAND_IN = """\
import os, sys, time
from prodsprints.runtime import lifeline
open(os.environ["NOTE"], "a").write(f"{os.getpid()}\\n")
lifeline.watch(lambda: os._exit(0))
time.sleep(60)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Child, Callable[[], list[int]]]]:
    """A child that runs a stand-in program, and the pids it has had."""
    program, note = tmp_path / "stand_in.py", tmp_path / "pids"
    program.write_text(STAND_IN)
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\nexec {sys.executable} {program}\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(children.sys, "executable", str(interpreter))
    (tmp_path / "home" / "logs").mkdir(parents=True)
    settings = Settings.from_environment({"PRODSPRINTS_HOME": str(tmp_path / "home")})
    started = Child(Role("web", lifeline=True), settings, {**os.environ, "NOTE": str(note)})
    started.start()
    yield started, lambda: [int(line) for line in note.read_text().split()] if note.exists() else []
    started.stop()


def test_a_killed_child_is_back_within_a_second(child: tuple[Child, Callable[[], list[int]]]) -> None:
    _, pids = child
    eventually(lambda: len(pids()) == 1)
    os.kill(pids()[0], signal.SIGKILL)
    began = time.monotonic()
    eventually(lambda: len(pids()) == 2)
    assert time.monotonic() - began < 3


def test_a_child_ends_with_us_by_its_lifeline(child: tuple[Child, Callable[[], list[int]]]) -> None:
    started, pids = child
    eventually(lambda: len(pids()) == 1)
    started._close_lifeline()
    eventually(lambda: len(pids()) == 2)  # the first one ended by itself, and was started again


def test_a_stopped_child_is_not_started_again(child: tuple[Child, Callable[[], list[int]]]) -> None:
    started, pids = child
    eventually(lambda: len(pids()) == 1)
    started.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pids()[0], 0)
    assert len(pids()) == 1


def test_an_adopted_role_is_not_started_beside_itself(tmp_path: Path) -> None:
    settings = Settings.from_environment({"PRODSPRINTS_HOME": str(tmp_path)})
    adopted = Child(Role("node", lifeline=False, adopted=lambda: True, end=lambda: None), settings, {})
    adopted.start()
    adopted.stop()
    assert not (tmp_path / "logs").exists()


def test_a_child_knows_the_settings_and_nothing_else_of_ours(tmp_path: Path) -> None:
    given = {
        "PRODSPRINTS_HOME": str(tmp_path), "PRODSPRINTS_PORT": "8123", "PRODSPRINTS_TOKEN": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret", "PIP_CERT": "/c", "HTTPS_PROXY": "p", "PATH": "/bin", "HOME": "/h",
    }  # fmt: skip
    known = children.environment(Settings.from_environment(given), given)
    assert "secret" not in known.values()
    assert known["PRODSPRINTS_PORT"] == "8123"
    assert known["PIP_CERT"] == "/c"
    assert known["HTTPS_PROXY"] == "p"


def test_who_tells_what_guards_see_knows_the_collector_and_nobody_else_does(tmp_path: Path) -> None:
    given = {
        "PRODSPRINTS_HOME": str(tmp_path),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "e",
        "OTEL_EXPORTER_OTLP_HEADERS": "secret",
    }
    settings = Settings.from_environment(given)
    for role, known in (("worker", True), ("web", True), ("node", False)):
        assert ("secret" in children.environment(settings, given, role=role).values()) is known


def test_only_the_worker_knows_who_we_are_for_the_provider(tmp_path: Path) -> None:
    given = {
        "PRODSPRINTS_HOME": str(tmp_path), "AWS_PROFILE": "deployer", "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": "http://elsewhere", "HTTPS_PROXY": "p",
    }  # fmt: skip
    settings = Settings.from_environment(given)
    worker = children.environment(settings, given, role="worker")
    assert (worker["AWS_PROFILE"], worker["AWS_SECRET_ACCESS_KEY"], worker["HTTPS_PROXY"]) == (
        "deployer",
        "secret",
        "p",
    )
    assert "AWS_ENDPOINT_URL" not in worker
    for role in ("node", "web"):
        assert not [name for name in children.environment(settings, given, role=role) if name.startswith("AWS_")]
