"""The register as the command line shows it: from the platform where one runs, else the claims alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsprints.cli.errors import NotRunningError

if TYPE_CHECKING:
    from prodsprints.cli.platform import Platform
    from prodsprints.register.register import Register

Json = dict[str, Any]

CLAIMS_ONLY = "Claims only: no platform answers, and only its ledger knows what is proven (`prodsprints up`)."


@dataclass(frozen=True)
class Shown:
    """A register, or one risk of it, in the API's form; not `live` means that no evidence was looked at."""

    answer: Json
    live: bool


def whole(platform: Platform, *, environment: str | None, risks: Path | None) -> Shown:
    """The tenant's register as it stands in `environment`; with a folder of one's own `risks`, what that claims."""
    from prodsprints.kernel import clock
    from prodsprints.register import export

    live = None if risks else _asked(platform, "/register", environment)
    return live or Shown(export.as_json(_loaded(risks), today=clock.now().date()), live=False)


def one(platform: Platform, risk_id: str, *, environment: str | None, risks: Path | None) -> Shown:
    """One risk of it. Raises UnknownRiskError, or the platform's ApiError."""
    from prodsprints.register import export

    live = None if risks else _asked(platform, f"/register/risks/{risk_id}", environment)
    return live or Shown(export.risk_as_json(_loaded(risks).risk(risk_id)), live=False)


def as_today(answer: Json) -> Register:
    """The risks of an answer where they lie today: what the heat map is drawn of."""
    from prodsprints.register.model import Cadence, Category, Document, Risk
    from prodsprints.register.rating import Level, Probability
    from prodsprints.register.register import Register

    told = answer["document"]
    days = {name: date.fromisoformat(told[name]) for name in ("last_updated", "next_review")}
    document = Document(owner=told["owner"], executive_sponsor=told["executive_sponsor"], **days)
    risks = tuple(
        Risk(
            id=one["id"],
            title=one["title"],
            category=Category(one["category"]),
            level=Level(one["level"]),
            probability=Probability(one.get("residual", one)["probability"]),
            description=one["description"],
            impact=one["impact"],
            owner=one["owner"],
            review=Cadence(one["review"]),
            mitigations=(),
        )
        for one in answer["risks"]
    )
    return Register(document, risks)


def _loaded(risks: Path | None) -> Register:
    from prodsprints.register.load import load

    register = load(risks)
    if risks is not None:
        from prodsprints.register import wiring

        wiring.check_in(risks)  # what it claims may be any; what it names has to be there
    return register


def _asked(platform: Platform, path: str, environment: str | None) -> Shown | None:
    try:
        return Shown(platform.get(path, environment=environment), live=True)
    except NotRunningError:
        return None
    except ModuleNotFoundError as error:  # without the extra `server` there is nothing to ask with
        if error.name != "httpx":
            raise
        return None
