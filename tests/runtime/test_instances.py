"""What becomes of apps that behave badly, on a real node."""

from __future__ import annotations

import os
from typing import Any

import httpx
import psutil
import pytest

from prodsprints.runtime.errors import InstanceConflictError, InstanceNotReadyError, InvalidRequestError
from prodsprints.runtime.values import Arm
from support_waiting import eventually

ENVIRONMENT = "t.shop.production"


def test_an_app_that_exits_at_once_fails_with_its_exit_code_and_last_lines(shared_node: Any) -> None:
    shared_node.client.put_instance("exits", shared_node.spec("exits", "exits"), 1)
    found = shared_node.ended("exits")
    assert (found.state, found.exit_code) == ("failed", 3)
    assert "exit code 3" in found.reason
    assert "cannot find the settings module" in found.reason


def test_an_app_on_another_port_is_told_which_and_to_use_the_given_one(shared_node: Any) -> None:
    spec = shared_node.spec("elsewhere", "elsewhere", start_timeout_seconds=3)
    port = shared_node.client.put_instance("elsewhere", spec, 1).port
    found = shared_node.ended("elsewhere")
    assert found.state == "failed"
    assert f"listens on port {port + 20_000}, not on {port}" in found.reason
    assert "$PORT" in found.reason


def test_an_app_that_never_becomes_healthy_fails_with_its_last_answer(shared_node: Any) -> None:
    shared_node.client.put_instance("never", shared_node.spec("never", "never", start_timeout_seconds=1), 1)
    found = shared_node.ended("never")
    assert found.state == "failed"
    assert "Never healthy within 1 s: GET /healthz answered 500" in found.reason
    with pytest.raises(InstanceNotReadyError):
        shared_node.client.put_route(ENVIRONMENT, [Arm("never", "never", 100)], 1)


def test_an_app_that_ignores_sigterm_is_killed_and_that_is_said(shared_node: Any) -> None:
    pid = shared_node.run("stubborn", "stubborn", grace_seconds=0.5).pid
    found = shared_node.client.delete_instance("stubborn", 1)
    assert found.state == "stopped"
    assert "ignored SIGTERM for 0.5 s and was killed" in found.reason
    assert not psutil.pid_exists(pid)


def test_a_flood_of_output_neither_blocks_the_app_nor_fills_the_log(shared_node: Any) -> None:
    shared_node.run("flood", "flood")
    eventually(lambda: shared_node.client.log("flood").dropped_lines)
    shared_node.client.delete_instance("flood", 1)
    text = shared_node.read_log("flood")
    assert len(text) < 3 * 1024 * 1024
    assert "lines dropped" in text
    assert shared_node.client.log("flood").dropped_lines > 500
    assert max(map(len, text.splitlines())) < 17_000


def test_secrets_of_the_environment_do_not_reach_the_log(shared_node: Any) -> None:
    secrets = {"DATABASE_URL": "postgresql://shop:correct-horse@127.0.0.1/shop", "API_TOKEN": "tok-1234567890"}
    shared_node.run("secret", "secret", env=secrets)
    text = eventually(lambda: shared_node.read_log("secret"))
    assert "connecting to [redacted:" in text
    assert not [value for value in ("correct-horse", "tok-1234567890") if value in text]
    shared_node.client.delete_instance("secret", 1)


def test_an_app_writes_beside_its_code_in_a_copy_of_its_own(shared_node: Any) -> None:
    prepare = [["python3", "-c", "open('prepared.txt', 'w').write('port ' + '$PORT')"]]
    port = shared_node.run("writes", "writes", prepare=prepare).port
    assert f"prepared: port {port}" in eventually(lambda: shared_node.read_log("writes"))
    if os.geteuid() == 0:
        assert "uid 0" not in shared_node.read_log("writes")
    copy = shared_node.home / "instances" / "writes" / "app"
    assert (copy / "data.txt").exists()
    assert not (shared_node.home / "unpacked" / "shop" / "app" / "data.txt").exists()
    shared_node.client.delete_instance("writes", 1)
    assert not copy.exists()
    assert "bye" in shared_node.read_log("writes")


def test_a_failing_preparation_fails_the_instance_and_the_app_never_starts(shared_node: Any) -> None:
    spec = shared_node.spec("unprepared", prepare=[["python3", "-c", "import sys; sys.exit('no such table')"]])
    shared_node.client.put_instance("unprepared", spec, 1)
    found = shared_node.ended("unprepared")
    assert found.state == "failed"
    assert "Preparing failed" in found.reason
    assert "no such table" in found.reason
    assert "starting" not in shared_node.read_log("unprepared")


def test_a_process_that_left_the_apps_session_ends_with_it(shared_node: Any) -> None:
    pid = shared_node.run("leaves", "leaves").pid
    family = [child.pid for child in psutil.Process(pid).children(recursive=True)]
    shared_node.client.delete_instance("leaves", 1)
    assert len(family) >= 1
    eventually(lambda: not [member for member in family if psutil.pid_exists(member)])


def test_the_same_put_again_is_the_same_instance_and_another_spec_is_refused(shared_node: Any) -> None:
    spec = shared_node.spec("again")
    first = shared_node.client.put_instance("again", spec, 1)
    shared_node.healthy("again")
    assert shared_node.client.put_instance("again", spec, 1).port == first.port
    with pytest.raises(InstanceConflictError):
        shared_node.client.put_instance("again", shared_node.spec("other"), 1)
    shared_node.client.delete_instance("again", 1)


def test_an_instance_that_is_not_routed_and_crashes_is_reported_and_not_started_again(shared_node: Any) -> None:
    port = shared_node.run("crashes").port
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/crash")
    found = shared_node.ended("crashes")
    assert (found.state, found.exit_code, found.restarts) == ("exited", 7, 0)


def test_variables_that_steer_the_loader_are_refused(shared_node: Any) -> None:
    with pytest.raises(InvalidRequestError, match="LD_PRELOAD"):
        shared_node.spec("loader", env={"LD_PRELOAD": "/tmp/evil.so"})


def test_a_log_can_be_followed_by_offset(shared_node: Any) -> None:
    shared_node.run("followed")
    first = eventually(
        lambda: shared_node.client.log("followed", 0) if shared_node.client.log("followed").text else None
    )
    assert first.text == "starting \n"
    assert shared_node.client.log("followed", first.next).text == ""
    shared_node.client.delete_instance("followed", 1)
    assert shared_node.client.log("followed", first.next).text == "bye\n"
