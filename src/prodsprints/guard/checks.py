"""Refuses values that a guard cannot keep, in words."""

from __future__ import annotations

from math import isfinite

from prodsprints.guard.errors import GuardInputError


def positive(name: str, value: float) -> float:
    """`value` if it is a finite number above 0."""
    if not (_is_number(value) and isfinite(value) and value > 0):
        raise GuardInputError(
            f"{name} must be a number above 0, not {value!r}.", next_step=f"Give a finite {name} above 0."
        )
    return value


def at_least(name: str, value: float, least: float) -> float:
    """`value` if it is a finite number from `least` up."""
    if not (_is_number(value) and isfinite(value) and value >= least):
        raise GuardInputError(
            f"{name} must be a number from {least:g} up, not {value!r}.",
            next_step=f"Give a finite {name} of {least:g} or more.",
        )
    return value


def whole(name: str, value: int) -> int:
    """`value` if it is a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise GuardInputError(
            f"{name} must be a whole number above 0, not {value!r}.", next_step=f"Give a {name} of 1 or more."
        )
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
