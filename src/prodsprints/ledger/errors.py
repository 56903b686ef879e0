"""What can be wrong with evidence, with the keys that speak for it, and with the log that holds it."""

from __future__ import annotations

from prodsprints.kernel.errors import ExitCode, ProdSprintsError, UsageError


class StatementError(UsageError):
    """A statement is not one that the ledger takes."""

    code = "ledger/statement"


class EnvelopeError(UsageError):
    """An envelope is not a signed statement."""

    code = "ledger/envelope"


class BundleError(UsageError):
    """A file is no bundle of evidence."""

    code = "ledger/bundle"


class ForeignEvidenceError(ProdSprintsError):
    """The evidence speaks for another tenant."""

    code = "ledger/foreign"
    exit_code = ExitCode.REFUSED
    http_status = 422


class ReplayedError(ProdSprintsError):
    """The ledger has this very statement already."""

    code = "ledger/replayed"
    exit_code = ExitCode.REFUSED
    http_status = 409


class NotSequencedError(ProdSprintsError):
    """A statement is stored, and waits longer for its place in the log than it should."""

    code = "ledger/not-sequenced"
    http_status = 503


class NoSuchEntryError(UsageError):
    """The log has no entry with that index."""

    code = "ledger/no-such-entry"
    http_status = 404


class LedgerTamperedError(ProdSprintsError):
    """The log is not what was signed."""

    code = "ledger/tampered"
    exit_code = ExitCode.REFUSED

    def __init__(self, what: str, *, kind: str, index: int | None = None, why: str = "") -> None:
        super().__init__(
            what,
            why=why,
            next_step="Stop relying on this log: run `prodsprints evidence export` and `evidence verify`, keep both"
            " outputs, and restore the database from a backup that agrees with the witness.",
        )
        self.kind = kind
        self.index = index


class SignatureError(ProdSprintsError):
    """A signature does not hold, or its key may not speak for this."""

    code = "ledger/signature"
    exit_code = ExitCode.REFUSED

    def __init__(self, what: str, *, kind: str, why: str = "") -> None:
        super().__init__(
            what, why=why, next_step="Trust nothing that this envelope says; `prodsprints evidence keys` lists who may."
        )
        self.kind = kind


class KeyLostError(ProdSprintsError):
    """A key that has to sign is not in this home."""

    code = "ledger/key-lost"


class KeyExposedError(ProdSprintsError):
    """Others than their owner could read or replace the signing keys."""

    code = "ledger/key-exposed"


class KeyRevokedError(ProdSprintsError):
    """The evidence was signed by a key that was revoked before."""

    code = "ledger/key-revoked"
    exit_code = ExitCode.REFUSED


class KeyFileError(ProdSprintsError):
    """The file with the signing keys cannot be understood."""

    code = "ledger/key-file"


class WitnessError(ProdSprintsError):
    """The checkpoints outside the database cannot be written or read."""

    code = "ledger/witness"
