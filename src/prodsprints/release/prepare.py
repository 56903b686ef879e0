"""What happens to a commit before it meets traffic: audited, gated, made an image, and its database migrated."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from prodsprints.controls.integrations import git_address
from prodsprints.controls.integrations.mirror import Mirrors
from prodsprints.kernel.clock import iso
from prodsprints.release import appdb, config, progress, records, source
from prodsprints.release.appdb import ApplicationDatabase
from prodsprints.release.audit import Application
from prodsprints.release.audit import audit as examine
from prodsprints.release.config import ReleaseConfig, Rollout
from prodsprints.release.errors import CannotReleaseError, MigrationError, NothingToRollBackError
from prodsprints.release.gates import account as account_gate
from prodsprints.release.gates import bill
from prodsprints.release.gates import register as register_gate
from prodsprints.release.gates import secrets as secrets_gate
from prodsprints.release.gates import tests as tests_gate
from prodsprints.release.gates.result import GateResult
from prodsprints.release.image.build import Image, build
from prodsprints.release.image.environment import Runtime, runtime_environment
from prodsprints.release.image.unpack import unpack
from prodsprints.release.mirrors import mirrors
from prodsprints.release.output import Output
from prodsprints.release.requests import committed_config
from prodsprints.release.run import Outcome, Run
from prodsprints.release.source import Source
from prodsprints.release.targets import Workload
from prodsprints.runtime import sandbox, users
from prodsprints.runtime.sandbox import Completed
from prodsprints.store.address import Address
from prodsprints.store.database import Database, patient

_MIGRATION_SECONDS = 600.0
_AHEAD = "Can't locate revision identified by"  # Alembic's words for a migration of a later commit


def find_source(run: Run) -> Outcome:
    """The commit, where the later steps read it: in a repository on this machine, or in the mirror of a remote one."""
    if not git_address.is_remote(run.release.repository):
        found = _source(run)
        return Outcome("done", f"{found.label} is {found.commit[:12]}, in {found.path}.")
    ref = run.release.options.get("ref")
    with Output(run) as output:
        obtained = _mirrors(run).obtain(git_address.parse(run.release.repository), ref, pulse=_telling(output))
    run.found(obtained.commit, source.resolve(obtained.path, obtained.commit, called=ref).label)
    if obtained.from_mirror:
        run.degraded("git-host", f"{obtained}", mirror_age_seconds=round(obtained.age_seconds, 3))
    detail = {
        "from_mirror": obtained.from_mirror,
        "fetched_at": iso(obtained.fetched_at),
        "mirror_age_seconds": round(obtained.age_seconds, 3),
        "why": obtained.why,
        "notes": list(obtained.notes),
    }
    return Outcome("done", " ".join((f"{obtained}", *obtained.notes)), detail)


def audit(run: Run) -> Outcome:
    """Export the commit, and find out what it is and how it is run."""
    tree = run.tree()
    shutil.rmtree(tree, ignore_errors=True)
    tree.parent.mkdir(parents=True, exist_ok=True)
    tree.parent.parent.chmod(0o711)
    source.export(_source(run), tree)
    settings = _settings(run)
    found = examine(tree, settings)
    for finding in found.findings:
        run.say(f"{finding.place}: {finding.key}: {finding.value}", "finding", **asdict(finding))
    for refusal in found.refusals:
        where = f"{refusal.place}: " if refusal.place else ""
        run.say(f"{where}{refusal.reason} {refusal.next_step}", "refusal", **asdict(refusal))
    if found.application is None:
        first = found.refusals[0] if found.refusals else None
        raise CannotReleaseError(
            first.reason if first else "The audit found no web application.",
            next_step=first.next_step if first else f"Name its command as `web:` in {config.FILE_NAME}.",
        )
    app = found.application
    summary = f"{app.framework}: {' '.join(app.web)}; {len(found.findings)} findings"
    return Outcome("done", summary, {"application": asdict(app), "findings": [asdict(one) for one in found.findings]})


def account(run: Run) -> Outcome:
    """The credentials that this release would deploy with belong to the account that the commit names."""
    stated = _settings(run).providers.aws
    if stated is None:
        return Outcome("skipped", f"{config.FILE_NAME} names no provider account: none was asked.")
    checked = account_gate.check(
        stated, home=run.settings.home, guards=run.guards, degraded=run.degraded, learn=run.redactor.learn
    )
    return _gate(run, checked)


def register(run: Run) -> Outcome:
    """Nothing that was proven where this release goes fails now; asked where the commit wants to be held to that."""
    wanted = _settings(run).gate
    if wanted is None:
        return Outcome("skipped", f"{config.FILE_NAME} has no `gate`: the register was not asked.")
    place = run.environment
    return _gate(
        run,
        register_gate.check(run.db, run.settings, place.tenant_id, environment=place.name, require=wanted.require),
    )


def tests(run: Run) -> Outcome:
    """The repository's own tests, confined, without our keys or addresses in reach."""
    work = run.workspace / "tests"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        with Output(run) as output:
            result = tests_gate.check(
                run.tree(),
                application(run),
                cache=_cache(run),
                work=work,
                guards=run.guards,
                on_line=output.line,
                pulse=output.pulse,
            )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _gate(run, result)


def secrets(run: Run) -> Outcome:
    """No credential goes out with the commit."""
    return _gate(run, secrets_gate.check(run.tree()))


def image(run: Run) -> Outcome:
    """The commit and its dependencies as one OCI image; the same input gives the same digest."""
    with Output(run) as output:
        made = build(
            run.tree(),
            application(run),
            source=_source(run),
            layout=_layout(run),
            cache=_cache(run),
            guards=run.guards,
            on_line=output.line,
            pulse=output.pulse,
        )
    records.set_digest(run.db, run.release, made.digest)
    return Outcome("done", f"Image {made.digest[:19]}…", {"digest": made.digest})


def sbom(run: Run) -> Outcome:
    """What is in the image, as CycloneDX."""
    digest = run.outcome("image").detail["digest"]
    return _gate(run, bill.check(_layout(run), Image(digest), name=application(run).name, source=_source(run)))


def migrate(run: Run) -> Outcome:
    """Bring the application's database up to this version: only additions, and only while we hold the lease."""
    app = application(run)
    if not app.migrate or not app.needs_database:
        why = "it has no migrations" if not app.migrate else "its database lives beside its code and starts empty"
        return Outcome("skipped", f"Nothing to migrate: {why}.")
    done = _migrated(
        run.db, run, runtime_environment(_unpacked(run, run.outcome("image").detail["digest"]), app.migrate)
    )
    if any(_AHEAD in line for line in done.tail):
        return Outcome("skipped", "The database is ahead of this commit's migrations. They only add, so it can run.")
    if done.timed_out or done.exit_code != 0:
        how = (
            f"ran longer than {_MIGRATION_SECONDS:.0f} s"
            if done.timed_out
            else f"ended with exit code {done.exit_code}"
        )
        refused = next((line for line in done.tail if "expand-only:" in line), "")
        raise MigrationError(
            f"The migration {how}.",
            why=run.redactor.text(refused or " ".join(done.tail[-3:]))[:600],
            next_step="Only add in this release; remove in a later one, when nothing uses it anymore."
            if refused
            else f"Run it by hand against a copy of the database: {' '.join(app.migrate)}",
        )
    return Outcome("done", f"Migrated with `{' '.join(app.migrate)}` in {done.seconds:.1f} s.")


@patient
def _migrated(db: Database, run: Run, runtime: Runtime) -> Completed:
    """Run the migration; from its start again when PostgreSQL went away meanwhile, as after the death of a worker."""
    admin = _admin(db, run)
    database = appdb.provision(admin, run.environment, key_file=_key_file(run))
    scratch = run.workspace / "migrate"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(runtime.workdir, scratch, symlinks=True)
    user = users.unprivileged(f"app:{run.environment.key}")
    users.give(scratch, user)
    with appdb.migration_url(admin, database, run.fencing_token) as url, Output(run) as output:
        run.redactor.learn(url)
        environment = {**_relocated(runtime, str(scratch)), **_stated(run), "DATABASE_URL": url, "HOME": str(scratch)}
        confinement = sandbox.Confinement(writable=(scratch,), readable=runtime.readable, network=True, user=user)
        return sandbox.run(
            runtime.argv,
            cwd=scratch,
            env=environment,
            confinement=confinement,
            timeout_seconds=_MIGRATION_SECONDS,
            on_line=output.line,
            pulse=output.pulse,
        )


def application(run: Run) -> Application:
    """What the audit found, as the later steps need it."""
    return _revived(run.outcome("audit").detail["application"])


def workload(run: Run) -> Workload:
    """The image as the target is to run it, with the variables that this environment gives it."""
    release_of = run.release.options.get("of")
    app = _application_of(run, release_of) if release_of else application(run)
    digest = str(run.release.digest if release_of else run.outcome("image").detail["digest"])
    rootfs = _unpacked(run, digest)
    runtime = runtime_environment(rootfs)
    env = {**_relocated(runtime, "{app}"), **_stated(run)}
    secret_values: tuple[str, ...] = ()
    if app.needs_database:
        database = _provisioned(run.db, run)
        env["DATABASE_URL"] = database.url
        secret_values = (database.url, database.password)
        run.redactor.learn(*secret_values)
    return Workload(
        release=str(run.release.id),
        label=run.release.label,
        digest=digest,
        rootfs=rootfs,
        readable=runtime.readable,
        workdir=str(runtime.workdir.relative_to(rootfs)),
        argv=runtime.argv,
        env=env,
        # A database beside the code (SQLite) is as new as the instance: it is migrated there, before the start.
        prepare=() if app.needs_database or not app.migrate else (app.migrate,),
        health_path=app.health_path,
        health_any=app.health_any,
    )


def plan(run: Run) -> Rollout:
    """How this commit wants to be rolled out, and what the requester said about it."""
    stated = _settings(run).rollout
    strategy = run.release.options.get("strategy")
    return stated.model_copy(update={"strategy": strategy}) if strategy else stated


def directly(run: Run) -> Rollout:
    """All at once: a rollback goes to what was kept before, and is waited for."""
    return _settings(run).rollout.model_copy(update={"strategy": "direct"})


@patient
def _provisioned(db: Database, run: Run) -> ApplicationDatabase:
    return appdb.provision(_admin(db, run), run.environment, key_file=_key_file(run))


def _gate(run: Run, result: GateResult) -> Outcome:
    for finding in result.findings:
        run.say(str(finding), "finding")
    detail: dict[str, Any] = {
        "findings": [{"value": one.text, "file": one.file, "line": one.line} for one in result.findings],
        "seconds": result.seconds,
        "next_step": result.next_step,
    }
    return Outcome("done" if result.passed else "refused", result.summary, detail)


def _source(run: Run) -> Source:
    return source.resolve(_repository(run), run.release.commit)


def _repository(run: Run) -> Path:
    """Where the commit is read. A rollback has no step `source`: its mirror may have to be fetched anew."""
    if not git_address.is_remote(run.release.repository):
        return Path(run.release.repository)
    address = git_address.parse(run.release.repository)
    if run.release.kind == "rollback":
        return _mirrors(run).obtain(address, run.release.commit).path
    return _mirrors(run).place(address)


def _mirrors(run: Run) -> Mirrors:
    return mirrors(run.db, run.settings, run.guards, run.release.tenant_id, learn=run.redactor.learn)


def _telling(output: Output) -> Callable[[str], None]:
    """What a fetch tells of its progress, once each, in the live log."""
    last = ""

    def pulse(progress: str) -> None:
        nonlocal last
        if progress and progress != last:
            last = progress
            output.line(progress)
        output.pulse()

    return pulse


def _settings(run: Run) -> ReleaseConfig:
    file = run.tree() / config.FILE_NAME
    whole = config.load(file) if file.exists() else committed_config(_source(run))
    return whole.for_environment(run.environment.name)


def _stated(run: Run) -> dict[str, str]:
    return dict(_settings(run).environment)


def _relocated(runtime: Runtime, app: str) -> dict[str, str]:
    """The image's variables, for an application that runs from a copy of its directory; its home is the runner's."""
    own = {name: value for name, value in runtime.env.items() if name not in {"HOME", "TMPDIR"}}
    return {name: value.replace(str(runtime.workdir), app) for name, value in own.items()}


def _unpacked(run: Run, digest: str) -> Path:
    root = run.settings.home / "unpacked"
    root.mkdir(parents=True, exist_ok=True, mode=0o755)
    return unpack(_layout(run), digest, root)


def _application_of(run: Run, release_id: str) -> Application:
    for step in progress.steps(run.db, run.release.tenant_id, UUID(release_id)):
        if step.name == "audit":
            return _revived(step.detail["application"])
    raise NothingToRollBackError(
        "The earlier release has no record of how it was run.",
        next_step="Release its commit again: `prodsprints release`.",
    )


def _revived(document: dict[str, Any]) -> Application:
    """The application as JSON gave it back: lists become the tuples that they were."""
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
    }
    values["environment"] = tuple((name, value) for name, value in document["environment"])
    return Application(**values)


def _layout(run: Run) -> Path:
    return run.settings.home / "images"


def _cache(run: Run) -> Path:
    return run.settings.home / "cache"


def _admin(db: Database, run: Run) -> Address:
    """As whom the application's database is created."""
    stated = run.settings.admin_database_url
    return Address.parse(stated, variable="PRODSPRINTS_ADMIN_DATABASE_URL") if stated else db.address


def _key_file(run: Run) -> Path:
    return run.settings.home / "secrets" / "master.key"
