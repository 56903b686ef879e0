"""What can keep a drill from being run, or from meaning anything."""

from __future__ import annotations

from prodsprints.kernel.errors import ExitCode, ProdSprintsError, UsageError


class ExperimentError(UsageError):
    """An experiment contradicts itself or cannot be imported."""

    code = "drills/experiment"


class NoSuchDrillError(ProdSprintsError):
    """No drill of that row or variant is there."""

    code = "drills/not-found"
    exit_code = ExitCode.USAGE
    http_status = 404


class ForeignTargetError(ProdSprintsError):
    """A drill aimed at an address that is not on loopback."""

    code = "drills/foreign-target"
    exit_code = ExitCode.REFUSED
    http_status = 422


class FaultDeviceError(ProdSprintsError):
    """The process that injects faults did not do what it was asked."""

    code = "drills/fault-device"


class DrillRefusedError(ProdSprintsError):
    """The drill may not be run in that environment as things are."""

    code = "drills/refused"
    exit_code = ExitCode.REFUSED
    http_status = 409


class JournalTamperedError(ProdSprintsError):
    """A journal is not the one that evidence names: somebody changed it in the database."""

    code = "drills/journal-tampered"
    exit_code = ExitCode.REFUSED
