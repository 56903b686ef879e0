"""What can go wrong between a commit's tree and files that run, each with what to do next."""

from __future__ import annotations

from prodsprints.kernel.errors import ExitCode, ProdSprintsError


class ImageError(ProdSprintsError):
    """Base of this room's errors: no image came to be, or none could be used."""

    code = "image/failed"


class DependencyError(ImageError):
    """What the repository says it depends on cannot be read, or not be followed."""

    code = "image/dependencies"
    exit_code = ExitCode.REFUSED
    http_status = 422


class InstallError(ImageError):
    """The installer did not succeed."""

    code = "image/install-failed"
    http_status = 422


class InterpreterError(ImageError):
    """No Python on this machine fits."""

    code = "image/no-interpreter"
    http_status = 422


class UnsafeImageError(ImageError):
    """An image is not what its digest says, or would write where it must not."""

    code = "image/unsafe"
    exit_code = ExitCode.REFUSED
    http_status = 422


class NoSpaceError(ImageError):
    """The disk is full; nothing half-written was left in the layout."""

    code = "image/no-space"
    http_status = 507
