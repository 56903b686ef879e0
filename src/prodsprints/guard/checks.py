"""Refuses values that a guard cannot keep, in words."""

from __future__ import annotations

from math import isfinite

from prodsprints.guard.errors import GuardInputError

_LONGEST_NAME = 300


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


def share(name: str, value: float) -> float:
    """`value` if it is a number from 0 to 1."""
    if not (_is_number(value) and 0 <= value <= 1):
        raise GuardInputError(
            f"{name} must be a number from 0 to 1, not {value!r}.", next_step=f"Give {name} as a share, such as 0.01."
        )
    return value


def name(what: str, value: str) -> str:
    """`value` if it can stand in a metric and on a page."""
    if not (isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()):
        raise GuardInputError(
            f"{what} must be 1 to {_LONGEST_NAME} printable characters, not {repr(value)[: 2 * _LONGEST_NAME]}.",
            next_step="Give the provider's name, such as `github`; what differs between calls belongs elsewhere.",
        )
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
