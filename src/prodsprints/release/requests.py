"""What people ask of a release: begin one, go back, stop waiting for a lock; each checked before it is queued."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

from prodsprints.controls.integrations.git_address import Address
from prodsprints.controls.integrations.mirror import check_ref
from prodsprints.kernel.errors import UsageError
from prodsprints.release import config, git, records, source
from prodsprints.release.errors import NothingToRollBackError
from prodsprints.release.records import Environment, Release
from prodsprints.store import leases
from prodsprints.store.database import Database
from prodsprints.store.errors import LeaseHeldError
from prodsprints.store.leases import Lease

DEFAULT_ENVIRONMENT = "production"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_STRATEGIES = ("canary", "direct")


def request_release(
    db: Database,
    tenant_id: UUID,
    *,
    node: str,
    actor: str,
    path: Path | Address,
    ref: str | None,
    environment: str | None,
    project: str | None,
    strategy: str | None,
    id: UUID,
) -> Release:
    """Queue a release of the commit that `ref` (default: HEAD of a clean tree) names in the repository at `path`.

    The configuration is the commit's own. `id` is the caller's, so that a repeated request queues nothing new.
    The commit of a remote repository is found by the release itself, which can take longer than a request may: so its
    project is called as the address says, whatever the commit does.
    """
    if strategy is not None and strategy not in _STRATEGIES:
        raise UsageError(f"There is no strategy {strategy!r}.", next_step=f"Use one of: {', '.join(_STRATEGIES)}.")
    options: dict[str, Any] = {"strategy": strategy} if strategy else {}
    if isinstance(path, Address):
        check_ref(ref)
        repository, commit, label, name = path.url, "", ref or "HEAD", _slug(path.name)
        options |= {"ref": ref}
    else:
        found = source.resolve(path, ref)
        repository, commit, label = str(found.path), found.commit, found.label
        name = committed_config(found).for_environment(environment).name or _slug(found.path.name)
    target = records.ensure_environment(
        db,
        tenant_id,
        project=_name("project", project or name),
        repository=repository,
        environment=_name("environment", environment or DEFAULT_ENVIRONMENT),
        node=node,
    )
    return records.add(
        db,
        target,
        id=id,
        kind="release",
        repository=repository,
        commit=commit,
        label=label,
        requested_by=actor,
        options=options,
    )


def request_rollback(db: Database, *, actor: str, environment: Environment, id: UUID) -> Release:
    """Queue a rollback to the version that was kept before the current one. Raises NothingToRollBackError."""
    earlier = records.previous(db, environment)
    if earlier is None:
        raise NothingToRollBackError(
            f"{environment.project} has no earlier version in {environment.name} to go back to.",
            why="Only versions that were released and kept count.",
            next_step="Release the commit you want: `prodsprints release --ref COMMIT`.",
        )
    return records.add(
        db,
        environment,
        id=id,
        kind="rollback",
        repository=earlier.repository,
        commit=earlier.commit,
        label=earlier.label,
        digest=earlier.digest,
        requested_by=actor,
        # a rollback to what was itself rolled back to: only the release that was audited knows how it is run
        options={"of": earlier.options.get("of", str(earlier.id))},
    )


def unlock(db: Database, environment: Environment, *, force: bool) -> Lease | None:
    """Take an environment's lock away; None when nobody holds it.

    A dead owner's lease ends by itself within seconds. With `force` a living one loses it too: its release is fenced,
    and the next worker takes it up, to end it as aborted. Raises LeaseHeldError without `force`.
    """
    with db.tenant(environment.tenant_id) as connection:
        held = leases.holder(connection, environment.tenant_id, environment.lease)
        if held is None:
            return None
        alive = connection.execute("select %s::timestamptz > now() as alive", [held.expires_at]).fetchone()
        if not force and alive and alive["alive"]:
            raise LeaseHeldError(
                f"{environment.project}/{environment.name} is locked by worker {held.owner}, which is alive.",
                why="A release is running there.",
                next_step="Wait for it, abort it, or take the lock away with `prodsprints unlock --force`.",
            )
        connection.execute(
            "update releases set abort_requested_at = coalesce(abort_requested_at, now())"
            " where environment_id = %s and status = 'running'",
            [environment.id],
        )
        return leases.break_(connection, environment.tenant_id, environment.lease)


def committed_config(found: source.Source) -> config.Config:
    """`prodsprints.yaml` as the commit has it; defaults where it has none."""
    repository = git.find(found.path)
    answer = git.ask(repository, "cat-file", "blob", f"{found.commit}:{config.FILE_NAME}")
    return config.parse(answer.output if answer.ok else b"version: 1\n", name=config.FILE_NAME)


def _name(kind: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of {'an' if kind == 'environment' else 'a'} {kind}.",
            why="Names are up to 40 lower-case letters, digits and hyphens.",
            next_step="Give another with --env."
            if kind == "environment"
            else f"Give another with --project, or as `name:` in {config.FILE_NAME}.",
        )
    return name


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "project"
