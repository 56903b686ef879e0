"""Envoy as the node agent keeps it: adopted or started, told by files, believed only once it shows their versions."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prodsprints.kernel import clock, files
from prodsprints.runtime import envoy_config, platform
from prodsprints.runtime.envoy_admin import Counters, EnvoyAdmin
from prodsprints.runtime.errors import EnvoyError, StorageError
from prodsprints.runtime.processes import Identity, listening_ports, wait_gone
from prodsprints.runtime.state import State
from prodsprints.runtime.values import Arm

_WATCH_SECONDS = 0.05
_PROBE_SECONDS = 2.0
_SILENT_SECONDS = 10.0
_CONFIRM_SECONDS = 10.0
_CONFIRM_POLL_SECONDS = 0.002
_QUIT_SECONDS = 5.0
_QUICK_DEATH_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 5.0
_MAX_LOG_BYTES = 4 * 1024**2


class Envoy:
    """Keeps Envoy serving. `directory` holds its files, `log` its words; `note` saves the state if possible."""

    def __init__(
        self, directory: Path, log: Path, admin_socket: Path, state: State, note: Callable[[], Awaitable[None]]
    ) -> None:
        self._directory = directory
        self._log = log
        self._socket = admin_socket
        self._state = state
        self._note = note
        self._program = platform.check()
        self._admin = EnvoyAdmin(admin_socket)
        self._watching: asyncio.Task[None] | None = None
        self._writing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def alive(self) -> bool:
        """Whether our Envoy's process runs."""
        return self._state.envoy is not None and self._state.envoy.alive()

    def lay_out(self, clusters: Mapping[str, int], routes: Mapping[int, Sequence[Arm]]) -> None:
        """Write all files as they should be, before `start`: what is on disk may be older than the state."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for port, arms in routes.items():
            self._write(f"route-{port}.json", [envoy_config.route(port, arms)])
        self._write("clusters.json", _clusters(clusters))
        self._write("listeners.json", [envoy_config.listener(port, self._directory) for port in sorted(routes)])

    async def start(self) -> None:
        """Adopt the Envoy of the last agent if it is ours and of the same base, else start one; then watch it."""
        base = self._base()
        if not (self.alive and self._state.envoy_base == base and await self._answers()):
            await self.stop()
            self._write_file(self._directory / "bootstrap.json", self._bootstrap())
            self._state.envoy_base = base
            await self._spawn()
        self._watching = asyncio.create_task(self._watch(), name="envoy")

    async def leave(self) -> None:
        """Stop watching; Envoy goes on."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None

    async def stop(self) -> None:
        """End our Envoy, and any that holds our administration socket: it would keep our ports."""
        await self.leave()
        with contextlib.suppress(OSError, ValueError, KeyError):
            async with asyncio.timeout(_QUIT_SECONDS):
                while await self._admin.node_id() == envoy_config.NODE_ID:
                    await self._admin.quit()
                    await asyncio.sleep(_WATCH_SECONDS)
        if self._state.envoy is not None and not await asyncio.to_thread(wait_gone, self._state.envoy, _QUIT_SECONDS):
            self._state.envoy.signal(signal.SIGKILL)
            await asyncio.to_thread(wait_gone, self._state.envoy, _QUIT_SECONDS)
        self._state.envoy = None

    async def set_clusters(self, ports: Mapping[str, int]) -> None:
        """Make exactly these instances known as destinations; returns once Envoy has them."""
        await self._tell("clusters.json", _clusters(ports), "cluster_manager.cds")

    async def set_listeners(self, ports: Sequence[int], *, again: bool = False) -> None:
        """Listen on exactly these ports; returns once Envoy does. `again` retries those that were taken.

        A port whose route is not written yet is left to who writes it: Envoy refuses all listeners for one whose route
        file is missing.
        """
        routed = [port for port in sorted(ports) if (self._directory / f"route-{port}.json").exists()]
        resources = [envoy_config.listener(port, self._directory) for port in routed]
        await self._tell("listeners.json", resources, "listener_manager.lds", again=again)

    async def set_route(self, port: int, arms: Sequence[Arm]) -> str:
        """Divide the requests to `port` among `arms`; returns the version once Envoy shows it."""
        return await self._tell(f"route-{port}.json", [envoy_config.route(port, arms)], _route_source(port))

    async def add_route(self, ports: Sequence[int], port: int, arms: Sequence[Arm]) -> str:
        """Listen on `port` as well (`ports` are all of them), with a route from the first request on."""
        version = self._write(f"route-{port}.json", [envoy_config.route(port, arms)])
        await self.set_listeners(ports)
        await self._confirm(_route_source(port), version, None)
        return version

    def drop_route(self, port: int) -> None:
        """Forget the route of a port on which nothing listens any more."""
        (self._directory / f"route-{port}.json").unlink(missing_ok=True)

    async def counters(self, instances: Sequence[str]) -> tuple[int, dict[str, Counters]]:
        """The generation of Envoy's process and what it counted for each of `instances` in it."""
        for _ in range(3):
            generation = self._state.generation
            try:
                found = await self._admin.counters(instances)
            except OSError as error:
                await asyncio.sleep(0.2)
                last = str(error) or type(error).__name__
                continue
            if generation == self._state.generation:
                return generation, found
            last = "Envoy was just started again"
        raise EnvoyError("Envoy does not tell its counters.", why=f"{last}.", next_step="Try again in a second.")

    async def listening(self) -> list[int]:
        """The ports that Envoy really has: one that is taken is missing."""
        return await asyncio.to_thread(listening_ports, [self._state.envoy] if self._state.envoy else [])

    async def _tell(self, name: str, resources: list[dict[str, Any]], source: str, *, again: bool = False) -> str:
        async with self._writing[name]:
            version, before = self._current(name)
            if before == resources and not again:
                await self._confirm(source, version, None)
                return version
            refused = await self._refused(source)
            version = self._write(name, resources, again=again)
            try:
                await self._confirm(source, version, refused)
            except EnvoyError as error:
                if error.refused:  # the old configuration is in force: keep it across Envoy's next start, too
                    self._write(name, before)
                raise
            return version

    def _write(self, name: str, resources: list[dict[str, Any]], *, again: bool = False) -> str:
        """Write one file, if it says something else than before; its version."""
        version, before = self._current(name)
        if not version or before != resources or again:
            version = clock.now().strftime("%Y%m%dT%H%M%S.%f")
            self._write_file(self._directory / name, {"version_info": version, "resources": resources})
        return version

    def _current(self, name: str) -> tuple[str, list[dict[str, Any]]]:
        try:
            document = json.loads((self._directory / name).read_bytes())
            return str(document["version_info"]), list(document["resources"])
        except (OSError, ValueError, KeyError):
            return "", []

    async def _refused(self, source: str) -> int | None:
        try:
            return (await self._admin.versions(source))[1]
        except OSError:
            return None

    async def _confirm(self, source: str, version: str, refused_before: int | None) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CONFIRM_SECONDS
        last = "nobody answers on its administration socket"
        while loop.time() < deadline:
            try:
                shown, refused = await self._admin.versions(source)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            if shown == version:
                return
            if refused_before is not None and refused > refused_before:
                raise EnvoyError(
                    "Envoy refused the new configuration.",
                    why=f"It keeps the old one. Its log says: {self._last_words()}",
                    next_step=f"See {self._log}; requests go where they went before.",
                    refused=True,
                )
            last = f"it shows version {shown or 'none'} of {source}"
            await asyncio.sleep(_CONFIRM_POLL_SECONDS)
        raise EnvoyError(
            f"Envoy did not take the new configuration within {_CONFIRM_SECONDS:g} s.",
            why=f"Version {version} was written, but {last}.",
            next_step=f"See {self._log}. Asking for the same again is safe.",
        )

    async def _spawn(self) -> None:
        self._state.generation += 1
        await self._note()
        # The last one's socket: what it held ended with it, and a connection to it must not look like an answer.
        self._socket.unlink(missing_ok=True)
        # Not in a thread: whoever is cancelled while that starts a process, never learns of the process.
        self._state.envoy = self._begin()
        await self._note()

    def _begin(self) -> Identity | None:
        process = subprocess.Popen(
            self._command(),
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return Identity.of(process.pid)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        started = answered = probed = loop.time()
        quick_deaths = 0
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            now = loop.time()
            if not self.alive:
                quick_deaths = quick_deaths + 1 if now - started < _QUICK_DEATH_SECONDS else 0
                if quick_deaths > 1:
                    await asyncio.sleep(min(0.25 * 2 ** (quick_deaths - 2), _MAX_BACKOFF_SECONDS))
                with contextlib.suppress(OSError):  # tried again in a moment
                    await self._spawn()
                started = answered = probed = loop.time()
            elif now - probed > _PROBE_SECONDS:
                probed = now
                if await self._answers():
                    answered = loop.time()
                elif loop.time() - answered > _SILENT_SECONDS and self._state.envoy is not None:
                    self._state.envoy.signal(signal.SIGKILL)
                self._bound_log()

    async def _answers(self) -> bool:
        try:
            return await self._admin.node_id() == envoy_config.NODE_ID
        except (OSError, ValueError, KeyError):
            return False

    def _bound_log(self) -> None:
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > _MAX_LOG_BYTES:
                files.replace(self._log.with_suffix(".log.1"), self._log.read_bytes()[-_MAX_LOG_BYTES:], durable=False)
                os.truncate(self._log, 0)  # Envoy appends

    def _last_words(self) -> str:
        try:
            lines = self._log.read_bytes()[-4096:].decode("utf-8", "replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1][:1000] if lines else "nothing."

    def _bootstrap(self) -> dict[str, Any]:
        return envoy_config.bootstrap(self._directory, self._socket)

    def _command(self) -> list[str]:
        return [
            str(self._program),
            *("-c", str(self._directory / "bootstrap.json")),
            *("--concurrency", "1"),
            *("--drain-time-s", "10"),
            *("--log-level", "warning"),
            *("--log-path", str(self._log)),
            "--disable-hot-restart",
        ]

    def _base(self) -> str:
        """What cannot be changed in a running Envoy: its program, its arguments, its bootstrap."""
        program = self._program.stat()
        parts = [self._command(), self._bootstrap(), program.st_size, program.st_mtime_ns]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _write_file(self, path: Path, document: dict[str, Any]) -> None:
        try:
            # Not flushed to disk: after a power cut it is written anew from the state.
            files.replace(path, json.dumps(document).encode(), durable=False)
        except OSError as error:
            raise StorageError(
                f"Envoy's file {path} cannot be written: {error.strerror}.",
                why="Requests go where they went before.",
                next_step="Free some disk space and try again.",
            ) from None


def _clusters(ports: Mapping[str, int]) -> list[dict[str, Any]]:
    return [envoy_config.cluster(instance, port) for instance, port in sorted(ports.items())]


def _route_source(port: int) -> str:
    return f"http.port-{port}.rds.port-{port}"
