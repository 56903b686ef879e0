"""The whole of each log, looked at once a day: what was found is kept and signed, so that every process knows of it."""

from __future__ import annotations

import json
import logging
import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prodsprints.kernel import clock
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.ledger.examination import Report
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Keys, Role
from prodsprints.ledger.sequencer import logs
from prodsprints.ledger.verification import verify_log
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Database, patient
from prodsprints.store.errors import DatabaseUnavailableError

_log = logging.getLogger(__name__)

_EVERY = timedelta(days=1)
_LOOK_SECONDS = 60.0
_PURPOSE = b"prodsprints log verification\n"
_MOST_FINDINGS = 20


class Verifier:
    """One thread of a worker; a log that any worker has looked at within a day is left alone."""

    def __init__(self, db: Database, keyring: Keyring, witness: Witness) -> None:
        self._db = db
        self._keyring = keyring
        self._witness = witness
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verifier", daemon=True)

    def start(self) -> None:
        """Begin, a minute from now."""
        self._thread.start()

    def stop(self) -> None:
        """Take up no other log; one that is being looked at is looked at again by the next worker."""
        self._stop.set()

    def verify_due(self) -> list[UUID]:
        """Verify each log that is due; which ones were."""
        return [tenant_id for tenant_id in logs(self._db) if not self._stop.is_set() and self._verified(tenant_id)]

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                self.verify_due()
            except DatabaseUnavailableError as error:
                _log.warning("%s", error.what)
            except Exception:
                _log.exception("verification")

    def _verified(self, tenant_id: UUID) -> bool:
        if not self._keyring.has(tenant_id):
            return False
        now = clock.now()
        try:
            said = _said(self._db, tenant_id, self._keyring.keys(tenant_id))
            if said is not None and now - datetime.fromisoformat(said["at"]) < _EVERY:
                return False
            found = verify(self._db, tenant_id, self._keyring, self._witness, now=now).findings
        except DatabaseUnavailableError:
            raise
        except ProdSprintsError as error:  # keys that cannot be used: the other logs are looked at all the same
            _log.error("the log of tenant %s: %s", tenant_id, error)
            return False
        for finding in found:
            _log.error("the log of tenant %s: %s", tenant_id, finding.sentence)
        return True


def verify(db: Database, tenant_id: UUID, keyring: Keyring, witness: Witness, *, now: datetime) -> Report:
    """Look at the whole log of the tenant, and keep what was found: from then on its rows are invalid, or no longer."""
    report = verify_log(db, tenant_id, keyring, witness)
    if keyring.has(tenant_id):
        _store(db, keyring, tenant_id, report, now)
    return report


def newest(db: Database, tenant_id: UUID, keys: Keys) -> str:
    """What the last verification found wrong with the log, in a sentence; nothing if that was nothing."""
    said = _said(db, tenant_id, keys)
    return said["findings"][0] if said is not None and said["findings"] else ""


@patient
def _said(db: Database, tenant_id: UUID, keys: Keys) -> dict[str, Any] | None:
    """The last verification, if this tenant's platform signed it."""
    with db.tenant(tenant_id) as connection:
        row = connection.execute("select body, key_id, signature from log_verifications").fetchone()
    key = keys.find(row["key_id"]) if row else None
    if row is None or key is None or key.role is not Role.PLATFORM or key.revoked is not None:
        return None
    if not key.signed(_PURPOSE + row["body"].encode(), row["signature"]):
        return None
    said: dict[str, Any] = json.loads(row["body"])
    return said if said["tenant"] == str(tenant_id) else None


@patient
def _store(db: Database, keyring: Keyring, tenant_id: UUID, report: Report, now: datetime) -> None:
    said = {
        "tenant": str(tenant_id),
        "size": report.size,
        "at": clock.iso(now),
        "findings": [finding.sentence for finding in report.findings[:_MOST_FINDINGS]],
    }
    body = json.dumps(said)
    with keyring.speaking(tenant_id) as signer:
        key, signature = signer.sign(Role.PLATFORM, _PURPOSE + body.encode())
    with db.tenant(tenant_id) as connection:
        connection.execute(
            """
            insert into log_verifications (body, key_id, signature) values (%s, %s, %s)
            on conflict (tenant_id) do update
              set body = excluded.body, key_id = excluded.key_id, signature = excluded.signature
            """,
            [body, key.id, signature],
        )
