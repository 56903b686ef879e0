"""A small control for the engine's own tests: a client that tries again."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request

ATTEMPTS = 5
WAIT_SECONDS = 0.1


class GaveUpError(Exception):
    """All attempts failed."""


def ask(address: tuple[str, int], text: bytes) -> bytes:
    """The echo of `text`, over a connection that may break."""
    for _ in range(ATTEMPTS):
        try:
            return echo(address, text)
        except OSError:
            time.sleep(WAIT_SECONDS)
    raise GaveUpError


def fetch(url: str) -> int:
    """The status of the first answer that is no 429."""
    for _ in range(ATTEMPTS):
        status = get(url)
        if status != 429:
            return status
        time.sleep(WAIT_SECONDS)
    return 429


def echo(address: tuple[str, int], text: bytes) -> bytes:
    """One attempt."""
    with socket.create_connection(address, timeout=2) as connection:
        connection.sendall(text)
        found = b""
        while len(found) < len(text):
            more = connection.recv(4096)
            if not more:
                raise ConnectionResetError("the end came early")
            found += more
        return found


def get(url: str) -> int:
    """One attempt."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - on loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
