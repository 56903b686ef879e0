"""How a repository checks and prepares itself: its tests, its migrations, and the variables that its commands need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
        yield Finding("migrations", "alembic", alembic, 1, 0.95)
    if site and (versions := _django_migrations(files)):
        yield Finding("migrations", "django", versions[0], 1, 0.95)
    if flask := next((name for name in files.named("env.py") if "flask" in files.text(name).lower()), ""):
        yield Finding("migrations", "flask-migrate", flask, 1, 0.9)


def tests(files: Files, packages: Packages, site: Django | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The command that runs the tests and what it needs installed; nothing of both where there are no tests."""
    if not _test_files(files):
        return (), ()
    if not _uses_pytest(files, packages):
        if site:
            return ("python", site.manage, "test", "--noinput"), packages.test_sources
        return (*_PYTEST,), (*packages.test_sources, "pytest")
    return _PYTEST, packages.test_sources if packages.mentions("pytest") else (*packages.test_sources, "pytest")


def migrations(files: Files, processes: Mapping[str, Process], site: Django | None) -> tuple[str, ...]:
    """The command that migrates the database: the Procfile's `release:` line, else by the tool that is used."""
    if "release" in processes:
        return processes["release"].argv
    if site and _django_migrations(files):
        return ("python", site.manage, "migrate", "--noinput")
    if alembic := _alembic(files):
        configuration = () if alembic == "alembic.ini" else ("-c", alembic)
        return ("python", "-m", "alembic", *configuration, "upgrade", "head")
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
