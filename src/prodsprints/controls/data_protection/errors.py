"""What is wrong with a database that would not keep tenants apart."""

from __future__ import annotations

from prodsprints.kernel.errors import ExitCode, ProdSprintsError


class NotIsolatedError(ProdSprintsError):
    """The schema lets one tenant reach the rows of another."""

    code = "data-protection/not-isolated"
    exit_code = ExitCode.REFUSED
    http_status = 503
