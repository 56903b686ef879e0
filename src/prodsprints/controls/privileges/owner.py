"""The owner of a database, as a process of its own that changes an audit log and puts it back: the fault of S003.4.

Of its own, since nothing of what it does may lean on the log's own code at work in the drill's process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import IO, Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from prodsprints.controls.privileges import bare_log, tampering
from prodsprints.store.address import Address
from prodsprints.store.database import Connection

KINDS = tuple(one.kind for one in tampering.EVERY)
_END_SECONDS = 5


@dataclass(frozen=True)
class Change:
    """What the owner did, in words, and whether the rows are other ones than before."""

    done: str
    arrived: bool


class Owner:
    """Tells the process what to do."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @contextmanager
    def changes(self, log: UUID | None, kind: str, seed: str) -> Iterator[Change]:
        """Change the tenant's log in the ledger, or the plain table where `log` is None; put it back at the end."""
        answer = self._ask({"log": log and str(log), "kind": kind, "seed": seed})
        try:
            yield Change(answer["done"], answer["arrived"])
        finally:
            self._ask({"undo": True})

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101 - opened with PIPE
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(stdout.readline())
        return answer


@contextmanager
def owner(address: Address) -> Iterator[Owner]:
    """Start the process, which connects to `address`; it ends with the block, or when its pipe is closed."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin is not None  # noqa: S101 - opened with PIPE
    try:
        process.stdin.write(address.conninfo + "\n")  # not as an argument, which everybody on the machine can read
        yield Owner(process)
    finally:
        process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def serve(orders: IO[str], answers: IO[str]) -> None:
    """What the process does until nobody tells it anything any more."""
    conninfo = orders.readline().strip()
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row, connect_timeout=5) as connection:
        connection.execute("set synchronous_commit = off")  # nothing of it need last
        while line := orders.readline():
            order = json.loads(line)
            before = _rows(connection, order["log"])
            with _changed(connection, order) as done:
                _say(answers, {"done": done, "arrived": _rows(connection, order["log"]) != before})
                orders.readline()
            _say(answers, {"done": "put back"})


def _changed(connection: Connection, order: dict[str, Any]) -> Any:
    random = Random(order["seed"])  # noqa: S311 - repeatable
    if order["log"] is None:
        return bare_log.tampered(connection, order["kind"], random)
    [how] = [one for one in tampering.EVERY if one.kind == order["kind"]]
    return tampering.tampered(connection, UUID(order["log"]), how, random)


def _rows(connection: Connection, log: str | None) -> object:
    return bare_log.rows(connection) if log is None else tampering.fingerprint(connection)


def _say(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
