"""What can be wrong with a service that is to be watched."""

from __future__ import annotations

from prodsprints.kernel.errors import ProdSprintsError, UsageError


class ServiceInputError(UsageError):
    """A service is described in a way that cannot be meant, or that is not looked at."""

    code = "integrations/service-input"


class ForbiddenAddressError(UsageError):
    """The address is one that is never asked, such as the metadata service of a cloud."""

    code = "integrations/forbidden-address"


class NameTakenError(UsageError):
    """Another service goes by that name."""

    code = "integrations/name-taken"
    http_status = 409


class UnknownServiceError(UsageError):
    """This tenant watches no such service."""

    code = "integrations/unknown-service"
    http_status = 404


class TooManyServicesError(UsageError):
    """The tenant watches as many services as one may."""

    code = "integrations/too-many-services"


class OwnPartError(ProdSprintsError):
    """The service is a part of the platform, which is watched in any case."""

    code = "integrations/own-part"
    http_status = 409
