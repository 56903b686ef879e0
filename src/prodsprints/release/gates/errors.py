"""What a gate says when it stays shut."""

from __future__ import annotations

from prodsprints.kernel.errors import ExitCode, ProdSprintsError


class GateRefusedError(ProdSprintsError):
    """At least one gate was not passed; nothing was built or changed."""

    code = "gates/refused"
    exit_code = ExitCode.REFUSED
    http_status = 422
