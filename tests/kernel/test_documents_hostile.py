"""Hostile YAML: nothing ends the process, and every refusal is one of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.kernel import documents
from prodsprints.kernel.errors import UsageError


@pytest.mark.parametrize("bomb", ["[" * 500_000, "[" * 200_000 + "]" * 200_000, "{a: " * 200_000, "- " * 400_000])
def test_a_million_levels_are_refused_before_they_can_overflow_the_stack(bomb: str) -> None:
    with pytest.raises(UsageError, match="levels deep"):
        documents.parse(bomb, name="bomb.yaml")


@pytest.mark.parametrize(
    "scalar",
    ["2024-99-99", "!!int foo", "!!float x", "!!timestamp x", "!!bool maybe", "9" * 5000, "0b_", "-0x_", "\ud800", "="],
)
def test_a_value_that_only_looks_like_one_is_refused_with_its_line(scalar: str) -> None:
    with pytest.raises(UsageError):
        documents.parse(f"\na: {scalar}", name="odd.yaml")


def test_anchors_and_aliases_are_refused_with_their_line() -> None:
    with pytest.raises(UsageError, match="line 2"):
        documents.parse("a: &x [1]\nb: *x", name="alias.yaml")


@given(st.binary() | st.text())
def test_any_bytes_are_a_document_or_refused(content: bytes | str) -> None:
    try:
        documents.parse(content, name="any.yaml")
    except UsageError as error:
        assert error.next_step
