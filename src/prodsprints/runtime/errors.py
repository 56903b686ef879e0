"""What can go wrong on one machine's node, in words that say what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prodsprints.kernel import problems
from prodsprints.kernel.errors import ExitCode, ProdSprintsError


class PlatformUnsupportedError(ProdSprintsError):
    """This operating system cannot run the embedded Envoy, or its package is missing."""

    code = "runtime/platform-unsupported"
    exit_code = ExitCode.USAGE
    http_status = 501


class AgentUnreachableError(ProdSprintsError):
    """Nobody answers on the node agent's socket."""

    code = "runtime/agent-unreachable"
    http_status = 503


class AgentRunningError(ProdSprintsError):
    """A second node agent was started for one home."""

    code = "runtime/agent-running"
    exit_code = ExitCode.LOCKED
    http_status = 409


class StateCorruptError(ProdSprintsError):
    """The node agent's own file cannot be read back."""

    code = "runtime/state-corrupt"


class InvalidRequestError(ProdSprintsError):
    """The request itself is wrong."""

    code = "runtime/invalid-request"
    exit_code = ExitCode.USAGE
    http_status = 422


class StaleTokenError(ProdSprintsError):
    """Somebody with a higher fencing token already acted on this environment."""

    code = "runtime/stale-token"
    exit_code = ExitCode.LOCKED
    http_status = 409


class InstanceConflictError(ProdSprintsError):
    """The instance exists with another specification, or is in a state that forbids this."""

    code = "runtime/instance-conflict"
    http_status = 409


class InstanceNotReadyError(ProdSprintsError):
    """A route was to send requests to an instance that cannot answer them."""

    code = "runtime/instance-not-ready"
    http_status = 409


class NotFoundError(ProdSprintsError):
    """No such instance or route on this node."""

    code = "runtime/not-found"
    http_status = 404


class TooManyError(ProdSprintsError):
    """A bound of this node is reached."""

    code = "runtime/too-many"
    http_status = 429


class PortTakenError(ProdSprintsError):
    """The environment's port, or every port of the range, belongs to somebody else."""

    code = "runtime/port-taken"
    http_status = 409


class StorageError(ProdSprintsError):
    """The disk refused: full, read-only, or not ours."""

    code = "runtime/storage-failed"
    http_status = 507


class SandboxError(ProdSprintsError):
    """The sandbox itself could not do its work; says nothing about the code that was to run in it."""

    code = "runtime/sandbox"


class EnvoyError(ProdSprintsError):
    """Envoy does not run, or did not take a configuration; `refused` when it looked at it and said no."""

    code = "runtime/envoy-failed"
    http_status = 503

    def __init__(self, what: str, *, why: str = "", next_step: str, refused: bool = False) -> None:
        super().__init__(what, why=why, next_step=next_step)
        self.refused = refused


_BY_CODE: dict[str, type[ProdSprintsError]] = {
    kind.code: kind
    for kind in (
        InvalidRequestError,
        StaleTokenError,
        InstanceConflictError,
        InstanceNotReadyError,
        NotFoundError,
        TooManyError,
        PortTakenError,
        StorageError,
        EnvoyError,
    )
}


def to_problem(error: ProdSprintsError) -> dict[str, Any]:
    """`error` as an RFC 9457 problem from which `from_problem` makes it again."""
    return problems.problem(error, what=error.what, why=error.why)


def from_problem(document: Mapping[str, Any]) -> ProdSprintsError:
    """The error that `to_problem` described, of the same class where it is one of ours."""
    kind = _BY_CODE.get(str(document.get("code")), EnvoyError)
    return kind(
        str(document.get("what") or "The node agent refused."),
        why=str(document.get("why") or ""),
        next_step=str(document.get("next_step") or "See the node agent's log."),
    )
