"""The register: every risk that is known, found by its id, in the document's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from prodsprints.kernel.validation import nearest
from prodsprints.register.errors import UnknownRiskError
from prodsprints.register.model import Claim, Document, Mitigation, Risk
from prodsprints.register.status import Counts
from prodsprints.register.summary import Review, Summary, summarise


@dataclass(frozen=True)
class Register:
    """All risks of one document, as data. Made by `register.load.load`, which vouches that each id is there once.

    `statement` is the digest of the signed statement about a tenant's own document; ours has none.
    """

    document: Document
    risks: tuple[Risk, ...]
    statement: str = ""

    @cached_property
    def mitigations(self) -> tuple[Mitigation, ...]:
        """Every row of every risk, in order."""
        return tuple(mitigation for risk in self.risks for mitigation in risk.mitigations)

    def risk(self, id: str) -> Risk:
        """The risk called `id`. Raises UnknownRiskError, with the nearest id there is."""
        if id in self._by_id:
            return self._by_id[id]
        hint = nearest(id, (risk.id for risk in self.risks))
        raise UnknownRiskError(
            f"There is no risk {id!r} in the register.",
            next_step=f"`prodsprints register` lists them{hint or '.'}",
        )

    def row(self, id: str) -> Mitigation:
        """The row called `id`. Raises UnknownRiskError, with the nearest id there is."""
        for mitigation in self.risk(id.partition(".")[0]).mitigations:
            if mitigation.id == id:
                return mitigation
        hint = nearest(id, (mitigation.id for mitigation in self.mitigations))
        raise UnknownRiskError(
            f"There is no row {id!r} in the register.",
            next_step=f"`prodsprints register show {id.partition('.')[0]}` lists them{hint or '.'}",
        )

    def summary(self, today: date, counts: Counts | None = None, overdue: Collection[Review] | None = None) -> Summary:
        """The figures of the first line on `today`, with the `counts` of an assessment and the reviews `overdue`."""
        return summarise(len(self.risks), self._claims, self.document, today=today, counts=counts, overdue=overdue)

    @cached_property
    def _claims(self) -> Counter[Claim]:
        return Counter(mitigation.claim for mitigation in self.mitigations)

    @cached_property
    def _by_id(self) -> dict[str, Risk]:
        return {risk.id: risk for risk in self.risks}
