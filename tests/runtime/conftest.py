"""A node of its own for each test: home, ports, agent, Envoy; nothing of it is left afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from prodsprints.kernel.settings import Settings
from prodsprints.runtime.client import InstanceState, NodeAgent
from prodsprints.runtime.errors import AgentUnreachableError
from prodsprints.runtime.values import Arm, InstanceSpec
from support_places import enterable
from support_ports import free_block
from support_waiting import eventually

APP = Path(__file__).with_name("small_app.py")


class NodeUnderTest:
    """An agent process over a temporary home, and what a worker would do with it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = Settings.from_environment({"PRODSPRINTS_HOME": str(home), "PRODSPRINTS_NODE": "n"})
        self.client = NodeAgent(self.settings)
        first = free_block(60)
        self._ports = ["--environment-ports", f"{first}-{first + 19}", "--instance-ports", f"{first + 20}-{first + 59}"]
        self.agent: subprocess.Popen[str] | None = None
        self.token = 1

    def start(self, *, wait: bool = True) -> None:
        """Start the agent; `wait` until it answers."""
        self.agent = subprocess.Popen(
            [sys.executable, "-m", "prodsprints.runtime.agent", *self._ports],
            env={"PATH": os.environ["PATH"], "PRODSPRINTS_HOME": str(self.home), "PRODSPRINTS_NODE": "n"},
            stderr=subprocess.PIPE,
            text=True,
        )
        if wait:
            eventually(self.answers)

    def answers(self) -> bool:
        """Whether the agent does."""
        assert self.agent is None or self.agent.poll() is None, self.agent.stderr and self.agent.stderr.read()
        try:
            return self.client.health().envoy_alive
        except AgentUnreachableError:
            return False

    def kill_agent(self) -> None:
        """kill -9."""
        assert self.agent is not None
        self.agent.kill()
        self.agent.wait()

    def spec(self, label: str, *arguments: str, environment: str = "t.shop.production", **values: Any) -> InstanceSpec:
        """A specification of `small_app.py`."""
        rootfs = self.home / "unpacked" / "shop"
        if not rootfs.exists():
            (rootfs / "app").mkdir(parents=True)
            (rootfs / "app" / "small_app.py").write_bytes(APP.read_bytes())
        document = {
            "environment": environment,
            "release": str(uuid.uuid4()),
            "label": label,
            "digest": "sha256:" + "0" * 64,
            "rootfs": str(rootfs),
            "argv": ["python3", "-I", "-S", "small_app.py", "$PORT", *arguments],
            "env": {"LABEL": label},
            "health_path": "/healthz",
            "grace_seconds": 3,
            "start_timeout_seconds": 20,
            **values,
        }
        return InstanceSpec.parse(document)

    def run(self, instance: str, *arguments: str, **values: Any) -> InstanceState:
        """Start an instance (its label is its id) and wait until it is healthy."""
        self.client.put_instance(instance, self.spec(instance, *arguments, **values), self.token)
        return self.healthy(instance)

    def healthy(self, instance: str) -> InstanceState:
        """How an instance is once it is healthy."""
        eventually(lambda: self.client.instance(instance).state == "healthy")
        return self.client.instance(instance)

    def ended(self, instance: str) -> InstanceState:
        """How an instance is once it is exited or failed."""
        eventually(lambda: self.client.instance(instance).state in {"exited", "failed"}, seconds=20)
        return self.client.instance(instance)

    def route(self, environment: str = "t.shop.production", **weights: int) -> str:
        """Divide by instance=weight; the address."""
        arms = [Arm(instance, instance, weight) for instance, weight in weights.items()]
        change = self.client.put_route(environment, arms, self.token)
        return f"http://127.0.0.1:{change.port}"

    def read_log(self, instance: str) -> str:
        """All that is kept of an instance's output."""
        text, offset = "", 0
        while True:
            part = self.client.log(instance, offset, 256 * 1024)
            text += part.text
            if not part.text:
                return text
            offset = part.next

    def clean(self) -> None:
        """End everything, by what the home says of it."""
        if self.agent is not None and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            try:
                self.agent.wait(5)
            except subprocess.TimeoutExpired:
                self.agent.kill()
                self.agent.wait()
        if self.agent is not None and self.agent.stderr is not None:
            self.agent.stderr.close()
        self.client.close()
        for process in psutil.process_iter(["cmdline", "environ"]):
            words = " ".join(process.info["cmdline"] or ())
            if str(self.home) in words:
                _kill(process)
        for status in self.home.glob("instances/*/status.json"):
            found = json.loads(status.read_text())
            for pid in (entry["pid"] for entry in (found["shim"], found["app"]) if entry):
                if psutil.pid_exists(pid):
                    _kill(psutil.Process(pid))


@pytest.fixture
def idle_node(place: Path) -> Iterator[NodeUnderTest]:
    """A node whose agent is not started yet."""
    node = NodeUnderTest(place / "home")
    try:
        yield node
    finally:
        node.clean()


@pytest.fixture
def node(idle_node: NodeUnderTest) -> NodeUnderTest:
    """A node that answers."""
    idle_node.start()
    return idle_node


@pytest.fixture(scope="module")
def shared_node() -> Iterator[NodeUnderTest]:
    """A node for all tests of a module: each uses instances and an environment of its own."""
    with enterable() as directory:
        node = NodeUnderTest(directory / "home")
        try:
            node.start()
            yield node
        finally:
            node.clean()


def _kill(process: psutil.Process) -> None:
    try:
        for member in [*process.children(recursive=True), process]:
            member.kill()
    except psutil.NoSuchProcess:
        pass
