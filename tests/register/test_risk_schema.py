"""The JSON Schema of `risk.yaml`: it takes what the loader takes, and its page is what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from prodsprints.kernel import documents
from prodsprints.register.load import sources
from prodsprints.register.schema import schema

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(schema())


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())
    assert json.loads(json.dumps(schema())) == schema()


@pytest.mark.parametrize("source", list(sources()), ids=lambda source: source.name.split("/")[1])
def test_all_our_files_are_valid(source: documents.Document) -> None:
    assert [error.message for error in SCHEMA.iter_errors(source.value)] == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"probability": 0}, "probability"),
        ({"probability": 6}, "probability"),
        ({"level": "dire"}, "level"),
        ({"id": "r1"}, "id"),
        ({"surprise": 1}, ""),
        ({"paths": [{"name": "x", "share": 0}]}, "paths"),
        ({"paths": [{"name": "x", "share": 1.5}]}, "paths"),
    ],
)
def test_what_the_loader_refuses_of_a_value_the_schema_refuses_too(change: dict[str, object], where: str) -> None:
    risk = next(iter(sources())).value | change
    errors = list(SCHEMA.iter_errors(risk))
    assert [str(error.absolute_path[0]) if error.absolute_path else "" for error in errors] == [where]


def test_the_reference_is_what_the_schema_says() -> None:
    script = ROOT / "scripts" / "risk_yaml_reference.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
