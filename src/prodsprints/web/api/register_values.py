"""What the register's endpoints take and give, as it stands in the OpenAPI document."""

from __future__ import annotations

from pydantic import Field

from prodsprints.web.api.values import Request, Value


class NewDocument(Request):
    """A risk document."""

    markdown: str = Field(min_length=1, max_length=1_000_000)


class Imported(Value):
    """What came of an import; `joined` counts the rows that say what ours say, and so have our controls and drills."""

    version: int
    sha256: str
    risks: int
    mitigations: int
    claimed: int
    joined: int
    warnings: list[str]
