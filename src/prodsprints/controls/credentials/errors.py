"""What can go wrong while looking for credentials, other than finding some."""

from __future__ import annotations

from prodsprints.kernel.errors import ProdSprintsError


class ScanError(ProdSprintsError):
    """The scanner itself failed, so nothing is known of the files."""

    code = "credentials/scan-failed"
