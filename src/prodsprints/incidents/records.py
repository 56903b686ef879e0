"""Incidents as people tell them: the texts, and what was done with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from prodsprints.kernel.clock import iso

Kind = Literal["declared", "linked", "closed"]


@dataclass(frozen=True)
class Action:
    """One thing that was done with an incident: `is_signed` if the ledger has the statement about just these words."""

    id: UUID
    action: Kind
    person: str
    created_at: datetime
    row: str | None = None
    variant: str | None = None
    outcome: str | None = None
    is_signed: bool = True


@dataclass(frozen=True)
class Incident:
    """A risk that happened; no rows means all of the risk's."""

    id: UUID
    environment: str
    risk: str
    rows: tuple[str, ...]
    title: str
    what_happened: str
    security: bool
    created_at: datetime
    actions: tuple[Action, ...] = ()

    @property
    def is_signed(self) -> bool:
        """Is it in the ledger with these words? Without that it contradicts nothing."""
        return any(one.action == "declared" for one in self._signed)

    @property
    def closing(self) -> Action | None:
        """How it was closed, if it is."""
        return next((one for one in self._signed if one.action == "closed"), None)

    @property
    def links(self) -> tuple[Action, ...]:
        """The drills that are said to reproduce it."""
        return tuple(one for one in self._signed if one.action == "linked")

    @property
    def declared_by(self) -> str | None:
        """Who declared it, as an erasable reference."""
        return next((one.person for one in self.actions if one.action == "declared"), None)

    def as_json(self, names: Mapping[str, str]) -> dict[str, Any]:
        """For programs; `names` are those of the people that are still known."""
        declared_by, closing = self.declared_by, self.closing
        return {
            "id": str(self.id),
            "environment": self.environment,
            "risk": self.risk,
            "rows": list(self.rows),
            "title": self.title,
            "what_happened": self.what_happened,
            "security": self.security,
            "declared_at": iso(self.created_at),
            "declared_by": names.get(declared_by or ""),
            "is_signed": self.is_signed,
            "links": [{"row": one.row, "variant": one.variant, "at": iso(one.created_at)} for one in self.links],
            "closed_at": None if closing is None else iso(closing.created_at),
            "closed_by": None if closing is None else names.get(closing.person),
            "outcome": None if closing is None else closing.outcome,
        }

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who did something with it, as erasable references."""
        return tuple({one.person for one in self.actions})

    @property
    def _signed(self) -> tuple[Action, ...]:
        return tuple(one for one in self.actions if one.is_signed)
