"""What can be wrong with a risk document, as people are told it."""

from __future__ import annotations

from prodsprints.kernel.errors import UsageError


class RegisterError(UsageError):
    """A `risk.yaml` (or a value of one) that the register refuses; `what` has one line for each problem."""

    code = "register/document"


class UnknownRiskError(UsageError):
    """Somebody asked for a risk or a mitigation that is not in the register."""

    code = "register/unknown-risk"
    http_status = 404


class NotARiskDocumentError(RegisterError):
    """A Markdown file in which no risk could be found."""

    code = "register/not-a-risk-document"


class AttestationError(UsageError):
    """A row that no person can sign for."""

    code = "register/attestation"


class UnknownReportError(UsageError):
    """Somebody asked for a report that this tenant has not."""

    code = "register/unknown-report"
    http_status = 404


class StageError(UsageError):
    """A report was to skip or repeat a stage."""

    code = "register/stage"
    http_status = 409


class UnknownRoleError(UsageError):
    """There is no such emergency contact."""

    code = "register/unknown-role"
    http_status = 404


class ContactTestError(UsageError):
    """A test of a contact did not succeed."""

    code = "register/contact-test"
    http_status = 409
