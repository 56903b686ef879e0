"""What can go wrong between a person's command and the platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodsprints.kernel.errors import ExitCode, ProdSprintsError, UsageError


class NotRunningError(ProdSprintsError):
    """Nothing answers where the platform should be."""

    code = "cli/not-running"
    http_status = 503


class NothingRunsError(ProdSprintsError):
    """There is no release under way that could be stopped or promoted."""

    code = "cli/nothing-runs"
    http_status = 409


class MissingExtraError(ProdSprintsError):
    """The command needs packages that only an extra installs."""

    code = "cli/missing-extra"


class AlreadyRunningError(ProdSprintsError):
    """A platform runs on this home already."""

    code = "cli/already-running"
    exit_code = ExitCode.LOCKED
    http_status = 409


class HomeUnusableError(ProdSprintsError):
    """The directory for all data cannot be used."""

    code = "cli/home-unusable"


class PortTakenError(ProdSprintsError):
    """Another program listens where our pages should be."""

    code = "cli/port-taken"


class StartFailedError(ProdSprintsError):
    """A part of the platform did not come up."""

    code = "cli/start-failed"


class MissingTokenError(ProdSprintsError):
    """There is no token with which to act for this tenant."""

    code = "cli/missing-token"
    http_status = 401


class NoSuchEnvironmentError(UsageError):
    """No environment, or more than one, fits what was asked for."""

    code = "cli/no-such-environment"
    http_status = 404


class WouldOverwriteError(UsageError):
    """Something would be overwritten."""

    code = "cli/file-exists"


class BadArgumentsError(UsageError):
    """What was typed is no command of ours."""

    code = "cli/usage"


class StoryError(ProdSprintsError):
    """The tour did not come out as it is told."""

    code = "cli/tour"


class CrashError(ProdSprintsError):
    """A defect of ours."""

    code = "cli/crash"


class ApiError(ProdSprintsError):
    """What /v1 refused, as its problem document says it."""

    code = "cli/refused"

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(
            str(problem.get("detail") or problem.get("title") or "The platform refused."),
            next_step=str(problem.get("next_step") or "`prodsprints status` shows how things stand."),
        )
        self.problem = dict(problem)
