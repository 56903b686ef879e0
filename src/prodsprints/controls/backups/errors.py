"""What can keep something from being deleted, or from coming back."""

from __future__ import annotations

from prodsprints.kernel.errors import ExitCode, ProdSprintsError, UsageError


class NoSuchProjectError(UsageError):
    """There is no project of that name, neither living nor deleted."""

    code = "backups/no-such-project"
    http_status = 404


class ReleaseUnderWayError(ProdSprintsError):
    """A release of the project waits or runs: its end would be written into what is deleted."""

    code = "backups/release-under-way"
    exit_code = ExitCode.LOCKED
    http_status = 409


class ProjectDeletedError(ProdSprintsError):
    """The project is deleted: nothing is released to it, and nothing else may take its name."""

    code = "backups/project-deleted"
    exit_code = ExitCode.REFUSED
    http_status = 409
