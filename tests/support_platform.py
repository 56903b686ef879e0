"""A whole platform of its own for the end-to-end tests: PostgreSQL, node agent, Envoy, workers, traffic."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil

from prodsprints.bench.scratch import Scratch
from prodsprints.controls.integrations.git_address import Address
from prodsprints.release import progress, records, requests
from prodsprints.release.progress import Step
from prodsprints.release.records import Environment, Release
from prodsprints.runtime.client import NodeAgent
from prodsprints.runtime.errors import AgentUnreachableError
from prodsprints.web.app import create_app
from support_ports import free_block
from support_waiting import eventually

MakeRepository = Callable[[str, Mapping[str, str]], Path]
"""Makes a repository, or adds a commit to it: its tag, its files."""

_PASSED_ON = ("PATH", "PIP_", "SSL_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Platform:
    """Real processes over a scratch home; `end` leaves none of them."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        self.settings = scratch.settings
        self.db = scratch.db
        self.tenant = scratch.tenant("default")
        self.node = NodeAgent(self.settings)
        self._pages = create_app(self.settings, self.db)
        self.workers: list[subprocess.Popen[bytes]] = []
        first = free_block(60)
        self._ports = ["--environment-ports", f"{first}-{first + 19}", "--instance-ports", f"{first + 20}-{first + 59}"]
        self.agent = self.start_agent()

    def start_agent(self) -> subprocess.Popen[bytes]:
        """Start the node agent and wait until it answers."""
        self.agent = self._start("agent", "-m", "prodsprints.runtime.agent", *self._ports)
        eventually(self._agent_answers)
        return self.agent

    def start_worker(self) -> subprocess.Popen[bytes]:
        """One more worker."""
        worker = self._start("worker", "-m", "prodsprints.cli.main", "worker")
        self.workers.append(worker)
        return worker

    def request(
        self, repository: Path | Address, *, project: str, ref: str | None = None, strategy: str | None = None
    ) -> Release:
        """Queue a release."""
        return requests.request_release(
            self.db,
            self.tenant,
            node=self.settings.node,
            actor="test",
            path=repository,
            ref=ref,
            environment=None,
            project=project,
            strategy=strategy,
            id=uuid.uuid4(),
        )

    def ended(self, release: Release, *, seconds: float = 120.0) -> Release:
        """Wait for its end, and look at its page as a person would."""
        ended = eventually(lambda: self._if_ended(release.id) or self._replace_workers(), seconds=seconds)
        assert f"{ended.project} {ended.label}" in self.page(f"/releases/{ended.id}")
        return ended

    def release(self, repository: Path | Address, **options: Any) -> Release:
        """Queue a release and wait for its end."""
        return self.ended(self.request(repository, **options))

    def steps(self, release: Release) -> dict[str, Step]:
        """Its steps so far, by name."""
        return {step.name: step for step in progress.steps(self.db, self.tenant, release.id)}

    def log(self, release: Release) -> str:
        """Its live log so far."""
        events = progress.events(self.db, self.tenant, release.id, limit=5000)
        return "\n".join(f"{event.step}: {event.message}" for event in events)

    def environment(self, project: str) -> Environment:
        """The project's one environment."""
        return next(e for e in records.environments(self.db, self.tenant) if e.project == project)

    def page(self, path: str) -> str:
        """What a person reads there."""

        async def get() -> httpx.Response:
            address = f"http://127.0.0.1:{self.settings.port}"
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._pages), base_url=address) as browser:
                return await browser.get(path)

        answer = asyncio.run(get())
        assert answer.status_code == 200, answer.text
        return " ".join(re.sub(r"<[^>]*>", "", answer.text).split())

    def kill_worker_of(self, release: Release) -> None:
        """SIGKILL for the worker that runs it; another one takes its place."""
        found = records.get(self.db, self.tenant, release.id)
        assert found is not None
        for worker in self.workers:
            if f"-{worker.pid}-" in str(found.worker):
                worker.kill()
                worker.wait()
                self.workers.remove(worker)
                self.start_worker()
                return

    @contextmanager
    def traffic(self, project: str, *, rate: int, canary: str = "") -> Iterator[Callable[[], dict[str, int]]]:
        """Steady load on the project's environment; the yielded function stops it and returns its counts."""
        port = self.environment(project).port
        command = [
            *("-m", "prodsprints.cli.tour.load", f"http://127.0.0.1:{port}/"),
            *("--rate", str(rate), "--canary", canary, "--held"),
        ]
        load = subprocess.Popen(
            [sys.executable, *command], env=self._env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

        def stop() -> dict[str, int]:
            out, _ = load.communicate(timeout=30)
            counts: dict[str, int] = json.loads(out.splitlines()[-1])
            return counts

        try:
            yield stop
        finally:
            load.kill()
            load.wait()

    def end(self) -> None:
        """End everything, with the instances and Envoy."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        with contextlib.suppress(AgentUnreachableError):
            self.node.shut_down()
        self.node.close()
        self.agent.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.agent.wait(10)
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)

    def processes(self) -> list[psutil.Process]:
        """All that still runs for this home, but PostgreSQL."""
        home = str(self.settings.home)
        found = []
        for process in psutil.process_iter(["cmdline", "name"]):
            if home in " ".join(process.info["cmdline"] or ()) and process.info["name"] != "postgres":
                found.append(process)
        return found

    def _agent_answers(self) -> bool:
        with contextlib.suppress(AgentUnreachableError):
            return self.node.health().envoy_alive
        return False

    def _replace_workers(self) -> None:
        """Start another for each that left by itself, as `up` does: one that is too slow to beat is declared dead."""
        for worker in [worker for worker in self.workers if worker.poll() is not None]:
            self.workers.remove(worker)
            self.start_worker()

    def _if_ended(self, release_id: UUID) -> Release | None:
        found = records.get(self.db, self.tenant, release_id)
        return found if found and found.status in records.ENDED else None

    def _start(self, log: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.settings.home / "logs" / f"{log}.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, *arguments], env=self._env(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def _env(self) -> dict[str, str]:
        passed = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
        return {
            **passed,
            "PRODSPRINTS_HOME": str(self.settings.home),
            "PRODSPRINTS_NODE": self.settings.node,
            "PRODSPRINTS_DATABASE_URL": self.scratch.postgres.address().conninfo,
            "PRODSPRINTS_ADMIN_DATABASE_URL": self.scratch.postgres.admin_address().conninfo,
        }
