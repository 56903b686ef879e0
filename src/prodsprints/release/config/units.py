"""Durations and percentages as people write them (`30s`, `24h`, `80%`), held as plain seconds and fractions."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1, "d": 86_400_000}


class _Written(float):
    # a number that is written with its unit; a bare one is refused, since nobody could tell what it means
    pattern: ClassVar[str]

    @classmethod
    def parse(cls, value: object) -> Self:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, json_schema_input_schema=core_schema.str_schema(pattern=cls.pattern)
        )


class Seconds(_Written):
    """A duration: `30s` is 30.0. Written with `ms`, `s`, `m`, `h` or `d`; to the millisecond, up to a year."""

    pattern = r"^[0-9]{1,11}(\.[0-9]{1,6})? ?(ms|s|m|h|d)$"

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError, in words that go on from the name of the key, for what is no duration."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, str) or not re.fullmatch(cls.pattern, value):
            raise ValueError("should be a duration with its unit, such as 30s, 5m or 24h.")
        number = value.rstrip("dhms ")
        milliseconds = Decimal(number) * _MILLISECONDS[value.removeprefix(number).strip()]
        if milliseconds != int(milliseconds) or not 0 < milliseconds <= 366 * _MILLISECONDS["d"]:
            raise ValueError("should be between 1ms and 366d, in whole milliseconds.")
        return cls(int(milliseconds) / 1000)

    def __str__(self) -> str:
        milliseconds = round(self * 1000)
        unit = next(unit for unit, size in _MILLISECONDS.items() if milliseconds % size == 0)
        return f"{milliseconds // _MILLISECONDS[unit]}{unit}"


class Share(_Written):
    """A part of a whole: `80%` is 0.8. Written as a percentage from 0% to 100%."""

    pattern = r"^[0-9]{1,3}(\.[0-9]{1,6})? ?%$"

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError, in words that go on from the name of the key, for what is no percentage."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, str) or not re.fullmatch(cls.pattern, value):
            raise ValueError("should be a percentage with its sign, such as 80%.")
        percent = Decimal(value.rstrip("% "))
        if percent > 100:
            raise ValueError("should be between 0% and 100%.")
        return cls(percent / 100)

    def __str__(self) -> str:
        percent = (Decimal(repr(float(self))) * 100).normalize()
        return f"{percent:f}%"
