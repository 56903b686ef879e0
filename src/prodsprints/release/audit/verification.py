"""How a repository checks and prepares itself: its tests, its migrations, and the variables that its commands need."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from prodsprints.release.audit.apps import Candidate
from prodsprints.release.audit.django import Django
from prodsprints.release.audit.files import Files
from prodsprints.release.audit.packages import Packages
from prodsprints.release.audit.procfile import Process
from prodsprints.release.audit.servers import Serving
from prodsprints.release.audit.values import Finding

_PYTEST = ("python", "-m", "pytest", "-q")


def findings(files: Files, packages: Packages, site: Django | None) -> Iterator[Finding]:
    """The findings about tests and migrations."""
    tests_at = _test_files(files)
    if tests_at:
        yield Finding("tests", "pytest" if _uses_pytest(files, packages) else "unittest", tests_at[0], 1, 0.9)
    if alembic := _alembic(files):
        yield Finding("migrations", "flask-migrate" if packages.find("flask-migrate") else "alembic", alembic, 1, 0.95)
    if site and (versions := _django_migrations(files)):
        yield Finding("migrations", "django", versions[0], 1, 0.95)


def tests(files: Files, packages: Packages, site: Django | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The command that runs the tests and what it needs installed; nothing of both where there are no tests."""
    if not _test_files(files):
        return (), ()
    if not _uses_pytest(files, packages):
        if site:
            command = ("python", "manage.py", "test", "--noinput", *_settings(site.test_settings))
            return _inside(site.root, command), packages.test_sources  # it looks for tests below where it is run
        return (*_PYTEST,), (*packages.test_sources, "pytest")
    has_pytest = any(entry.name.startswith("pytest") for entry in packages.declared)
    command = (*_PYTEST, *_pytest_settings(files))
    return command, packages.test_sources if has_pytest else (*packages.test_sources, "pytest")


def migrations(
    files: Files, processes: Mapping[str, Process], site: Django | None, packages: Packages, apps: Sequence[Candidate]
) -> tuple[str, ...]:
    """The command that migrates the database: the Procfile's `release:` line, else by the tool that is used."""
    if "release" in processes:
        return processes["release"].argv
    if site and (site.has_database or _django_migrations(files)):
        return ("python", site.manage, "migrate", "--noinput")
    if packages.find("flask-migrate") and apps and files.named("alembic.ini"):
        return ("python", "-m", "flask", "--app", apps[0].target, "db", "upgrade")
    if alembic := _alembic(files):
        directory = alembic.rpartition("/")[0]  # its script_location is mostly relative to where alembic is run
        return _inside(directory, ("python", "-m", "alembic", "upgrade", "head"))
    return ()


def environment(serving: Serving, site: Django | None, processes: Mapping[str, Process]) -> tuple[tuple[str, str], ...]:
    """The variables that the web, the migrations and the tests need."""
    found = {"DJANGO_SETTINGS_MODULE": site.settings} if site and site.settings else {}
    if serving.root:
        found["PYTHONPATH"] = serving.root
    if "release" in processes:
        found |= dict(processes["release"].environment)
    found |= dict(serving.environment)
    return tuple(sorted(found.items()))


def _inside(directory: str, command: tuple[str, ...]) -> tuple[str, ...]:
    return ("sh", "-c", f"cd {shlex.quote(directory)} && exec {shlex.join(command)}") if directory else command


def _settings(module: str) -> tuple[str, ...]:
    """The environment names the server's settings, which would win over what the tests are written for."""
    return (f"--settings={module}",) if module else ()


def _pytest_settings(files: Files) -> tuple[str, ...]:
    for name in filter(files.__contains__, ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini")):
        if found := re.search(
            r"""^\s*DJANGO_SETTINGS_MODULE\s*=\s*["']?([\w.]{1,200})""", files.text(name), re.MULTILINE
        ):
            return (f"--ds={found[1]}",)
    return ()


def _test_files(files: Files) -> list[str]:
    bases = {name: name.rpartition("/")[2] for name in files.names if name.endswith(".py")}
    return [
        name
        for name, base in bases.items()
        if (base.startswith("test_") or base.endswith("_test.py") or base == "tests.py")
        and b"def test" in (files.content(name) or b"")
    ]


def _uses_pytest(files: Files, packages: Packages) -> bool:
    if packages.mentions("pytest") or files.named("pytest.ini", "conftest.py"):
        return True
    configured = any(
        "pytest" in files.text(name) for name in ("pyproject.toml", "setup.cfg", "tox.ini") if name in files
    )
    return configured or any(b"import pytest" in (files.content(name) or b"") for name in _test_files(files))


def _alembic(files: Files) -> str:
    return next(iter(files.named("alembic.ini")), "")


def _django_migrations(files: Files) -> list[str]:
    return [name for name in files.names if "/migrations/" in f"/{name}" and name.endswith(".py")]
