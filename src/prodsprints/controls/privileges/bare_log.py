"""An audit log as a plain table, and what its owner could do to it: what S003.4's drill holds the ledger against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from prodsprints.kernel import clock
from prodsprints.store.database import Connection

Operation = tuple[str, str, str]


class BareLog:
    """Rows with a number, a time, and who did what to what. It has nothing by which it could know them again."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.execute(
            "create table audit_log (id bigint generated always as identity primary key,"
            " at timestamptz not null, actor text not null, action text not null, subject text not null)"
        )

    def record(self, operations: Sequence[Operation]) -> None:
        """Note that they are done."""
        for operation in operations:
            self._connection.execute(
                "insert into audit_log (at, actor, action, subject) values (%s, %s, %s, %s)",
                [clock.iso(clock.now()), *operation],
            )

    def read(self) -> list[Operation] | None:
        """What stands in the log, in order."""
        return [(row["actor"], row["action"], row["subject"]) for row in rows(self._connection)]

    def wrong(self) -> str:
        """Whatever can be read is taken for what was written."""
        self.read()
        return ""

    def refuses_to_go_on(self) -> bool:
        """It never does."""
        return False


@contextmanager
def tampered(connection: Connection, kind: str, random: Random) -> Iterator[str]:
    """The table as its owner left it, for the length of the block; afterwards it is as it was before."""
    kept = rows(connection)
    try:
        yield _change(connection, kind, kept, random)
    finally:
        connection.execute("delete from audit_log")
        _insert(connection, *kept)


def rows(connection: Connection) -> list[dict[str, Any]]:
    """All of it."""
    return connection.execute("select * from audit_log order by id").fetchall()


def _change(connection: Connection, kind: str, kept: list[dict[str, Any]], random: Random) -> str:
    one, other = random.sample(kept[1:], 2)
    match kind.partition("-")[0]:
        case "edit":
            connection.execute("update audit_log set subject = 'role/none' where id = %s", [one["id"]])
            return f"edited row {one['id']}"
        case "delete":
            connection.execute("delete from audit_log where id = %s", [one["id"]])
            return f"deleted row {one['id']}"
        case "reorder":
            connection.execute("delete from audit_log where id = any(%s)", [[one["id"], other["id"]]])
            _insert(connection, one | {"id": other["id"]})
            _insert(connection, other | {"id": one["id"]})
            return f"changed the places of rows {one['id']} and {other['id']}"
    connection.execute("delete from audit_log where id >= %s", [one["id"]])
    if kind == "truncate":
        return f"cut the log off before row {one['id']}"
    _insert(connection, kept[0] | {"id": one["id"]})
    return f"gave the log another end from row {one['id']} on"


def _insert(connection: Connection, *them: dict[str, Any]) -> None:
    connection.cursor().executemany(
        "insert into audit_log (id, at, actor, action, subject) overriding system value"
        " values (%(id)s, %(at)s, %(actor)s, %(action)s, %(subject)s)",
        them,
    )
