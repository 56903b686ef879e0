"""The node agent as a process, `python -m prodsprints.runtime.agent`: one per home; its end touches nothing it runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import signal
import socket
import stat
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.settings import Settings
from prodsprints.runtime import lifeline
from prodsprints.runtime.api import application
from prodsprints.runtime.errors import AgentRunningError, StorageError
from prodsprints.runtime.node import Node, Ports
from prodsprints.runtime.ports import PortRange


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM (apps and Envoy go on) or `POST /shutdown` (they end first); the exit code."""
    parser = argparse.ArgumentParser(prog="python -m prodsprints.runtime.agent", description=__doc__)
    parser.add_argument("--environment-ports", default="18000-18999", help="stable ports of the environments")
    parser.add_argument("--instance-ports", default="20000-28999", help="ports of the apps")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = Settings.from_environment()
        ports = Ports(PortRange.parse(options.environment_ports), PortRange.parse(options.instance_ports).scattered())
        with _only_agent(settings):
            _raise_file_limit()
            _run(_serve(settings, ports))
    except ProdSprintsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is the program's answer to who started it
        return int(error.exit_code)
    return 0


async def _serve(settings: Settings, ports: Ports) -> None:
    node = Node(settings, ports)
    await node.start()
    config = uvicorn.Config(
        application(node, lambda: setattr(server, "should_exit", True)),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        ws="none",
    )
    server = _Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lambda: setattr(server, "should_exit", True))
    lifeline.watch(lambda: setattr(server, "should_exit", True))
    listening = _listen(settings.node_socket)
    try:
        await server.serve(sockets=[listening])
    finally:
        settings.node_socket.unlink(missing_ok=True)
        await node.leave()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the agent: uvicorn would raise them again before what runs was left in good order."""
        yield


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop  # used where it is present
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


@contextlib.contextmanager
def _only_agent(settings: Settings) -> Iterator[None]:
    try:
        _directories(settings)
        lock = os.open(settings.home / "run" / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(
            f"The node agent cannot use {settings.home}: {error.strerror} ({error.filename}).",
            next_step="Set PRODSPRINTS_HOME to a directory that it may write to.",
        ) from None
    with contextlib.closing(os.fdopen(lock, "r+")) as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AgentRunningError(
                f"A node agent (pid {held.read(20).strip() or 'unknown'}) already runs for {settings.home}.",
                why="Two of them would fight over the same apps and ports.",
                next_step="Use that one, or set PRODSPRINTS_HOME to another directory.",
            ) from None
        held.seek(0)
        held.truncate()
        held.write(f"{os.getpid()}\n")
        held.flush()
        yield


def _directories(settings: Settings) -> None:
    """Ours alone, but for the way to the instances: as root the apps' own users must be able to pass through."""
    home = settings.home
    home.mkdir(parents=True, exist_ok=True, mode=0o711)
    if os.geteuid() == 0:
        home.chmod(stat.S_IMODE(home.stat().st_mode) | 0o011)
    (home / "instances").mkdir(exist_ok=True, mode=0o711)
    for private in (home / "run", home / "nodes", home / "logs", home / "envoy", settings.node_socket.parent):
        private.mkdir(exist_ok=True, mode=0o700)
    if settings.node_socket.parent.stat().st_uid != os.geteuid():
        raise PermissionError(1, "it belongs to another user", str(settings.node_socket.parent))


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # we hold the lock, so it is a dead agent's
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    listening.listen(128)
    listening.setblocking(False)
    return listening


def _raise_file_limit() -> None:
    """Envoy inherits it, and holds two sockets per request under way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
