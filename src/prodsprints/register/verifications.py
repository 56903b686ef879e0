"""What the last look at the whole of a log found, kept and signed, so that every process knows of it."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID

from prodsprints.kernel import clock
from prodsprints.ledger.examination import Report
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Keys, Role
from prodsprints.ledger.verification import verify_log
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Database, patient

_PURPOSE = b"prodsprints log verification\n"
_MOST_FINDINGS = 20


def verify(db: Database, tenant_id: UUID, keyring: Keyring, witness: Witness, *, now: datetime) -> Report:
    """Look at the whole log of the tenant, and keep what was found: from then on its rows are invalid, or no longer."""
    report = verify_log(db, tenant_id, keyring, witness)
    if keyring.has(tenant_id):
        _store(db, keyring, tenant_id, report, now)
    return report


@patient
def newest(db: Database, tenant_id: UUID, keys: Keys) -> str:
    """What the last verification found wrong with the log, in a sentence; nothing if that was nothing."""
    with db.tenant(tenant_id) as connection:
        row = connection.execute("select body, key_id, signature from log_verifications").fetchone()
    key = keys.find(row["key_id"]) if row else None
    if row is None or key is None or key.role is not Role.PLATFORM or key.revoked is not None:
        return ""
    if not key.signed(_PURPOSE + row["body"].encode(), row["signature"]):
        return ""
    said = json.loads(row["body"])
    findings: list[str] = said["findings"] if said["tenant"] == str(tenant_id) else []
    return findings[0] if findings else ""


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
