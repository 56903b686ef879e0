"""Where ProdSprints keeps its things and finds its peers, on this machine; read once from the environment."""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from prodsprints.kernel.errors import UsageError

EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to
"""What `host` is when a server listens on all addresses of its machine."""

_LONGEST_SOCKET_PATH = 100  # the kernel's limit is 104 (macOS) or 108 (Linux), with the terminating zero


@dataclass(frozen=True)
class Settings:
    """The effective settings of one machine.

    `home` holds all data; one running platform per home. `database_url` is set when the user brings a PostgreSQL of
    their own, otherwise the embedded server below `home` is used. `admin_database_url` is a role on the same server
    that may create the databases of released applications, where that of `database_url` may not. `node` names this
    machine in releases and leases. `host` and `port` are where the API and the pages listen; everything but loopback
    asks for a login to read. `witness` is a Git working tree for the ledger's checkpoints, if there is one.
    """

    home: Path
    database_url: str | None
    admin_database_url: str | None
    node: str
    host: str
    port: int
    witness: Path | None = None

    @staticmethod
    def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
        """Read `PRODSPRINTS_HOME`, `_DATABASE_URL`, `_ADMIN_DATABASE_URL`, `_NODE`, `_HOST`, `_PORT` and `_WITNESS`.

        Raises UsageError when one of them cannot be meant as it stands.
        """
        env = os.environ if environment is None else environment
        port = env.get("PRODSPRINTS_PORT", "8900")
        if not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise UsageError(
                f"PRODSPRINTS_PORT is {port!r}, which is no port.", next_step="Set it to a number from 1 to 65535."
            )
        home = Path(env["PRODSPRINTS_HOME"]) if env.get("PRODSPRINTS_HOME") else _default_home()
        witness = env.get("PRODSPRINTS_WITNESS")
        return Settings(
            home=home.expanduser().absolute(),
            database_url=env.get("PRODSPRINTS_DATABASE_URL") or None,
            admin_database_url=env.get("PRODSPRINTS_ADMIN_DATABASE_URL") or None,
            node=env.get("PRODSPRINTS_NODE") or socket.gethostname(),
            host=env.get("PRODSPRINTS_HOST") or "127.0.0.1",
            port=int(port),
            witness=Path(witness).expanduser().absolute() if witness else None,
        )

    @property
    def address(self) -> str:
        """The address of the pages as a browser on this machine would ask for it."""
        host = "127.0.0.1" if self.host in EVERY_ADDRESS else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def node_socket(self) -> Path:
        """The Unix socket of this machine's node agent; below `home` where the kernel's path limit allows."""
        return self._socket("node.sock")

    @property
    def envoy_admin_socket(self) -> Path:
        """The Unix socket of Envoy's admin interface, which has no authentication of its own."""
        return self._socket("envoy-admin.sock")

    def _socket(self, name: str) -> Path:
        path = self.home / "run" / name
        if len(str(path)) <= _LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"prodsprints-{os.getuid()}-{digest}" / name


def _default_home() -> Path:
    return Path("/var/lib/prodsprints") if os.geteuid() == 0 else platformdirs.user_data_path("prodsprints")
