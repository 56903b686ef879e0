"""The /v1 API: one module for each thing it speaks about."""

from fastapi import APIRouter

from prodsprints.web.api import (
    dependencies,
    drills,
    environments,
    evidence,
    governance,
    incidents,
    notifications,
    platform,
    projects,
    quotas,
    register,
    releases,
    signatures,
    status,
)

router = APIRouter(prefix="/v1")
scrape = dependencies.scrape
router.include_router(platform.router)
router.include_router(register.router)
router.include_router(signatures.router)
router.include_router(incidents.router)
router.include_router(governance.router)
router.include_router(notifications.router)
router.include_router(projects.router)
router.include_router(drills.router)
router.include_router(evidence.router)
router.include_router(environments.router)
router.include_router(quotas.router)
router.include_router(releases.router)
router.include_router(status.router)
router.include_router(dependencies.router)
