"""What can keep a provider from answering us: who we are, what we may, and whether it is there at all."""

from __future__ import annotations

from prodsprints.guard import ServiceUnavailable
from prodsprints.kernel.errors import ExitCode, ProdSprintsError, UsageError


class NoCredentialsError(ProdSprintsError):
    """The worker has no credentials for the provider, or cannot read them."""

    code = "providers/no-credentials"
    exit_code = ExitCode.REFUSED
    http_status = 409


class UnknownPlaceError(ProdSprintsError):
    """The provider has no such region, or the endpoint is none of its addresses."""

    code = "providers/unknown-place"
    exit_code = ExitCode.REFUSED
    http_status = 422


class ProviderRefusedError(ProdSprintsError):
    """The provider answered that it will not do that for us; asking again would not help."""

    code = "providers/refused"
    exit_code = ExitCode.REFUSED
    http_status = 502


class ProviderUnavailableError(ServiceUnavailable):
    """The provider cannot be reached, or fails; guards know it as a failure of the provider's."""

    code = "providers/unavailable"


class ProviderAnswerError(ProdSprintsError):
    """The provider's answer is not what its API promises."""

    code = "providers/answer"
    http_status = 502


class UnknownDependencyError(UsageError):
    """No process of the platform calls a provider of that name, or it has no such key."""

    code = "providers/unknown-dependency"
    http_status = 404


class FreezeInputError(UsageError):
    """Nothing can be left alone for such a time."""

    code = "providers/freeze"


class NotSharedError(ProdSprintsError):
    """The provider's buckets belong to single processes, so nobody can freeze them for all."""

    code = "providers/not-shared"
    exit_code = ExitCode.REFUSED
    http_status = 409
