"""What an audit says, as values: findings with their place, the application to release, refusals and questions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that the repository's files say: `key` is its kind (framework, app, health, database, …)."""

    key: str
    value: str
    file: str
    line: int
    confidence: float
    note: str = ""

    @property
    def place(self) -> str:
        """Where it stands, as `file:line`."""
        return _place(self.file, self.line)


@dataclass(frozen=True)
class Refusal:
    """Why this repository cannot be released yet, and what would change that."""

    key: str
    reason: str
    next_step: str
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """Where it stands, as `file:line`; empty when it is about the whole repository."""
        return _place(self.file, self.line)


@dataclass(frozen=True)
class Question:
    """What the files leave open; `key` is the entry of `prodsprints.yaml` that answers it, the best guess first."""

    key: str
    text: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Application:
    """All that a release needs to know of an application.

    `web` serves HTTP on the port that stands for `$PORT` (an argument of its own or part of one; `sh -c` commands read
    it from the environment as well). `health_any`: no health path is known, so any answer below 500 counts as healthy.
    `dependencies` are requirement files relative to the root, requirements as such, or "pyproject" for the project's
    own table; `extra_packages` are servers that it does not declare; `test_packages` may also be `extra:NAME` and
    `group:NAME`. `environment` holds what the commands need, e.g. PYTHONPATH relative to the root.
    """

    name: str
    framework: str
    web: tuple[str, ...]
    health_path: str
    health_any: bool
    requires_python: str
    dependencies: tuple[str, ...]
    extra_packages: tuple[str, ...]
    migrate: tuple[str, ...]
    test: tuple[str, ...]
    test_packages: tuple[str, ...]
    needs_database: bool
    environment: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Audit:
    """The whole answer: an application is present exactly when nothing refuses it."""

    findings: tuple[Finding, ...]
    application: Application | None
    refusals: tuple[Refusal, ...]
    questions: tuple[Question, ...]

    def as_json(self) -> dict[str, Any]:
        """The audit as plain JSON values, with its schema's number."""
        return {"schema": 1, **asdict(self)}


def _place(file: str, line: int) -> str:
    return f"{file}:{line}" if file and line else file
