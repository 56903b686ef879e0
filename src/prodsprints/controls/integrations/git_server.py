"""A Git host on loopback, for drills and tests: `git http-backend`, Git's own server, behind Python's HTTP server.

    python -m prodsprints.controls.integrations.git_server ROOT [PORT]

prints its port, serves every repository below ROOT, and ends with its standard input.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prodsprints.drills.errors import FaultDeviceError

PASSWORD = "PRODSPRINTS_GIT_SERVER_PASSWORD"  # noqa: S105 - a variable's name
"""The variable that makes a server ask for this password, whatever the user's name."""

_BACKEND_SECONDS = 60.0


@dataclass(frozen=True)
class GitServer:
    """A running server: where it answers, and the process to kill."""

    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def serving(root: Path, *, port: int = 0, password: str = "") -> Iterator[GitServer]:
    """Serve the repositories below `root` for the length of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(root), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, PASSWORD: password},
    )
    try:
        assert process.stdout is not None  # noqa: S101 - opened with PIPE
        line = process.stdout.readline()
        if not line:
            raise FaultDeviceError("The Git server did not start.", next_step="Run the drill again.")
        yield GitServer(int(line), process)
    finally:
        process.kill()
        process.communicate()


class _Handler(BaseHTTPRequestHandler):
    """One request, as CGI asks for it (git-http-backend(1))."""

    def __init__(self, root: str, password: str, *arguments: object) -> None:
        self._root = root
        self._password = password
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        stated = self.headers.get("Authorization", "").removeprefix("Basic ")
        if self._password and base64.b64decode(stated).decode().partition(":")[2] != self._password:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length", 0))
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": self._root,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_PROJECT_ROOT": self._root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
        }
        answer = subprocess.run(
            ["git", "http-backend"],  # noqa: S607 - found by PATH, wherever the machine has it
            env=environment,
            input=self.rfile.read(length),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_BACKEND_SECONDS,
            check=False,
        ).stdout
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until standard input ends."""
    root, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, root, os.environ.get(PASSWORD, ""))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
