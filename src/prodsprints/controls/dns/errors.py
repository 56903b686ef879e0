"""Why a name has no address for us: it does not exist, or nobody could be asked."""

from __future__ import annotations

from prodsprints.kernel.errors import ProdSprintsError, UsageError


class NameNotFoundError(ProdSprintsError):
    """A DNS server answered that the name does not exist, or has no address."""

    code = "dns/name-not-found"
    http_status = 502


class NoServerAnswersError(ProdSprintsError):
    """No DNS server answers, and what was known of the name is too old to go by."""

    code = "dns/no-server-answers"
    http_status = 503


class BadNameError(UsageError):
    """What should be resolved can be no host's name."""

    code = "dns/bad-name"


class BadPinError(UsageError):
    """A pin is no address, or would be used without a certificate that speaks for its name."""

    code = "dns/bad-pin"
