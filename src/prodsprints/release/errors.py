"""What can be wrong with a repository before anything of it is built, in words that say what to do."""

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


class VerdictInputError(UsageError):
    """Counts or a policy that no verdict can be based on."""

    code = "release/verdict-input"
