"""Where the pages are: the bar that every page has, and below it the line of those that belong together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One entry: the section of the pages that it leads to, its word, its address."""

    section: str
    title: str
    href: str


BAR = (
    Place("overview", "Overview", "/"),
    Place("risks", "Risks", "/risks"),
    Place("drills", "Drills", "/drills"),
    Place("evidence", "Evidence", "/evidence"),
    Place("reviews", "Reviews", "/reviews"),
    Place("releases", "Releases", "/releases"),
    Place("environments", "Environments", "/environments"),
    Place("projects", "Projects", "/projects"),
)
_BELOW = {
    "risks": (
        Place("risks", "All risks", "/risks"),
        Place("incidents", "Incidents", "/incidents"),
        Place("reports", "Reports", "/reports"),
        Place("import", "Import", "/import"),
    ),
    "reviews": (
        Place("reviews", "Calendar", "/reviews"),
        Place("indicators", "Indicators", "/indicators"),
        Place("trend", "Trend", "/trend"),
        Place("contacts", "Contacts", "/contacts"),
        Place("notifications", "Notifications", "/notifications"),
    ),
    "environments": (
        Place("environments", "Environments", "/environments"),
        Place("services", "Services", "/services"),
        Place("dependencies", "Dependencies", "/dependencies"),
        Place("quotas", "Quotas", "/quotas"),
        Place("status", "Status page", "/status"),
    ),
}


def entry(section: str) -> str:
    """The entry of the bar that a page of `section` belongs to."""
    return next((name for name, places in _BELOW.items() if any(one.section == section for one in places)), section)


def below(section: str) -> tuple[Place, ...]:
    """The line below the bar on a page of `section`; most pages have none."""
    return _BELOW.get(entry(section), ())
