"""The pages of what is measured: key risk indicators beside their thresholds, and how the register moved."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.ledger.errors import LedgerTamperedError
from prodsprints.register.kris import WINDOW_DAYS
from prodsprints.register.trend import Trend
from prodsprints.web import drill_list, registers
from prodsprints.web.api.answers import Here
from prodsprints.web.api.register import HERE, Where
from prodsprints.web.errors import LogTooLongError
from prodsprints.web.identity import Reading
from prodsprints.web.pages.render import page
from prodsprints.web.sparkline import sparkline
from prodsprints.web.trend_chart import KEYS, trend_chart

router = APIRouter()

_CHOICES = (14, 30, 90, 365)
_MOST_MOVES = 100


@router.get("/indicators")
def indicators(here: Here, caller: Reading, where: Where = HERE) -> Response:
    """Every indicator: its value, its threshold, its last days; what nobody measures says so."""
    shown = registers.of(here, caller.tenant_id, where)
    readings = registers.indicators(here, caller.tenant_id, shown)
    return page(
        "indicators.html",
        caller=caller,
        section="indicators",
        environment=where,
        places=drill_list.environments(here, caller.tenant_id),
        window=WINDOW_DAYS,
        readings=[(one, sparkline(one, style=False)) for one in readings],
    )


@router.get("/trend")
def trend(here: Here, caller: Reading, where: Where = HERE, days: Annotated[int, Query(ge=2, le=400)] = 30) -> Response:
    """How the register moved in one environment, and which rows moved it."""
    found: Trend | None = None
    trouble: ProdSprintsError | None = None
    try:
        found = registers.trend(here, caller.tenant_id, where, days=days)
    except (LogTooLongError, LedgerTamperedError) as error:
        trouble = error
    return page(
        "trend.html",
        caller=caller,
        section="trend",
        environment=where,
        places=drill_list.environments(here, caller.tenant_id),
        days=days,
        choices=_CHOICES,
        keys=KEYS,
        chart=trend_chart(found.points, style=False) if found else "",
        moves=found.moves[:_MOST_MOVES] if found else (),
        trouble=trouble,
    )
