"""Sequencers that are killed, each at the next line that it would execute: run as a script of its own, which forks."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID, uuid4

from prodsprints.kernel.settings import Settings
from prodsprints.ledger import sequencer, witness
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.store.address import Address
from prodsprints.store.database import Database

FILES = {sequencer.__file__, witness.__file__}


def main(conninfo: str, home: str, tenant: str) -> None:
    """Print how many were killed, once one comes to its end."""
    kills = 0
    while True:
        child = os.fork()
        if child == 0:
            work(conninfo, Path(home), UUID(tenant), kills)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            print(kills, os.WEXITSTATUS(status))  # noqa: T201 - the answer
            return
        kills += 1


def work(conninfo: str, home: Path, tenant_id: UUID, lines: int) -> None:
    """Sequence what waits, one statement at the least, and be killed after so many lines of sequencer and witness."""
    db, keyring = Database(Address(conninfo), max_connections=1), Keyring.open(home)
    if tenant_id not in (db.once("select ledger_waiting() as tenants", []) or {})["tenants"]:
        said = {"tenant": str(tenant_id), "nonce": uuid4().hex, "kill": lines}
        Ledger(db, tenant_id, keyring).append(Statement(PredicateType.OPERATION, (Subject("kill", "ab" * 32),), said))
    left = lines

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        return trace

    settings = Settings.from_environment({"PRODSPRINTS_HOME": str(home)})
    sys.settrace(trace)
    sequencer.Sequencer(db, keyring, witness.Witness.open(settings)).sequence(tenant_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
