"""The pages: server-rendered, readable without JavaScript; each button posts to what the API also calls."""

from fastapi import APIRouter

from prodsprints.web.pages import (
    contacts,
    dependencies,
    drills,
    environments,
    evidence,
    home,
    imports,
    incidents,
    indicators,
    login,
    notifications,
    projects,
    quotas,
    releases,
    reports,
    reviews,
    risks,
    services,
    signatures,
    status,
)
from prodsprints.web.pages.render import no_such_page, refusal

__all__ = ["no_such_page", "refusal", "router"]

router = APIRouter()
for _part in (
    *(home, risks, signatures, incidents, reports, imports, reviews, indicators, contacts, notifications),
    *(drills, evidence, projects, environments, dependencies, services, quotas, releases, login, status),
):
    router.include_router(_part.router)
