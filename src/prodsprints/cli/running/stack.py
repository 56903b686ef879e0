"""All parts of the platform on one machine, brought up in the order they need each other, stopped in reverse."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
import time
from collections.abc import Callable

from prodsprints.cli.errors import PortTakenError, StartFailedError
from prodsprints.cli.platform import Platform
from prodsprints.cli.running import children, database, home, logs
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.kernel.settings import Settings
from prodsprints.runtime import platform, processes
from prodsprints.runtime.client import NodeAgent

Say = Callable[[str], None]

_PORT_SECONDS = 5.0
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05


class Stack:
    """One machine's platform, on a home that is prepared.

    Use as a context, in the main thread: entering starts everything, leaving stops it in order and takes no more
    signals meanwhile.
    """

    def __init__(self, settings: Settings, say: Say) -> None:
        self._settings = settings
        self._say = say
        self._undo = contextlib.ExitStack()
        self._children: list[children.Child] = []

    def __enter__(self) -> Stack:
        settings = self._settings
        platform.check()
        try:
            lock = self._undo.enter_context(home.HomeLock(settings))
            wait_for_port(settings)
            bounds = logs.Bounds(settings.home / "logs")
            bounds.start()
            self._undo.callback(bounds.stop)
            self._start_database()
            self._start_children()
            lock.publish(settings.address)
            self._wait_until_ready()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # once is enough: the rest is seconds away
            signal.signal(number, signal.SIG_IGN)
        self._undo.close()

    def _start_database(self) -> None:
        if self._settings.database_url is None:
            if not (self._settings.home / "postgres" / "data").exists():
                self._say("Creating the database, once.")
            keeper = database.Keeper(self._settings)
            self._undo.callback(keeper.stop)
            keeper.start()
        database.bring_up_to_date(self._settings)
        database.ensure_access(self._settings)

    def _start_children(self) -> None:
        node = children.Role("node", lifeline=False, adopted=self._node_listens, end=self._end_node)
        for role in (node, children.Role("worker", lifeline=True), children.Role("web", lifeline=True)):
            environment = children.environment(self._settings, role=role.name)
            child = children.Child(role, self._settings, environment)
            self._undo.callback(child.stop)
            child.start()
            self._children.append(child)

    def _node_listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._settings.node_socket)) == 0

    def _end_node(self) -> None:
        """End the applications and Envoy too; the next start brings back what served."""
        with contextlib.suppress(ProdSprintsError), NodeAgent(self._settings) as node:
            node.shut_down()

    def _wait_until_ready(self) -> None:
        api = Platform(self._settings)
        deadline = time.monotonic() + _READY_SECONDS
        announced = False
        while True:
            try:
                health = api.get("/health")
            except ProdSprintsError as error:
                health, last = {}, str(error)
            else:
                last = f"Database {health['database']}, node agent {health['node']}, workers {health['workers']}."
                if not announced:
                    self._say(f"Dashboard: {self._settings.address}")
                    announced = True
                if health["workers"] and health["node"] == "up":
                    return
            if time.monotonic() > deadline:
                raise StartFailedError(
                    f"ProdSprints did not come up in {_READY_SECONDS:.0f} s.",
                    why=" ".join(filter(None, (child.trouble for child in self._children))) or last,
                    next_step=f"The logs say why: {self._settings.home / 'logs'}.",
                )
            time.sleep(_POLL_SECONDS)


def wait_for_port(settings: Settings) -> None:
    """Return when our port is free; the pages of a killed `up` need a moment to end."""
    deadline = time.monotonic() + _PORT_SECONDS
    while (refused := _refusal(settings)) is not None:
        if time.monotonic() > deadline:
            raise refused
        time.sleep(_POLL_SECONDS)


def _refusal(settings: Settings) -> ProdSprintsError | None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except PermissionError:
            return PortTakenError(
                f"You may not listen on port {settings.port}.",
                why="Ports below 1024 belong to root.",
                next_step="Choose another: PRODSPRINTS_PORT=8901 prodsprints up.",
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return PortTakenError(
                    f"Port {settings.port} on {settings.host} is taken by {processes.who_listens(settings.port)}.",
                    why="The pages need it.",
                    next_step="End that, or choose another port: PRODSPRINTS_PORT=8901 prodsprints up.",
                )
            return PortTakenError(
                f"The pages cannot listen on {settings.host}: {error.strerror}.",
                next_step="Set PRODSPRINTS_HOST to an address of this machine.",
            )
    return None
