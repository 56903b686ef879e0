"""A signed copy of what the log came to, so that a start replays only what was said since."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Keys, Role
from prodsprints.register import drilled, standing, testimony
from prodsprints.register.drilled import Drilled, Mark, Tally
from prodsprints.register.standing import Accepted, Incident, RowStanding, Standing
from prodsprints.register.testimony import Acceptance, Attestation, Ignored, ReviewWord
from prodsprints.store.database import Database, patient

_PURPOSE = b"prodsprints register snapshot\n"
_MOST_BYTES = 1 << 30

# Changes with the code that folds and packs: a snapshot made by another version is not the same standing. Looked at
# when that is loaded: sources may be edited while the platform runs.
_FILES = (Path(name or "") for name in (drilled.__file__, standing.__file__, testimony.__file__, __file__))
_CODE = hashlib.sha256(b"".join(file.read_bytes() for file in _FILES)).hexdigest()


@dataclass(frozen=True)
class Snapshot:
    """A standing, and the checkpoint of the log (size and root) that it was made under."""

    standing: Standing
    checkpoint_size: int
    root: bytes


@patient
def load(db: Database, tenant_id: UUID, keys: Keys) -> Snapshot | None:
    """The tenant's snapshot if it is whole, signed by the key that speaks now, and made by this very code."""
    with db.tenant(tenant_id) as connection:
        # in binary: as text it is twice as long
        row = connection.execute("select body, key_id, signature from register_snapshots", binary=True).fetchone()
    if row is None:
        return None
    key = keys.find(row["key_id"])
    if key is None or key.role is not Role.PLATFORM or not key.is_current:
        return None
    if not key.signed(_message(row["body"]), row["signature"]):
        return None
    inflater = zlib.decompressobj()
    document = json.loads(inflater.decompress(row["body"], _MOST_BYTES))
    bound = {"code": _CODE, "tenant": str(tenant_id), "revoked": revoked(keys)}
    if any(document[name] != value for name, value in bound.items()):
        return None
    return Snapshot(_unpacked(document), document["checkpoint_size"], bytes.fromhex(document["root"]))


@patient
def store(db: Database, keyring: Keyring, tenant_id: UUID, snapshot: Snapshot) -> None:
    """Keep it in place of the one before."""
    with keyring.speaking(tenant_id) as signer:
        document = {
            "code": _CODE,
            "tenant": str(tenant_id),
            "revoked": revoked(signer.keys),
            "checkpoint_size": snapshot.checkpoint_size,
            "root": snapshot.root.hex(),
            **_packed(snapshot.standing),
        }
        body = zlib.compress(json.dumps(document, separators=(",", ":")).encode(), level=1)
        key, signature = signer.sign(Role.PLATFORM, _message(body))
        with db.tenant(tenant_id) as connection:
            connection.execute(
                """
                insert into register_snapshots (body, key_id, signature) values (%s, %s, %s)
                on conflict (tenant_id) do update
                  set body = excluded.body, key_id = excluded.key_id, signature = excluded.signature,
                      made_at = clock_timestamp()
                """,
                [body, key.id, signature],
            )


def revoked(keys: Keys) -> list[list[Any]]:
    """Which keys are no longer believed, and from where on: what was concluded before that is void."""
    return sorted([key.id, key.revoked] for key in keys.keys if key.revoked is not None)


def _message(body: bytes) -> bytes:
    # of its own beginning, so that it could never pass for an envelope's or a checkpoint's
    return _PURPOSE + hashlib.sha256(body).digest()


# --- as JSON, with each long string once ------------------------------------------------------------------------------


class _Names:
    def __init__(self) -> None:
        self.table: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        return self.table.setdefault(name, len(self.table))


def _packed(standing: Standing) -> dict[str, Any]:
    names = _Names()
    rows = [
        [
            names(environment),
            row,
            [[names(variant), *_packed_drilled(one, names)] for variant, one in known.variants.items()],
            known.attestation and astuple(known.attestation),
            known.evidence,
        ]
        for (environment, row), known in standing.rows.items()
    ]
    return {
        "size": standing.size,
        "last_at": standing.last_at,
        "rows": rows,
        "acceptances": [[astuple(one.word), _packed_mark(one.reopened)] for one in standing.acceptances.values()],
        "incidents": [
            [
                *(one.id, one.environment, one.risk, one.rows, _packed_mark(one.declared), sorted(one.known)),
                {variant: _packed_mark(mark) for variant, mark in one.links.items()},
                *(_packed_mark(one.lifted), _packed_mark(one.closed)),
            ]
            for one in standing.incidents.values()
        ],
        "reviews": [astuple(one) for one in standing.reviews.values()],
        "document": standing.document,
        "nonces": sorted(standing.nonces),
        "ignored": [astuple(one) for one in standing.ignored],
        "ignored_count": standing.ignored_count,
        "names": list(names.table),
    }


def _packed_drilled(one: Drilled, names: _Names) -> list[Any]:
    return [
        *(names(one.digest), names(one.peer_class)),
        *(_packed_mark(one.held), _packed_mark(one.failed), _packed_mark(one.invalid), one.why_invalid),
        *(one.owed_passes, one.owed_days, one.recent, one.nonces),
        [[names(tally.digest), *tally[1:]] for tally in one.tallies],
        [names(experiment) for experiment in one.tried],
    ]


def _packed_mark(mark: Mark | None) -> list[Any] | None:
    return None if mark is None else [mark.index, mark.at]


def _unpacked(document: Mapping[str, Any]) -> Standing:
    names: list[str] = document["names"]
    return Standing(
        tenant=document["tenant"],
        size=document["size"],
        last_at=document["last_at"],
        rows={
            (names[environment], row): RowStanding(
                {names[one[0]]: _unpacked_drilled(one, names) for one in variants},
                Attestation(*attestation) if attestation else None,
                tuple(evidence),
            )
            for environment, row, variants, attestation, evidence in document["rows"]
        },
        acceptances={
            (word[3], word[4]): Accepted(Acceptance(*word), _mark(reopened))
            for word, reopened in document["acceptances"]
        },
        incidents={one[0]: _unpacked_incident(*one) for one in document["incidents"]},
        reviews={one[4]: ReviewWord(*one) for one in document["reviews"]},
        document=document["document"],
        nonces=frozenset(document["nonces"]),
        ignored=tuple(Ignored(*one) for one in document["ignored"]),
        ignored_count=document["ignored_count"],
    )


def _unpacked_drilled(one: list[Any], names: list[str]) -> Drilled:
    _, digest, peer_class, held, failed, invalid, why, owed_passes, owed_days, recent, nonces, tallies, tried = one
    return Drilled(
        names[digest],
        names[peer_class],
        _mark(held),
        _mark(failed),
        _mark(invalid),
        why,
        owed_passes,
        owed_days,
        tuple(recent),
        tuple(nonces),
        tuple([Tally(names[digest], *counts) for digest, *counts in tallies]),
        tuple([names[experiment] for experiment in tried]),
    )


def _unpacked_incident(
    id: str,
    environment: str,
    risk: str,
    rows: Iterable[str],
    declared: list[Any],
    known: Iterable[str],
    links: Mapping[str, list[Any]],
    lifted: list[Any] | None,
    closed: list[Any] | None,
) -> Incident:
    return Incident(
        id,
        environment,
        risk,
        tuple(rows),
        Mark(*declared),
        frozenset(known),
        {variant: Mark(*mark) for variant, mark in links.items()},
        _mark(lifted),
        _mark(closed),
    )


def _mark(packed: list[Any] | None) -> Mark | None:
    return None if packed is None else Mark(*packed)
