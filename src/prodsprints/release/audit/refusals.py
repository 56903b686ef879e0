"""What is recognised and not released yet, with the reason: other languages, several services, a Dockerfile alone."""

from __future__ import annotations

from collections.abc import Sequence

from prodsprints.release.audit.apps import Candidate
from prodsprints.release.audit.django import Django
from prodsprints.release.audit.files import Files
from prodsprints.release.audit.values import Refusal

_LANGUAGES = {
    "package.json": "Node", "go.mod": "Go", "Cargo.toml": "Rust", "Gemfile": "Ruby", "composer.json": "PHP",
    "pom.xml": "Java", "build.gradle": "Java", "build.gradle.kts": "Kotlin", "mix.exs": "Elixir",
    "deno.json": "Deno", "Package.swift": "Swift",
}  # fmt: skip
_WHAT_THEN = "Release it by other means for now; a Python service of yours can be released from here."
_IN_PYTHON = "Released are FastAPI, Starlette, Flask and Django applications in Python, so far."


def not_python(files: Files, *, has_app: bool) -> Refusal | None:
    """The refusal for a repository without any Python manifest; None where its code is an application all the same."""
    if not files.names:
        return Refusal("empty", "The repository holds no files.", "Commit the application first.")
    services = _services(files, [], {})
    if has_app and len(services) < 2:
        return None
    if len(services) > 1:
        return _several(services)
    return _other_language(files) or _dockerfile_only(files)


def monorepo(files: Files, bases: Sequence[str], apps: Sequence[Candidate], site: Django | None) -> Refusal | None:
    """The refusal for several services in one repository: directories that each have packages and an application."""
    places = {site.manage: "Python"} if site else {}
    places |= {candidate.file: "Python" for candidate in apps if not site}
    services = _services(files, bases, places)
    return _several(services) if len(services) > 1 else None


def _other_language(files: Files) -> Refusal | None:
    found = next(((name, language) for name, language in _LANGUAGES.items() if files.named(name)), None)
    if found is None:
        return None
    name, language = found
    return Refusal("language", f"This is a {language} application. {_IN_PYTHON}", _WHAT_THEN, files.named(name)[0], 1)


def _dockerfile_only(files: Files) -> Refusal | None:
    found = files.named("Dockerfile", "Containerfile")
    if not found or files.python:
        return None
    return Refusal(
        "dockerfile",
        f"It has a Dockerfile and no Python packages: Dockerfiles are not built yet. {_IN_PYTHON}",
        "List the application's packages in requirements.txt or pyproject.toml next to its code.",
        found[0],
        1,
    )


def _services(files: Files, bases: Sequence[str], places: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Directory → (language, a file in it) of each service; what is at the root is one service with all below it."""
    found: dict[str, tuple[str, str]] = {}
    for file, language in places.items():
        above = [base for base in bases if not base or file.startswith(f"{base}/")]
        if above:
            found.setdefault(max(above, key=len), (language, file))
    if "" in found:
        return {"": found[""]}
    for name, language in _LANGUAGES.items():
        for file in files.named(name):
            directory = file.rpartition("/")[0]
            nested = any(directory == other or directory.startswith(f"{other}/") for other in found if other)
            if directory and not nested and directory.count("/") < 2:
                found.setdefault(directory, (language, file))
    return found


def _several(services: dict[str, tuple[str, str]]) -> Refusal:
    named = ", ".join(f"{directory}/ ({language})" for directory, (language, _) in sorted(services.items())[:6])
    return Refusal(
        "monorepo",
        f"It holds several services: {named}. One repository is one application, so far.",
        "Say which one to serve, and how: `web` in prodsprints.yaml, or a Procfile at the root with a `web:` line.",
        sorted(services.values(), key=lambda service: service[1])[0][1],
        1,
    )
