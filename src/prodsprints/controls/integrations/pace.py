"""When a service is looked at: so often that its end shows within one interval, also when the looks themselves hang."""

from __future__ import annotations

from prodsprints.controls.integrations.health import Standing

_SPACING = 0.4
_JITTER = 0.1
_SOON = 0.05
_TIMEOUT = 0.2
_LONGEST_TIMEOUT_SECONDS = 5.0
_GAP = 2.0


def timeout_seconds(interval_seconds: float) -> float:
    """How long one look may take; longer is a failure."""
    return min(_TIMEOUT * interval_seconds, _LONGEST_TIMEOUT_SECONDS)


def slow_seconds(interval_seconds: float) -> float:
    """What counts as a slow answer."""
    return timeout_seconds(interval_seconds) / 2


def longest_gap_seconds(interval_seconds: float) -> float:
    """After how long without a look the time before the next one was not measured."""
    return _GAP * interval_seconds


def next_look_seconds(standing: Standing, interval_seconds: float, share: float) -> float:
    """From the end of one look to the beginning of the next; `share` (0 to 1) spreads the services apart.

    Two failures decide. The worst case is a service that dies just after it was looked at and then hangs: spacing, a
    look, the wait before the look that confirms it, and that look come to 0.85 intervals.
    """
    part = _SPACING - _JITTER * share if standing.is_settled else _SOON
    return part * interval_seconds
