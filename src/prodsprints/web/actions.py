"""What a caller may do to projects and releases: the one set of functions behind the API and the page's buttons."""

from __future__ import annotations

import logging
from pathlib import Path
from uuid import UUID

from prodsprints.controls.backups.soft_delete import DeletedProject, SoftDelete
from prodsprints.kernel.errors import UsageError
from prodsprints.release import records, requests
from prodsprints.release.records import Environment, Release
from prodsprints.store.leases import Lease
from prodsprints.web.errors import NotFoundError, ReleaseEndedError
from prodsprints.web.identity import Caller
from prodsprints.web.site import Site

_log = logging.getLogger(__name__)


def begin_release(
    here: Site,
    caller: Caller,
    *,
    path: str,
    ref: str | None,
    environment: str | None,
    project: str | None,
    strategy: str | None,
    id: UUID,
) -> Release:
    """Queue a release of a repository on this machine; `path` is absolute, since the caller's directory is not ours."""
    if "\x00" in path or not Path(path).is_absolute():
        raise UsageError(
            f"{path[:200]!r} is no absolute path.", next_step="Give the repository's full path on this machine."
        )
    release = requests.request_release(
        here.db,
        caller.tenant_id,
        node=here.settings.node,
        actor=caller.actor,
        path=Path(path),
        ref=ref,
        environment=environment,
        project=project,
        strategy=strategy,
        id=id,
    )
    _log.info("%s asked for release %s", caller.actor, release.id)
    return release


def abort(here: Site, caller: Caller, release_id: UUID) -> Release:
    """Ask a release to stop and go back. Raises ReleaseEndedError when it is over."""
    found = release(here, caller, release_id)
    if not records.request_abort(here.db, caller.tenant_id, release_id):
        raise _ended(found)
    _log.info("%s asked release %s to stop", caller.actor, release_id)
    return release(here, caller, release_id)


def promote(here: Site, caller: Caller, release_id: UUID) -> Release:
    """Ask a canary to go to 100 % without its verdict. Raises ReleaseEndedError when it is over."""
    found = release(here, caller, release_id)
    if not records.request_promote(here.db, caller.tenant_id, release_id):
        raise _ended(found)
    _log.info("%s promoted release %s by hand", caller.actor, release_id)
    return release(here, caller, release_id)


def roll_back(here: Site, caller: Caller, environment_id: UUID, *, id: UUID) -> Release:
    """Queue a rollback of an environment to the version that was kept before."""
    found = environment(here, caller, environment_id)
    rollback = requests.request_rollback(here.db, actor=caller.actor, environment=found, id=id)
    _log.info("%s asked for rollback %s of environment %s", caller.actor, rollback.id, environment_id)
    return rollback


def unlock(here: Site, caller: Caller, environment_id: UUID, *, force: bool) -> Lease | None:
    """Take an environment's lock away; None when nobody held it."""
    broken = requests.unlock(here.db, environment(here, caller, environment_id), force=force)
    _log.info("%s unlocked environment %s (force: %s)", caller.actor, environment_id, force)
    return broken


def delete_project(here: Site, caller: Caller, name: str) -> DeletedProject:
    """Delete a project, softly. Raises NoSuchProjectError, ReleaseUnderWayError."""
    deleted = SoftDelete(here.db).delete(caller.tenant_id, name, actor=caller.actor)
    _log.info("%s deleted project %s", caller.actor, name)
    return deleted


def undelete_project(here: Site, caller: Caller, name: str) -> list[Release]:
    """Bring a deleted project back; the releases by which it serves again. Raises NoSuchProjectError."""
    begun = SoftDelete(here.db).undelete(caller.tenant_id, name, actor=caller.actor)
    _log.info("%s brought project %s back", caller.actor, name)
    return [release(here, caller, id) for id in begun]


def release(here: Site, caller: Caller, release_id: UUID) -> Release:
    """The caller's release with this id. Raises NotFoundError."""
    found = records.get(here.db, caller.tenant_id, release_id)
    if found is None:
        raise NotFoundError(f"There is no release {release_id}.", next_step="GET /v1/releases lists them.")
    return found


def environment(here: Site, caller: Caller, environment_id: UUID) -> Environment:
    """The caller's environment with this id. Raises NotFoundError."""
    found = records.environment(here.db, caller.tenant_id, environment_id)
    if found is None:
        raise NotFoundError(f"There is no environment {environment_id}.", next_step="GET /v1/environments lists them.")
    return found


def _ended(release: Release) -> ReleaseEndedError:
    return ReleaseEndedError(
        f"Release {release.number} of {release.project} has ended already: {release.status.replace('_', ' ')}.",
        next_step="Release again, or roll the environment back.",
    )
