"""YAML from strangers: bounded, plain, and every complaint names its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.kernel import documents
from prodsprints.kernel.errors import ProdSprintsError, UsageError


def test_every_value_knows_its_line() -> None:
    document = documents.parse("a: 1\nb:\n  - x: 2\n  - y: 3\n", name="f.yaml")
    assert document.at(("b", 1, "y")) == "f.yaml:4"
    assert document.at(("b", 1, "missing")) == "f.yaml:4"


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\na: 2\n", 2), ("a: &x [1]\nb: *x\n", 2), ("a:\n  <<: {b: 1}\n", 2), ("a: [1\n", 2), ("? [a]\n: 1\n", 1)],
)
def test_what_is_not_plain_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(UsageError, match=rf"(f.yaml:{line}\b|line {line}\b)"):
        documents.parse(text, name="f.yaml")


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{c}: &{c} [{', '.join([f'*{p}'] * 10)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(UsageError, match="aliases"):
        documents.parse(bomb, name="f.yaml")


def test_size_and_depth_are_bounded() -> None:
    with pytest.raises(UsageError, match="larger"):
        documents.parse("a: " + "x" * 2_000_000, name="f.yaml")
    with pytest.raises(UsageError, match="deep"):
        documents.parse("[" * 100 + "]" * 100, name="f.yaml")


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_nothing_but_our_errors_comes_out(text: bytes | str) -> None:
    try:
        documents.parse(text, name="f.yaml")
    except ProdSprintsError as error:
        assert error.next_step
