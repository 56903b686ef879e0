"""The one shape of every error a person or a program sees: what happened, why, and what to do next."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The stable exit codes of the command line (ARCHITECTURE.md, "Interfaces")."""

    DONE = 0
    FAILED = 1
    CHANGES = 2
    REFUSED = 3
    NOT_APPROVED = 4
    LOCKED = 5
    ROLLED_BACK = 6
    USAGE = 64


class ProdSprintsError(Exception):
    """Base of every error we raise on purpose.

    `code` names the kind, as `room/kind` (it becomes the RFC 9457 problem type); `exit_code` and `http_status`
    are how the command line and the API report it. An error without a next step is not finished: say what to do.
    """

    code: ClassVar[str] = "kernel/failed"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    http_status: ClassVar[int] = 500

    def __init__(self, what: str, *, why: str = "", next_step: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next_step = next_step

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.next_step) if part)


class UsageError(ProdSprintsError):
    """The input itself is wrong: an argument, a configuration file, a request body."""

    code = "kernel/usage"
    exit_code = ExitCode.USAGE
    http_status = 422
