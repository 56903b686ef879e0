"""The specification's risks, as it numbers, names and rates them: what our own words must stay faithful to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.register.load import load
from prodsprints.register.register import Register
from prodsprints.store.database import Database


@dataclass(frozen=True)
class Specified:
    id: str
    title: str
    category: str
    level: str
    probability: int
    rows: int


@pytest.fixture(scope="session")
def specified() -> list[Specified]:
    rows = (Path(__file__).parent / "specification.tsv").read_text(encoding="utf-8").splitlines()
    return [
        Specified(id, title, category, level, int(probability), int(count))
        for id, title, category, level, probability, count in (row.split("\t") for row in rows[1:])
    ]


@pytest.fixture(scope="session")
def register() -> Register:
    return load()


@pytest.fixture
def ledger(database: Database, tenant: UUID, settings: Settings) -> Ledger:
    return Ledger(database, tenant, Keyring.open(settings.home))


@pytest.fixture
def other_tenant(database: Database) -> UUID:
    with database.dispatch() as connection:
        row = connection.execute(
            "insert into tenants (name) values (%s) returning id", [f"o-{uuid4().hex[:12]}"]
        ).fetchone()
    assert row is not None
    return row["id"]
