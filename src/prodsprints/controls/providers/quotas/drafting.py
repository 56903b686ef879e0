"""When to ask for more, for how much, and in which words: from a forecast alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor, log10

from prodsprints.controls.providers.quotas.forecast import LARGEST, Forecast, Outlook
from prodsprints.controls.providers.quotas.model import Quota

_ROOM = timedelta(days=90)  # for how long the new limit should do
_LEAST_RISE = 1.25  # less would be asked for again within weeks
_MOST_RISE = 4.0  # more at once is turned down, or looked at by hand


@dataclass(frozen=True)
class Draft:
    """What to ask for, and why."""

    desired: float
    reason: str
    reaches: datetime | None


def is_due(quota: Quota, forecast: Forecast, now: datetime) -> bool:
    """Whether the limit is reached within the lead time, by the middle of the forecast."""
    return (
        quota.adjustable
        and forecast.outlook in {Outlook.REACHES, Outlook.REACHED}
        and forecast.reaches is not None
        and forecast.reaches <= now + quota.lead
    )


def draft(quota: Quota, forecast: Forecast, now: datetime) -> Draft:
    """The request to raise `quota`, whether it is due or not."""
    until = now + quota.lead + _ROOM
    desired = desired_limit(forecast, until)
    return Draft(desired, _reason(quota, forecast, desired, until), forecast.reaches)


def desired_limit(forecast: Forecast, until: datetime) -> float:
    """A limit that does until then, rounded up to two digits, at least a quarter and at most three times more."""
    limit = forecast.limit
    wanted = min(max(forecast.needed_at(until), limit * _LEAST_RISE), limit * _MOST_RISE)
    digit = 10.0 ** (floor(log10(wanted)) - 1)
    if limit == floor(limit):  # what is counted in whole ones is asked for in whole ones
        digit = max(1.0, digit)
    return min(ceil(wanted / digit) * digit, LARGEST)


def said(value: float) -> str:
    """A number as people write it."""
    return f"{value:,.0f}" if value == floor(value) else f"{value:,.4g}"


def _reason(quota: Quota, forecast: Forecast, desired: float, until: datetime) -> str:
    unit = f" {quota.unit}" if quota.unit else ""
    used = forecast.used
    words = [f"{quota.name} ({quota.place})."]
    if used is not None:
        words.append(f"{said(used)} of {said(forecast.limit)}{unit} are used, {100 * used / forecast.limit:.0f} %.")
    if forecast.outlook is Outlook.REACHED:
        words.append("The limit is reached.")
    elif forecast.reaches is not None:
        words.append(f"At the present trend the limit is reached on {forecast.reaches.date()}{_band(forecast)}.")
    if forecast.per_day > 0:
        words.append(f"Use grows by {said(float(f'{forecast.per_day:.3g}'))}{unit} a day.")
    words.append(f"We ask for {said(desired)}{unit}, to last until {until.date()}.")
    return " ".join(words)


def _band(forecast: Forecast) -> str:
    if forecast.earliest is None or forecast.earliest.date() == forecast.reaches.date():  # type: ignore[union-attr]
        return ""
    latest = f"and {forecast.latest.date()}" if forecast.latest else "and later than can be foreseen"
    return f", between {forecast.earliest.date()} {latest}"
