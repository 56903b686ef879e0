"""What can go wrong with a release, in the order of its steps: find the commit, build, roll out, go back."""

from __future__ import annotations

from prodsprints.kernel.errors import ExitCode, ProdSprintsError, UsageError


class NotARepositoryError(ProdSprintsError):
    """The path is no Git repository that we may read."""

    code = "release/not-a-repository"
    exit_code = ExitCode.USAGE
    http_status = 422


class UnknownCommitError(ProdSprintsError):
    """The repository has no such commit: the ref is unknown, there is none yet, or its objects are missing."""

    code = "release/unknown-commit"
    exit_code = ExitCode.USAGE
    http_status = 422


class DirtyTreeError(ProdSprintsError):
    """The working tree holds changes that are in no commit, and no commit was named."""

    code = "release/dirty-tree"
    exit_code = ExitCode.REFUSED
    http_status = 409


class RepositoryTooLargeError(ProdSprintsError):
    """The commit's tree exceeds a bound."""

    code = "release/repository-too-large"
    exit_code = ExitCode.REFUSED
    http_status = 413


class UnsafeTreeError(ProdSprintsError):
    """The commit's tree holds what we do not write to disk: a link that leaves it, a submodule, a bad name."""

    code = "release/unsafe-tree"
    exit_code = ExitCode.REFUSED
    http_status = 422


class GitError(ProdSprintsError):
    """Git is missing, hangs, or cannot read the repository."""

    code = "release/git-failed"


class ExportError(ProdSprintsError):
    """The commit could not be written to disk."""

    code = "release/export-failed"


class NothingToAuditError(ProdSprintsError):
    """The path to audit is no directory that can be read."""

    code = "release/nothing-to-audit"
    exit_code = ExitCode.USAGE
    http_status = 422


class CannotReleaseError(ProdSprintsError):
    """The audit found something that cannot be released yet."""

    code = "release/cannot-release"
    exit_code = ExitCode.REFUSED
    http_status = 409


class ApplicationDatabaseError(ProdSprintsError):
    """The application needs a PostgreSQL database that we cannot create for it."""

    code = "release/application-database"
    exit_code = ExitCode.REFUSED


class MigrationError(ProdSprintsError):
    """The application's migration failed, or would take away what the running version needs."""

    code = "release/migration"
    exit_code = ExitCode.REFUSED


class RolloutError(ProdSprintsError):
    """The new version could not be started, or the node that runs it was lost."""

    code = "release/rollout"


class VerdictInputError(UsageError):
    """Counts or a policy that no verdict can be based on."""

    code = "release/verdict-input"


class AbortRequestedError(ProdSprintsError):
    """A person asked for the running release to stop."""

    code = "release/aborted"
    exit_code = ExitCode.FAILED
    http_status = 409


class NothingToRollBackError(ProdSprintsError):
    """There is no earlier version that this environment could go back to."""

    code = "release/nothing-to-roll-back"
    exit_code = ExitCode.REFUSED
    http_status = 409
