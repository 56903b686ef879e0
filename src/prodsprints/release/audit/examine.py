"""The audit: from a directory of files to the application that a release runs, or the reason why it cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prodsprints.release.audit import apps, django, packages, procfile, routes, servers, verification
from prodsprints.release.audit.files import Files
from prodsprints.release.audit.python import Modules
from prodsprints.release.audit.refusals import monorepo, not_python
from prodsprints.release.audit.surroundings import UNSURE, postgres, surroundings
from prodsprints.release.audit.values import Application, Audit, Finding, Question, Refusal

if TYPE_CHECKING:
    from prodsprints.release.config import ReleaseConfig

_MAX_NAME = 40


def audit(root: Path, config: ReleaseConfig | None = None) -> Audit:
    """Read the files below `root`, never more, and say what a release of them would be.

    What `config` states overrides what is found. Raises NothingToAuditError when `root` is no readable directory.
    """
    files = Files(root)
    evidence = _gather(files)
    findings = list(_findings(evidence))
    serving = _serving(evidence, config)
    if isinstance(serving, Refusal):
        questions = _open_questions(evidence, serving)
        return Audit(_sorted(findings), None, (serving,), questions)
    application = _application(evidence, serving, config)
    return Audit(_sorted(findings), application, (), tuple(serving.questions))


@dataclass(frozen=True)
class _Evidence:
    """All that was read, before anything is concluded."""

    files: Files
    modules: Modules
    bases: list[str]
    packages: packages.Packages
    apps: list[apps.Candidate]
    django: django.Django | None
    processes: dict[str, procfile.Process]
    health: routes.Route | None
    database: Finding | None


def _gather(files: Files) -> _Evidence:
    modules = Modules(files)
    bases = packages.bases(files)
    found = apps.candidates(files, modules, bases)
    site = django.project(files, modules)
    near = site.root if site else found[0].file.rpartition("/")[0] if found else ""
    needed = packages.read(files, _base_for(bases, near))
    return _Evidence(
        files,
        modules,
        bases,
        needed,
        found,
        site,
        dict(procfile.processes(files, "Procfile")),
        routes.health(modules),
        postgres(modules, needed),
    )


def _base_for(bases: list[str], directory: str) -> str:
    """The manifest's directory that is nearest above the application, else the one nearest to the root."""
    above = [base for base in bases if not base or directory == base or directory.startswith(f"{base}/")]
    return max(above, key=len, default=bases[0] if bases else "")


def _findings(evidence: _Evidence) -> Iterator[Finding]:
    yield from evidence.packages.findings(evidence.files)
    if evidence.django:
        yield from evidence.django.findings
    for place, candidate in enumerate(evidence.apps[:5]):
        confidence = round(max(0.2, min(0.97, candidate.score / 75) - 0.2 * bool(place)), 2)
        note = "a factory" if candidate.factory else ""
        if place == 0 and not evidence.django:
            yield Finding("framework", candidate.framework, candidate.file, candidate.line, confidence)
        yield Finding("app", candidate.target, candidate.file, candidate.line, confidence, note)
    if evidence.health:
        route = evidence.health
        note = "" if route.certain else "its prefix is computed: state `health` if this is not the path"
        yield Finding("health", route.path, route.file, route.line, 0.9 if route.certain else 0.4, note)
    if evidence.database:
        yield evidence.database
    yield from _process_findings(evidence)
    yield from verification.findings(evidence.files, evidence.packages, evidence.django)
    yield from surroundings(evidence.files, evidence.modules, evidence.packages, evidence.database)


def _process_findings(evidence: _Evidence) -> Iterator[Finding]:
    for process in evidence.processes.values():
        note = "" if process.name in ("web", "release") else "not started: a release runs `web` only, so far"
        yield Finding("process", f"{process.name}: {process.command[:200]}", process.file, process.line, 0.99, note)
    web = evidence.processes.get("web")
    if web is None:
        return
    if web.fixed_port:
        note = "the command fixes this port; a release chooses one: use $PORT"
        yield Finding("port", web.fixed_port, web.file, web.line, 0.9, note)
    known = {candidate.target for candidate in evidence.apps}
    if evidence.django and evidence.django.server:
        known.add(f"{evidence.django.server}:application")
    best = evidence.apps[0].target if evidence.apps else next(iter(known), "")
    if web.target and best and web.target != best:
        there = web.target in known or evidence.modules.imported(web.target.partition(":")[0]) is not None
        note = f"contradicts the code, where {best} looks like the application; the Procfile wins"
        note += "" if there else f", although {web.target.partition(':')[0]} is not in the repository"
        yield Finding("contradiction", web.target, web.file, web.line, 0.8, note)


def _serving(evidence: _Evidence, config: ReleaseConfig | None) -> servers.Serving | Refusal:
    """What serves the web: as configured, else as the Procfile says, else as the code is."""
    if config is not None and config.web:
        return servers.configured(tuple(config.web), evidence.apps, evidence.packages)
    web = evidence.processes.get("web")
    if not evidence.bases and (refusal := not_python(evidence.files, has_app=bool(evidence.apps or evidence.django))):
        return refusal
    if web is not None:
        return servers.from_procfile(web, evidence.apps, evidence.django, evidence.packages)
    return monorepo(evidence.files, evidence.bases, evidence.apps, evidence.django) or _by_code(evidence)


def _by_code(evidence: _Evidence) -> servers.Serving | Refusal:
    if evidence.django and evidence.django.server:
        return servers.for_django(evidence.django, evidence.packages)
    if evidence.apps:
        return servers.for_app(evidence.apps, evidence.packages)
    return _nothing_serves(evidence)


def _nothing_serves(evidence: _Evidence) -> Refusal:
    if other := apps.unsupported(evidence.modules):
        name, module, line = other
        return Refusal(
            "framework",
            f"{name} is not released by itself yet.",
            "Say how it is started: a Procfile with `web: … --port $PORT`, or `web` in prodsprints.yaml.",
            module.file,
            line,
        )
    broken = [name for name, reason in evidence.files.unreadable.items() if name.endswith(".py") and "Python" in reason]
    also = f" ({broken[0]} could not be read as Python)" if broken else ""
    for name in ("fastapi", "starlette", "flask", "django"):
        if found := evidence.packages.find(name):
            return Refusal(
                "app",
                f"It depends on {name}, but no application object was found{also}.",
                "Say how it is started: `web` in prodsprints.yaml, or a Procfile with a `web:` line.",
                found.file,
                found.line,
            )
    return Refusal(
        "web",
        f"Nothing here serves the web: no FastAPI, Starlette, Flask or Django application was found{also}.",
        "If there is one, say how it is started: `web` in prodsprints.yaml, or a Procfile with a `web:` line.",
    )


def _open_questions(evidence: _Evidence, refusal: Refusal) -> tuple[Question, ...]:
    if refusal.key not in ("app", "web", "framework") or not evidence.files.python:
        return ()
    return (Question("web", "Which command serves the application on $PORT?"),)


def _application(evidence: _Evidence, serving: servers.Serving, config: ReleaseConfig | None) -> Application:
    needed, stated = evidence.packages, _Stated.by(config)
    health = evidence.health.path if evidence.health and evidence.health.certain else ""
    if evidence.django and not evidence.django.open_to_localhost:
        health = ""  # the answer would be 400 for this machine's own checks
    test, test_packages = verification.tests(evidence.files, needed, evidence.django)
    migrate = verification.migrations(evidence.files, evidence.processes, evidence.django, needed, evidence.apps)
    found_database = evidence.database is not None and evidence.database.confidence > UNSURE
    return Application(
        name=_name(stated.name or needed.name or evidence.files.root.name),
        framework=serving.framework,
        web=serving.web,
        health_path=stated.health or health or "/",
        health_any=not (stated.health or health),
        requires_python=stated.python or needed.requires_python,
        dependencies=needed.sources,
        extra_packages=serving.extra_packages,
        migrate=migrate if stated.migrate is None else tuple(stated.migrate),
        test=test if stated.test is None else tuple(stated.test),
        test_packages=test_packages,
        needs_database=found_database if stated.services is None else "postgres" in stated.services,
        environment=verification.environment(serving, evidence.django, evidence.processes),
    )


@dataclass(frozen=True)
class _Stated:
    """What the configuration says of an application; None is left to the audit."""

    name: str | None = None
    health: str | None = None
    python: str | None = None
    test: Sequence[str] | None = None
    migrate: Sequence[str] | None = None
    services: Sequence[str] | None = None

    @staticmethod
    def by(config: ReleaseConfig | None) -> _Stated:
        if config is None:
            return _Stated()
        return _Stated(config.name, config.health, config.python, config.test, config.migrate, config.services)


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    """Without doubles, in the order in which a person wants to read them."""
    order = (
        "framework", "app", "contradiction", "process", "health", "python", "package-manager", "lock", "database",
        "migrations", "tests", "settings", "allowed-hosts",
    )  # fmt: skip
    place = {key: number for number, key in enumerate(order)}
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: place.get(finding.key, len(order))))


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:_MAX_NAME].strip("-") or "app"
