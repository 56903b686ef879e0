"""What a canary has shown so far, put together from what the rollout recorded, for the API and the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prodsprints.release import progress
from prodsprints.release.records import Release
from prodsprints.release.verdict import Policy, Tick, Verdict, trail
from prodsprints.store.database import Database


@dataclass(frozen=True)
class Evidence:
    """The ticks of one canary and the verdict after each of them."""

    ticks: Sequence[Tick]
    verdicts: Sequence[Verdict]

    @property
    def verdict(self) -> Verdict | None:
        """The latest verdict, or None while there was no look."""
        return self.verdicts[-1] if self.verdicts else None


def of(db: Database, release: Release) -> Evidence:
    """The evidence of `release`, judged again from its ticks under the policy that its rollout stated."""
    ticks = progress.ticks(db, release.tenant_id, release.id)
    stated = release.figures
    if "delta" not in stated and ticks:
        latest = progress.last_event(db, release.tenant_id, release.id, "tick")
        stated = latest.data if latest else {}
    verdicts = trail(ticks, _policy(stated), canary=release.label, stable=_stable_label(stated))
    return Evidence(ticks, verdicts)


def _policy(stated: Mapping[str, Any]) -> Policy:
    usual = Policy()
    return Policy(
        delta=stated.get("delta", usual.delta),
        minimum_requests=stated.get("minimum_requests", usual.minimum_requests),
    )


def _stable_label(stated: Mapping[str, Any]) -> str:
    return str(stated.get("stable", {}).get("label", "the stable arm"))
