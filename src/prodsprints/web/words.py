"""How the pages say things: a status and its tone, a duration, how long ago; pure functions for the templates."""

from __future__ import annotations

import re
from datetime import datetime

from prodsprints.drills.runs import DrillRun
from prodsprints.release.progress import Step
from prodsprints.release.records import Release

_INCIDENT = re.compile(r"Incident [0-9a-f]{8}-[0-9a-f-]{27} happened")
_STATUS = {
    "queued": ("Queued", "idle"),
    "running": ("Running", "live"),
    "released": ("Released", "good"),
    "rolled_back": ("Rolled back", "warn"),
    "refused": ("Refused", "bad"),
    "failed": ("Failed", "bad"),
    "aborted": ("Aborted", "warn"),
    "done": ("Done", "good"),
    "skipped": ("Skipped", "idle"),
    "held": ("Held", "good"),
    "none": ("No verdict", "warn"),
    "invalid": ("Invalid", "bad"),
    "contradicted": ("Contradicted", "bad"),
    "failing": ("Failing", "bad"),
    "unproven": ("Unproven", "idle"),
    "stale": ("Stale", "warn"),
    "attested": ("Attested", "good"),
    "proven": ("Proven", "good"),
    "waiting": ("Waiting", "live"),
    "delivered": ("Delivered", "good"),
    "dead": ("Not delivered", "bad"),
    "ok": ("Within", "good"),
    "warn": ("Close to its threshold", "warn"),
    "breach": ("Beyond its threshold", "bad"),
    "no-data": ("No data", "idle"),
    "up": ("Works", "good"),
    "degraded": ("Degraded", "warn"),
    "down": ("Down", "bad"),
    "unknown": ("Not measured", "idle"),
    "investigating": ("Investigating", "bad"),
    "identified": ("Identified", "warn"),
    "monitoring": ("Monitoring", "live"),
    "resolved": ("Resolved", "good"),
    "closed": ("Closed", "good"),
    "half-open": ("Half-open", "warn"),
    "open": ("Open", "bad"),
    "silent": ("Not heard of", "idle"),
    "quota-reached": ("Reached", "bad"),
    "quota-due": ("Ask for more", "warn"),
    "quota-soon": ("Foreseen", "live"),
    "quota-steady": ("Enough", "good"),
    "quota-unknown": ("Not enough data", "idle"),
}
_QUOTA_REQUESTS = {
    "drafted": ("Drafted, waits for a person", "warn"),
    "asked": ("Being sent", "live"),
    "sent": ("With the provider", "live"),
    "granted": ("Granted", "good"),
    "denied": ("Denied", "bad"),
    "dropped": ("Dropped", "idle"),
}
_PEER_CLASSES = {
    "service": "the real service",
    "engine": "the real program, run locally",
    "double": "a double of ours, not the real thing",
}
_ROLES = {
    "drill": "drills: test results",
    "person": "persons: attestations, acceptances, incidents, reviews",
    "platform": "the platform: operations, documents, keys",
    "log": "the log: checkpoints",
}


def status(name: str) -> str:
    """A status as a word for people: `Rolled back`."""
    return _STATUS[name][0]


def tone(name: str) -> str:
    """Which colour a status has: good, bad, warn, live or idle."""
    return _STATUS[name][1]


def after(seconds: float | None) -> str:
    """How long something took to arrive: `after 0.4 s`."""
    if seconds is None:
        return ""
    return f"after {seconds:.1f} s" if seconds < 60 else f"after {seconds / 60:.0f} min"


def quota_request(state: str) -> str:
    """What a request to raise a limit is at."""
    return _QUOTA_REQUESTS[state][0]


def quota_request_tone(state: str) -> str:
    """Which colour that has."""
    return _QUOTA_REQUESTS[state][1]


def quota_source(source: str) -> str:
    """Where a limit comes from."""
    return {"provider": "the provider's API", "published": "what the provider publishes"}.get(source, "by hand")


def meanwhile(release: Release) -> str:
    """What stands for the reason of a release that has not ended."""
    return {"queued": "Waits for its turn.", "running": "Under way."}.get(release.status, "–")


def run_state(run: DrillRun) -> str:
    """What is to be said of a drill's run: its outcome once it has one, else how far it is."""
    return run.outcome or run.status


def run_meanwhile(run: DrillRun) -> str:
    """What stands for the reason of a run that has not ended."""
    return {"queued": "Waits for its turn; one drill runs at a time.", "running": "Both arms are being played."}.get(
        run.status, "–"
    )


def peer_class(name: str) -> str:
    """What a peer's class means."""
    return _PEER_CLASSES[name]


def role(name: str) -> str:
    """What a key of that role may say."""
    return _ROLES[name]


def row_page(row: str) -> str:
    """Where a row is shown."""
    return f"/rows/{row}"


def sentence(text: str) -> str:
    """`text` as a sentence: a capital first, and an end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def measured(value: float, unit: str) -> str:
    """`99.87 %`, `0.4 s`, `3 days`, `2`."""
    said = f"{value:.4g}"
    return f"{said} {unit}" if unit else said


def yearly(events: float) -> str:
    """`1.2 a year`, `less than 0.01 a year`."""
    return f"{events:.2g} a year" if events >= 0.01 else "less than 0.01 a year"


def reason(text: str) -> str:
    """A status' reason for people: which incident it was, a page says by its title and not by its number."""
    return _INCIDENT.sub("An incident happened", text)


def step(name: str) -> str:
    """A step's name as a heading: `Roll back`, `SBOM`."""
    return {"sbom": "SBOM"}.get(name, name.capitalize())


def step_tone(step: Step) -> str:
    """The colour of a step's mark; a rollout that did its work by rejecting is no success of the version."""
    return "warn" if step.detail.get("decision") == "reject" else tone(step.status)


def duration(seconds: float) -> str:
    """`7 ms`, `0.4 s`, `12 s`, `2 min 5 s`, `3 h 4 min`."""
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def ago(moment: datetime, now: datetime) -> str:
    """`just now`, `12 s ago`, `5 min ago`, `3 h ago`, else the date."""
    seconds = (now - moment).total_seconds()
    if seconds < 5:
        return "just now"
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 86_400:
        return f"{seconds // 3600:.0f} h ago"
    return moment.date().isoformat()


def took(part: Release | Step | DrillRun, now: datetime) -> str:
    """How long a release, a step or a drill took, or has been taking so far; empty before it began."""
    if part.started_at is None:
        return ""
    return duration(max(0.0, ((part.finished_at or now) - part.started_at).total_seconds()))


def rate(value: float) -> str:
    """`0`, `0.4`, `12`, `1,250`."""
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def outcome(name: str) -> str:
    """How a call ended: `Circuit open`."""
    return name.replace("-", " ").capitalize()


def count(number: int, noun: str) -> str:
    """`1 risk`, `24 risks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: list[str]) -> str:
    """`control`, `control and drill`, `control, drill and attestation`."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
