"""Evidence over the API: the log, its entries with their proofs, its keys, its verification, and its export."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from prodsprints.ledger import bundle
from prodsprints.ledger.log import Proof
from prodsprints.web import entries
from prodsprints.web.api import evidence_values, values
from prodsprints.web.api.answers import READS, Here
from prodsprints.web.entries import Line
from prodsprints.web.identity import Reading
from prodsprints.web.verifications import refuse_long

router = APIRouter(prefix="/evidence", tags=["evidence"])

_MOST_NAMED = 1_000
_Index = Annotated[int, Path(ge=0, le=2**62)]


@router.get("", responses=READS)
def list_evidence(
    here: Here,
    caller: Reading,
    row: Annotated[str, Query(max_length=20, description="Of this row or risk only.")] = "",
    environment: Annotated[str, Query(max_length=40)] = "",
    cursor: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = entries.PER_PAGE,
) -> values.Page[evidence_values.EvidenceLine]:
    """The newest entries first. What is filtered is looked for part by part: a page can be empty and have a `next`."""
    ledger = here.ledger(caller.tenant_id)
    standing = here.assessor.standing(caller.tenant_id)
    found = entries.lines(ledger, standing, before=cursor, row=row, environment=environment, limit=limit)
    items = [evidence_values.EvidenceLine.model_validate(line) for line in found.lines]
    return values.Page(items=items, next=str(found.older) if found.older else None)


@router.get("/keys", responses=READS)
def get_keys(here: Here, caller: Reading) -> evidence_values.Keys:
    """The public keys that speak for this log, with the indexes at which each does. Pin them where you verify."""
    keys = here.ledger(caller.tenant_id).keys
    return evidence_values.Keys(
        keys=[evidence_values.Key.model_validate(key.as_json()) for key in keys.keys], fingerprint=keys.fingerprint
    )


@router.get("/verification", responses=READS)
def get_verification(here: Here, caller: Reading) -> evidence_values.Verification:
    """The whole log held against its signatures, its Merkle root and its witness, at most half a minute ago."""
    made = here.verifications.of(here.assessor, here.ledger(caller.tenant_id))
    return evidence_values.Verification(
        at=made.at,
        size=made.report.size,
        intact=not made.report.findings,
        findings=[evidence_values.Finding.model_validate(finding) for finding in made.report.findings],
        outside_witness=here.witness.outside,
    )


@router.get(
    "/export",
    response_class=Response,
    responses=READS | {200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
def export_evidence(
    here: Here,
    caller: Reading,
    index: Annotated[list[int] | None, Query(max_length=_MOST_NAMED, description="Default: every entry.")] = None,
) -> Response:
    """Entries, proofs, keys and checkpoint in one file, which `prodsprints evidence verify FILE` verifies offline."""
    ledger = here.ledger(caller.tenant_id)
    if index is None:
        refuse_long(ledger)
    content = bundle.export(ledger, indices=index)
    named = {"Content-Disposition": 'attachment; filename="evidence.json"'}
    return Response(content, media_type="application/json", headers=named)


@router.get("/{index}", responses=READS)
def get_evidence(index: _Index, here: Here, caller: Reading) -> evidence_values.EvidenceInFull:
    """One entry: what was said, the envelope, whose key signed it, and why it is in the log."""
    ledger = here.ledger(caller.tenant_id)
    entry = ledger.entry(index)
    key = ledger.keys.find(entry.envelope.key_id)
    return evidence_values.EvidenceInFull(
        **vars(Line.of(entry)),
        digest=entry.statement.digest,
        statement=json.loads(entry.envelope.payload),
        envelope=json.loads(entry.envelope.to_bytes()),
        key=evidence_values.Key.model_validate(key.as_json()) if key else None,
        inclusion=inclusion(ledger.inclusion(index)),
    )


def inclusion(proof: Proof) -> evidence_values.Inclusion:
    """The proof in hex, as the API and the page show it."""
    return evidence_values.Inclusion(
        leaf=proof.leaf.hex(),
        path=[one.hex() for one in proof.hashes],
        root=proof.checkpoint.root.hex(),
        size=proof.checkpoint.size,
        checkpoint=proof.checkpoint.note,
    )
