"""YAML from strangers: bounded, plain, and every complaint names its line."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prodsprints.kernel import documents
from prodsprints.kernel.errors import UsageError


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


def test_size_is_bounded() -> None:
    with pytest.raises(UsageError, match="larger"):
        documents.parse("a: " + "x" * 2_000_000, name="f.yaml")


@pytest.mark.parametrize("bomb", ["[" * 500_000, "[" * 200_000 + "]" * 200_000, "{a: " * 200_000, "- " * 400_000])
def test_a_million_levels_are_refused_before_they_can_overflow_the_stack(bomb: str) -> None:
    with pytest.raises(UsageError, match="levels deep"):
        documents.parse(bomb, name="f.yaml")


@pytest.mark.parametrize(
    "scalar",
    ["2024-99-99", "!!int foo", "!!float x", "!!timestamp x", "!!bool maybe", "9" * 5000, "0b_", "-0x_", "="],
)
def test_a_value_that_only_looks_like_one_is_refused_with_its_line(scalar: str) -> None:
    with pytest.raises(UsageError, match=r"^f\.yaml:2: "):
        documents.parse(f"\na: {scalar}", name="f.yaml")


@given(st.binary(max_size=300) | st.text(max_size=300))
@example("a: \ud800")
def test_any_bytes_are_a_document_or_refused_with_what_to_do(content: bytes | str) -> None:
    try:
        documents.parse(content, name="f.yaml")
    except UsageError as error:
        assert error.next_step
