"""The specification's risks, as it numbers, names and rates them: what our own words must stay faithful to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from prodsprints.register.load import load
from prodsprints.register.register import Register


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
