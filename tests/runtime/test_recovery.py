"""A node whose parts are killed, one after the other and all at once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from prodsprints.kernel.errors import ExitCode
from prodsprints.runtime.errors import StaleTokenError
from support_waiting import eventually

ENVIRONMENT = "t.shop.production"
LONGEST_ENVOY_OUTAGE_SECONDS = 1.0
FRESH_CONNECTIONS = httpx.Client(timeout=2, limits=httpx.Limits(max_keepalive_connections=0))


def test_envoy_killed_serves_again_within_a_second_with_the_same_route(node: Any) -> None:
    node.run("v1")
    address = node.route(v1=100)
    before = node.client.health()
    os.kill(before.envoy_pid, signal.SIGKILL)
    killed = time.monotonic()
    eventually(lambda: _release(address) == "v1")
    assert time.monotonic() - killed < LONGEST_ENVOY_OUTAGE_SECONDS
    after = node.client.health()
    assert after.generation == before.generation + 1
    assert node.client.counters(ENVIRONMENT).generation == after.generation


def test_a_killed_agent_takes_nothing_with_it_and_its_successor_adopts_everything(node: Any) -> None:
    spec = node.spec("v1", prepare=[["true"]], readable=[str(node.home)])
    node.client.put_instance("v1", spec, 5)
    pid = node.healthy("v1").pid
    node.token = 5
    address = node.route(v1=100)
    envoy = node.client.health().envoy_pid
    node.kill_agent()
    assert _release(address) == "v1"
    node.start()
    assert node.client.put_instance("v1", spec, 5).pid == pid
    with pytest.raises(StaleTokenError):
        node.client.put_instance("v1", spec, 4)
    assert (node.client.instance("v1").pid, node.client.health().envoy_pid) == (pid, envoy)
    assert node.client.instance("v1").state == "healthy"
    node.run("v2")
    node.route(v2=100)
    assert node.client.delete_instance("v1", 5).state == "stopped"
    assert not _runs(pid)
    assert _release(address) == "v2"


def test_everything_killed_at_once_comes_back_with_the_same_routes_and_ports(node: Any) -> None:
    first = node.run("v1", "writes", prepare=[["python3", "-c", "open('prepared.txt', 'a').write('once')"]])
    node.run("v2")
    address = node.route(v1=75, v2=25)
    node.kill_agent()
    os.kill(node_envoy(node), signal.SIGKILL)
    for instance in ("v1", "v2"):
        status = json.loads((node.home / "instances" / instance / "status.json").read_text())
        os.kill(status["shim"]["pid"], signal.SIGKILL)
        os.killpg(status["app"]["pid"], signal.SIGKILL)
    eventually(lambda: _release(address) is None)
    node.start()
    eventually(lambda: {_release(address) for _ in range(40)} == {"v1", "v2"})
    eventually(lambda: {node.client.instance(name).state for name in ("v1", "v2")} == {"healthy"})
    assert node.client.instance("v1").pid != first.pid
    app = node.home / "instances" / "v1" / "app"
    assert (app / "data.txt").read_text() == "row\nrow\n"  # what the app wrote is still there
    assert (app / "prepared.txt").read_text() == "once"


def test_sigterm_ends_the_agent_only_and_shutdown_everything_until_the_next_start(node: Any) -> None:
    pid = node.run("v1").pid
    address = node.route(v1=100)
    node.agent.send_signal(signal.SIGTERM)
    assert node.agent.wait(10) == 0
    assert _release(address) == "v1"
    node.start()
    assert node.client.instance("v1").pid == pid
    assert node.client.shut_down() == 1
    assert node.agent.wait(10) == 0
    assert not _runs(pid)
    assert _release(address) is None
    assert "bye" in "".join(path.read_text() for path in (node.home / "logs" / "instances" / "v1").iterdir())
    node.start()
    eventually(lambda: _release(address) == "v1")


def test_a_routed_instance_that_crashes_is_started_again_and_counted(node: Any) -> None:
    node.run("v1")
    address = node.route(v1=100)
    assert httpx.get(f"{address}/crash").status_code == 503
    eventually(lambda: node.client.instance("v1").restarts == 1 and node.client.instance("v1").state == "healthy")
    assert "exit code 7" in node.client.instance("v1").reason
    assert _release(address) == "v1"


def test_an_instance_that_keeps_crashing_is_given_up(node: Any) -> None:
    node.run("v1", "dies")
    address = node.route(v1=100)
    httpx.get(f"{address}/crash")
    found = node.ended("v1")
    assert (found.state, found.restarts, found.exit_code) == ("failed", 5, 9)
    assert "Given up after 5 restarts within 60 s" in found.reason


def test_an_envoy_of_another_base_is_replaced_not_adopted(node: Any) -> None:
    node.run("v1")
    address = node.route(v1=100)
    before = node.client.health()
    node.kill_agent()
    state = node.home / "nodes" / "agent.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"envoy_base": "of an older version"}))
    node.start()
    after = node.client.health()
    assert after.envoy_pid != before.envoy_pid
    assert after.generation == before.generation + 1
    assert not _runs(before.envoy_pid)
    eventually(lambda: _release(address) == "v1")


def test_a_lost_state_leaves_no_app_or_envoy_behind(node: Any) -> None:
    pid = node.run("v1").pid
    envoy = node.client.health().envoy_pid
    node.kill_agent()
    (node.home / "nodes" / "agent.json").unlink()
    node.start()
    assert not _runs(pid)
    assert node.client.health().envoy_pid != envoy
    assert not _runs(envoy)


def test_a_corrupt_state_is_refused_with_what_to_do_and_nothing_is_touched(node: Any) -> None:
    node.run("v1")
    address = node.route(v1=100)
    node.kill_agent()
    state = node.home / "nodes" / "agent.json"
    state.write_text(state.read_text()[:-40])
    node.start(wait=False)
    _, said = node.agent.communicate(timeout=20)
    assert node.agent.returncode == ExitCode.FAILED
    assert f"mv {state} {state}.aside" in said
    assert "Traceback" not in said
    assert _release(address) == "v1"


def test_a_second_agent_of_one_home_ends_with_a_clear_message(node: Any) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "prodsprints.runtime.agent"],
        env={"PATH": os.environ["PATH"], "PRODSPRINTS_HOME": str(node.home)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == ExitCode.LOCKED
    assert f"(pid {node.agent.pid}) already runs for {node.home}" in second.stderr


def test_a_taken_port_is_reported_with_its_holder_and_taken_back(node: Any) -> None:
    node.run("v1")
    address = node.route(v1=100)
    port = int(address.rpartition(":")[2])
    node.client.shut_down()
    node.agent.wait(10)
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        node.start()
        problem = eventually(lambda: node.client.route(ENVIRONMENT).problem)
        assert f"port {port} is taken by" in problem
        assert f"(pid {os.getpid()})" in problem
    eventually(lambda: _release(address) == "v1", seconds=20)
    eventually(lambda: node.client.route(ENVIRONMENT).problem is None)


def test_the_agent_stays_small(node: Any) -> None:
    node.run("v1")
    node.route(v1=100)
    node.client.counters(ENVIRONMENT)
    assert psutil.Process(node.agent.pid).memory_info().rss < 45 * 1024**2


def test_an_envoy_that_hangs_on_a_stop_signal_is_replaced(node: Any) -> None:
    node.run("v1")
    address = node.route(v1=100)
    pid = node.client.health().envoy_pid
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: node.client.health().envoy_pid != pid, seconds=30)
    eventually(lambda: _release(address) == "v1")


def _runs(pid: int) -> bool:
    """Whether the process does more than wait to be reaped by whoever inherited it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def node_envoy(node: Any) -> int:
    """The pid of the node's Envoy by its state file, since no agent answers."""
    return int(json.loads(Path(node.home / "nodes" / "agent.json").read_text())["envoy"]["pid"])


def _release(address: str) -> str | None:
    """Which release answers at `address`, if any does."""
    try:
        answer = FRESH_CONNECTIONS.get(address)
    except httpx.HTTPError:
        return None
    return answer.headers.get("x-prodsprints-release") if answer.status_code == 200 else None
