"""What a caller may do to services and to what is told of incidents: the functions behind the API and the buttons."""

from __future__ import annotations

import logging
from uuid import UUID

from prodsprints.controls.dns import names
from prodsprints.controls.integrations import services
from prodsprints.controls.integrations.services import Service
from prodsprints.incidents import publishing
from prodsprints.incidents.publishing import Published
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.web.identity import Caller
from prodsprints.web.site import Site

_log = logging.getLogger(__name__)

_RESOLVE_SECONDS = 2.0


def watch(
    here: Site,
    caller: Caller,
    *,
    name: str,
    url: str,
    expected_status: int | None,
    interval_seconds: float,
    public: bool,
    id: UUID,
) -> Service:
    """Declare a service. Raises ServiceInputError, ForbiddenAddressError, NameTakenError, TooManyServicesError."""
    _note(here, caller, "watch a service", f"service {id}")
    made = services.watch(
        here.db,
        caller.tenant_id,
        id=id,
        name=name,
        url=url,
        expected_status=expected_status,
        interval_seconds=interval_seconds,
        is_public=public,
        inward=caller.tenant_id == here.reader_tenant_id(),
        resolve=_resolve,
    )
    _log.info("%s watches service %s", caller.actor, id)
    return made


def unwatch(here: Site, caller: Caller, service_id: UUID) -> Service:
    """Stop watching a service. Raises UnknownServiceError, OwnPartError."""
    _note(here, caller, "unwatch a service", f"service {service_id}")
    return services.unwatch(here.db, caller.tenant_id, service_id)


def show(here: Site, caller: Caller, service_id: UUID, *, publicly: bool) -> Service:
    """Put a service on the public page, or take it off. Raises UnknownServiceError."""
    _note(here, caller, "show a service" if publicly else "hide a service", f"service {service_id}")
    return services.show(here.db, caller.tenant_id, service_id, publicly=publicly)


def publish(
    here: Site, caller: Caller, incident_id: UUID, *, stage: str, words: str, title: str | None, id: UUID
) -> Published:
    """Tell everybody of an incident. Raises UnknownIncidentError, IncidentInputError, UsageError."""
    _note(here, caller, "publish an incident", f"incident {incident_id}")
    return publishing.publish(
        here.db, caller.tenant_id, incident_id, id=id, stage=stage, words=words, title=title, actor=caller.actor
    )


def withdraw(here: Site, caller: Caller, incident_id: UUID) -> None:
    """Tell nothing of an incident any more. Raises NotPublishedError."""
    _note(here, caller, "withdraw an incident", f"incident {incident_id}")
    publishing.withdraw(here.db, caller.tenant_id, incident_id)


def _resolve(host: str) -> tuple[str, ...]:
    try:
        return names.of_this_process().resolve(host, within_seconds=_RESOLVE_SECONDS).addresses
    except ProdSprintsError:
        return ()  # it may not be there yet; each look asks again


def _note(here: Site, caller: Caller, action: str, subject: str) -> None:
    here.audit(caller.tenant_id).record(caller.actor, action, subject)
