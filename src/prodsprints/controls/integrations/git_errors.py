"""What can keep a commit of a Git host from us: the address, the host, its answer, or what we keep of it."""

from __future__ import annotations

from prodsprints.guard import ServiceUnavailable
from prodsprints.kernel.errors import ExitCode, ProdSprintsError, UsageError


class BadAddressError(UsageError):
    """The address is none that a repository is fetched from."""

    code = "integrations/bad-address"


class HostsFileError(UsageError):
    """The file that says what Git hosts are given, and allowed, cannot be used."""

    code = "integrations/git-hosts"


class UnknownRefError(ProdSprintsError):
    """The repository has no such branch, tag or commit, as far as anybody can say."""

    code = "integrations/unknown-ref"
    exit_code = ExitCode.REFUSED
    http_status = 422


class HostUnavailableError(ServiceUnavailable):
    """The Git host cannot be reached, or does not answer as one; guards know it as a failure of the host's."""

    code = "integrations/git-host-unavailable"


class HostUnreachableError(HostUnavailableError):
    """The connection to the Git host failed or broke off: another try may come through."""


class HostRefusedError(ProdSprintsError):
    """The Git host answered, and the answer is no: asking again, or an older copy, would go against it."""

    code = "integrations/git-host-refused"
    exit_code = ExitCode.REFUSED
    http_status = 409


class MirrorTooLargeError(ProdSprintsError):
    """What the host sends exceeds a bound."""

    code = "integrations/mirror-too-large"
    exit_code = ExitCode.REFUSED
    http_status = 413


class MirrorError(ProdSprintsError):
    """The mirror cannot be read or written on this machine."""

    code = "integrations/mirror"


class DamagedMirrorError(ProdSprintsError):
    """What the mirror holds is not what its ids say."""

    code = "integrations/mirror-damaged"
    exit_code = ExitCode.REFUSED
    http_status = 409


class StaleMirrorError(ProdSprintsError):
    """The host does not answer, and what the mirror knows of a moving name is older than allowed."""

    code = "integrations/mirror-stale"
    exit_code = ExitCode.REFUSED
    http_status = 409
