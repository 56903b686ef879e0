"""The JSON Schema of `risk.yaml`, for editors and other programs; derived from the values that the loader makes."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from prodsprints.register.model import Mitigation, Risk


def schema() -> dict[str, Any]:
    """The schema. What only the whole file can show (numbering, `lacks`, sums of shares) is checked by the loader."""
    derived = TypeAdapter(Risk).json_schema()
    row = derived["$defs"][Mitigation.__name__]
    row["required"] = [name for name in row["required"] if name != "owner"]  # a row has its risk's unless it names one
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **derived}
