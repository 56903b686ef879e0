"""A service to look at, on loopback: it answers as it is told to, or worse."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket, str], None]


class Service:
    """Reads a request's head and lets `answer` do the rest; `asked` are the paths so far."""

    def __init__(self) -> None:
        self.answer: Answer = says(200)
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/health"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (part := connection.recv(4096)):
                head += part
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            self.answer(connection, path)


@contextmanager
def service() -> Iterator[Service]:
    it = Service()
    try:
        yield it
    finally:
        it.close()


def says(status: int, *headers: str, body: bytes = b"ok") -> Answer:
    def answer(connection: socket.socket, _: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)

    return answer


def hangs(connection: socket.socket, _: str) -> None:
    connection.settimeout(10)
    connection.recv(1)


def drips(connection: socket.socket, _: str) -> None:
    """A byte of a head that never ends, now and then."""
    connection.sendall(b"HTTP/1.1 200 X\r\n")
    for _ in range(200):
        connection.sendall(b"a")
        time.sleep(0.02)


def pours(connection: socket.socket, _: str) -> None:
    connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 10000000000\r\n\r\n")
    for _ in range(10_000):
        connection.sendall(b"x" * 65_536)


def breaks_off(connection: socket.socket, _: str) -> None:
    connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhalf")


def babbles(connection: socket.socket, _: str) -> None:
    connection.sendall(b"220 mail.example.com ESMTP\r\n")
