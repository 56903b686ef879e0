"""What a caller may do to projects, releases and drills: one function for each, behind the API and the page's buttons.

What changes something is noted in the audit log before it is done.
"""

from __future__ import annotations

import logging
from pathlib import Path
from uuid import UUID

from prodsprints.controls.backups.soft_delete import DeletedProject, SoftDelete
from prodsprints.controls.integrations import git_address
from prodsprints.drills import policy, runs
from prodsprints.drills.catalog import Drill
from prodsprints.drills.errors import DrillRefusedError
from prodsprints.drills.journal import Journal
from prodsprints.drills.runs import DrillRun
from prodsprints.incidents import typed
from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.validation import nearest
from prodsprints.register.errors import UnknownRiskError
from prodsprints.release import mirrors, records, requests
from prodsprints.release.records import Environment, Release
from prodsprints.store.leases import Lease
from prodsprints.web import words
from prodsprints.web.errors import NoDrillError, NotFoundError, ReleaseEndedError, TooManyDrillsError
from prodsprints.web.identity import Caller
from prodsprints.web.site import Site

_log = logging.getLogger(__name__)

_LOOKED_AT = 200
_MOST_WAITING = 25


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
    """Queue a release of a repository: of a remote one at its address, or of one on this machine.

    `path` is absolute then, since the caller's directory is not ours.
    """
    remote = git_address.is_remote(path)
    if not remote and ("\x00" in path or not Path(path).is_absolute()):
        raise UsageError(
            f"{path[:200]!r} is no absolute path.",
            next_step="Give the repository's full path on this machine, or its https:// address.",
        )
    where = mirrors.address_of(here.db, here.settings, caller.tenant_id, path) if remote else Path(path)
    _note(here, caller, "release", f"release {id}")
    release = requests.request_release(
        here.db,
        caller.tenant_id,
        node=here.settings.node,
        actor=caller.actor,
        path=where,
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
    _note(here, caller, "abort", f"release {release_id}")
    if not records.request_abort(here.db, caller.tenant_id, release_id):
        raise _ended(found)
    _log.info("%s asked release %s to stop", caller.actor, release_id)
    return release(here, caller, release_id)


def promote(here: Site, caller: Caller, release_id: UUID) -> Release:
    """Ask a canary to go to 100 % without its verdict. Raises ReleaseEndedError when it is over."""
    found = release(here, caller, release_id)
    _note(here, caller, "promote", f"release {release_id}")
    if not records.request_promote(here.db, caller.tenant_id, release_id):
        raise _ended(found)
    _log.info("%s promoted release %s by hand", caller.actor, release_id)
    return release(here, caller, release_id)


def roll_back(here: Site, caller: Caller, environment_id: UUID, *, id: UUID) -> Release:
    """Queue a rollback of an environment to the version that was kept before."""
    found = environment(here, caller, environment_id)
    _note(here, caller, "roll back", f"environment {environment_id}")
    rollback = requests.request_rollback(here.db, actor=caller.actor, environment=found, id=id)
    _log.info("%s asked for rollback %s of environment %s", caller.actor, rollback.id, environment_id)
    return rollback


def unlock(here: Site, caller: Caller, environment_id: UUID, *, force: bool) -> Lease | None:
    """Take an environment's lock away; None when nobody held it."""
    found = environment(here, caller, environment_id)
    _note(here, caller, "unlock by force" if force else "unlock", f"environment {environment_id}")
    broken = requests.unlock(here.db, found, force=force)
    _log.info("%s unlocked environment %s (force: %s)", caller.actor, environment_id, force)
    return broken


def delete_project(here: Site, caller: Caller, name: str) -> DeletedProject:
    """Delete a project, softly. Raises NoSuchProjectError, ReleaseUnderWayError."""
    _note(here, caller, "delete", f"project {name}")
    deleted = SoftDelete(here.db).delete(caller.tenant_id, name, actor=caller.actor)
    _log.info("%s deleted project %s", caller.actor, name)
    return deleted


def undelete_project(here: Site, caller: Caller, name: str) -> list[Release]:
    """Bring a deleted project back; the releases by which it serves again. Raises NoSuchProjectError."""
    _note(here, caller, "undelete", f"project {name}")
    begun = SoftDelete(here.db).undelete(caller.tenant_id, name, actor=caller.actor)
    _log.info("%s brought project %s back", caller.actor, name)
    return [release(here, caller, id) for id in begun]


def break_it(here: Site, caller: Caller, row: str, *, variant: str | None, environment: str, id: UUID) -> DrillRun:
    """Queue a drill of `row`. Raises UnknownRiskError, NoDrillError, DrillRefusedError, TooManyDrillsError."""
    known = runs.run(here.db, caller.tenant_id, id)
    if known is not None:
        return known  # the same click
    drill = _drill(here, caller, row, variant)
    experiment = drill.experiment
    placebo = runs.newest_placebo(here.db, caller.tenant_id, row=row, variant=experiment.variant, digest=drill.digest)
    refused = policy.refusal(row, experiment.safety, typed.environment(environment), has_placebo=placebo is not None)
    if refused is not None:
        raise DrillRefusedError(refused.why, next_step=refused.next_step)
    waiting = [run for run in runs.runs(here.db, caller.tenant_id, limit=_LOOKED_AT) if run.status == "queued"]
    if len(waiting) >= _MOST_WAITING:
        raise TooManyDrillsError(
            f"{len(waiting)} drills wait already, and they are run one at a time.",
            next_step="Wait for some of them to end: /drills shows them.",
        )
    _note(here, caller, "drill", f"{row} {experiment.variant} in {environment}")
    run = runs.request_run(
        here.db,
        caller.tenant_id,
        row=row,
        variant=experiment.variant,
        environment=environment,
        actor=caller.actor,
        id=id,
    )
    _log.info("%s asked for drill run %s", caller.actor, run.id)
    return run


def drill_run(here: Site, caller: Caller, run_id: UUID) -> DrillRun:
    """The caller's drill run with this id. Raises NotFoundError."""
    found = runs.run(here.db, caller.tenant_id, run_id)
    if found is None:
        raise NotFoundError(f"There is no drill run {run_id}.", next_step="GET /v1/drill-runs lists them.")
    return found


def journal(here: Site, caller: Caller, sha256: str) -> Journal:
    """The caller's journal with this hash. Raises NotFoundError."""
    found = runs.journal(here.db, caller.tenant_id, sha256)
    if found is None:
        raise NotFoundError(
            f"There is no journal {sha256[:64]}.",
            next_step="An entry of /v1/evidence names the journals that there are.",
        )
    return found


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


def _drill(here: Site, caller: Caller, row: str, variant: str | None) -> Drill:
    known = {one.id: one for one in here.register_of(caller.tenant_id).mitigations}
    if row not in known:
        raise UnknownRiskError(
            f"There is no row {row[:60]!r} in the register.",
            next_step=f"/drills lists what can be broken{nearest(row, known) or '.'}",
        )
    if not known[row].drills:
        missing = words.listed([str(part) for part in known[row].missing])
        raise NoDrillError(
            f"{row} cannot be broken yet: nothing here names its {missing}.",
            why=f"“{known[row].title}” is a claim so far.",
            next_step="/drills lists what can be broken; `prodsprints drill new` begins another one.",
        )
    return here.catalog.find(row, variant)


def _note(here: Site, caller: Caller, action: str, subject: str) -> None:
    here.audit(caller.tenant_id).record(caller.actor, action, subject)


def _ended(release: Release) -> ReleaseEndedError:
    return ReleaseEndedError(
        f"Release {release.number} of {release.project} has ended already: {release.status.replace('_', ' ')}.",
        next_step="Release again, or roll the environment back.",
    )
