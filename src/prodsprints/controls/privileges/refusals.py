"""What the ledger must not take for evidence, each tried once, and its proofs, held against what they do not prove."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from uuid import UUID, uuid4

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.ledger import merkle
from prodsprints.ledger.checkpoint import Checkpoint
from prodsprints.ledger.envelope import Envelope
from prodsprints.ledger.keyring import Keyring, Signer
from prodsprints.ledger.keys import Key, Keys, Role
from prodsprints.ledger.log import Ledger
from prodsprints.ledger.statement import PredicateType, Statement, Subject
from prodsprints.ledger.witness import Witness

_SUBJECT = Subject("role/drilled", "ab" * 32)


def taken(ledger: Ledger, keyring: Keyring, witness: Witness) -> list[str]:
    """Which of all the things that are no evidence were taken for some."""
    signer, tenant_id = keyring.signer(ledger.tenant_id), ledger.tenant_id
    said = Statement(PredicateType.OPERATION, (_SUBJECT,), {"tenant": str(tenant_id), "nonce": uuid4().hex})
    tries = [
        *_statements(ledger, said),
        *_spellings(said),
        *_envelopes(signer, said),
        *_checkpoints(signer, ledger),
        *_indexes(ledger),
        *_keys(signer),
        *_witnessed(signer, ledger, witness),
    ]
    alone = bytes(merkle.HASH_BYTES)
    second = ["the second entry of a log of one"] if merkle.verify_inclusion(alone, 1, 1, (), alone) else []
    return [what for what, act in tries if not _refused(act)] + _refused_wrongly(signer, said) + second


def wrong_proofs(ledger: Ledger) -> str:
    """A proof that does not hold, or one that holds for something else; empty if there is none."""
    size = ledger.size()
    for act, beyond in ((merkle.inclusion_proof, size), (merkle.consistency_proof, size + 1)):
        if not _refused(partial(act, _nothing, beyond, size), ValueError):
            return f"{act.__name__} of what there is not"
    leaf, other = (merkle.leaf_hash(bytes([number])) for number in range(2))
    if merkle.verify_inclusion(leaf, 1, 1, (), leaf) or merkle.verify_consistency(0, 1, leaf, leaf, ()):
        return "what there is not"
    if merkle.verify_consistency(2, 1, leaf, leaf, ()) or merkle.verify_consistency(1, 1, leaf, other, ()):
        return "another log"
    for index in {0, 1, size // 2, 255, 256, size - 1}:
        proof = ledger.inclusion(index)
        for place, leaf, hashes, holds in (
            (index, proof.leaf, proof.hashes, True),
            (index + 1, proof.leaf, proof.hashes, False),
            (index, proof.checkpoint.root, proof.hashes, False),
            (index, proof.leaf, proof.hashes[1:], False),
            (index, proof.leaf, (*proof.hashes, proof.leaf), False),
        ):
            if merkle.verify_inclusion(leaf, place, size, hashes, proof.checkpoint.root) is not holds:
                return f"entry {index}"
    for old in {1, 2, 3, size // 2, 256, size - 1, size}:
        proof = ledger.consistency(old)
        root = proof.checkpoint.root
        for older, leaf, hashes, holds in (
            (old, proof.leaf, proof.hashes, True),
            (old - 1, proof.leaf, proof.hashes, False),
            (old, bytes(32), proof.hashes, False),
            (old, proof.leaf, (*proof.hashes, root), False),
        ):
            if merkle.verify_consistency(older, size, leaf, root, hashes) is not holds:
                return f"the log of {old}"
    return ""


_Try = tuple[str, Callable[[], object]]


def _statements(ledger: Ledger, said: Statement) -> Iterator[_Try]:
    def add(**more: object) -> Callable[[], object]:
        return partial(ledger.append, replace(said, predicate={**said.predicate, **more}))

    ledger.append(said)
    deep: object = 1
    for _ in range(20):
        deep = [deep]
    yield "a statement said twice", partial(ledger.append, said)
    yield "another tenant's statement", add(tenant=str(uuid4()))
    yield "a statement of no tenant", add(tenant=None)
    yield "a statement with NaN", add(number=float("nan"))
    yield "a statement that is too long", add(text="x" * 65_536)
    yield "a statement that is too deep", add(deep=deep)
    yield "a statement about nothing", partial(ledger.append, replace(said, subjects=()))
    yield "a statement about too much", partial(ledger.append, replace(said, subjects=(_SUBJECT,) * 65))
    for subject in (Subject("", "ab" * 32), Subject("x" * 501, "ab" * 32), Subject("x", "AB" * 32), Subject("x", "ab")):
        yield f"the subject {subject}", partial(ledger.append, replace(said, subjects=(subject,)))


def _spellings(said: Statement) -> Iterator[_Try]:
    whole = said.to_bytes()
    for old, new in (
        (b'"tenant"', b' "tenant"'),
        (b'"nonce":', b'"nonce":"x","nonce":'),
        (b"operation:v1", b"opinion:v1"),
        (b"Statement/v1", b"Statement/v0"),
        (b'"_type"', b'"type"'),
        (b'"sha256":"', b'"sha256":"0'),
        (b'"name":"', b'"nome":"'),
        (b'"predicate":{', b'"predicate":[{'),
        (b"{", b""),
        (b"r", b"\xff"),
    ):
        yield f"a statement with {new!r}", partial(Statement.from_bytes, whole.replace(old, new, 1))
    yield "a long statement", partial(Statement.from_bytes, whole + b" " * 65_536)


def _envelopes(signer: Signer, said: Statement) -> Iterator[_Try]:
    keys, envelope = signer.keys, signer.envelope(Role.PLATFORM, said.to_bytes())
    whole = envelope.to_bytes()
    for old, new in (
        (b'"payload":', b' "payload":'),
        (b'"payload":"', b'"payload":"*'),
        (b"vnd.in-toto", b"vnd.out-toto"),
        (b'"sig":"', b'"sig":"AAAA'),
        (b'"signatures":[', b'"signatures":[{},'),
        (b"{", b""),
        (b"p", b"\xff"),
    ):
        yield f"an envelope with {new!r}", partial(Envelope.from_bytes, whole.replace(old, new, 1))
    yield "a long envelope", partial(Envelope.from_bytes, replace(envelope, payload=b"x" * 90_000).to_bytes())
    yield "a long key id", partial(Envelope.from_bytes, replace(envelope, key_id="x" * 65).to_bytes())
    yield "a foreign key", partial(keys.opened, replace(envelope, key_id="0" * 32), 0)
    yield "another statement's signature", partial(keys.opened, replace(envelope, payload=b"{}"), 0)
    yield "no statement", partial(keys.opened, signer.envelope(Role.PLATFORM, b"{}"), 0)
    for type in PredicateType:
        for role in Role:
            if not _may(role, type):
                drilled = {**said.predicate, "drill": said.predicate}
                other = signer.envelope(role, replace(said, type=type, predicate=drilled).to_bytes())
                yield f"{type} by {role}", partial(keys.opened, other, 0)
    others = Keys(uuid4(), keys.keys)
    yield "a statement of another log", partial(others.opened, envelope, 0)
    for index, ranged in _out_of_range(keys, envelope.key_id):
        yield f"a key at {index}", partial(ranged.opened, envelope, index)


def _checkpoints(signer: Signer, ledger: Ledger) -> Iterator[_Try]:
    newest = ledger.checkpoint()
    assert newest is not None  # noqa: S101 - the log has entries
    keys, note = signer.keys, newest.note
    log = next(key for key in keys if key.role is Role.LOG)
    for old, new in (
        ("urn:", "urm:"),
        (f"\n{newest.size}\n", f"\n{newest.size + 1}\n"),
        ("time ", "time 1"),
        ("\n— ", "\n- "),
        ("\n— urn", "\n— urm"),
        (note[-20:-16], "AAAA"),
        (note[-93:-89], "AAAA"),
    ):
        yield f"a note with {new!r}", partial(_verified, note.replace(old, new), keys)
    yield "a note of another log", partial(newest.verify, Keys(UUID(int=1), keys.keys))
    yield "a note that is too long", partial(Checkpoint.parse, note + "\n" * 2_000)
    yield "no note", partial(Checkpoint.newest, "nothing")
    for ranged in (
        replace(log, from_index=newest.size),
        replace(log, until_index=newest.size - 2),
        replace(log, revoked=newest.size - 1),
        replace(log, role=Role.PLATFORM),
    ):
        one = Keys(keys.tenant_id, (ranged,))
        yield f"a note by {ranged}", partial(newest.verify, one)


def _indexes(ledger: Ledger) -> Iterator[_Try]:
    for index in (-1, ledger.size()):
        yield f"entry {index}", partial(ledger.entry, index)
        yield f"a proof of entry {index}", partial(ledger.inclusion, index)
        yield f"a log of {index + 1}", partial(ledger.consistency, index + 1)


def _witnessed(signer: Signer, ledger: Ledger, witness: Witness) -> Iterator[_Try]:
    newest = ledger.checkpoint()
    assert newest is not None  # noqa: S101 - the log has entries
    other = Checkpoint.signed(signer, size=newest.size, root=bytes(32), at=newest.at)
    yield "two roots of one size", partial(witness.record, other)


def _refused_wrongly(signer: Signer, said: Statement) -> list[str]:
    """What is evidence, at the borders of what is none."""
    keys, envelope = signer.keys, signer.envelope(Role.PLATFORM, said.to_bytes())
    wrong = []
    for index, ranged in _in_range(keys, envelope.key_id):
        if _refused(partial(ranged.opened, envelope, index)):
            wrong.append(f"refused: a key at {index}")
    for border in (-1, 2**62):
        if _refused(partial(_with, keys, envelope.key_id, revoked=border)):
            wrong.append(f"refused: a key that was revoked at {border}")
    for subject in (Subject("x", "ab" * 32), Subject("x" * 500, "ab" * 32)):
        made = replace(said, subjects=(subject,) * 64)
        if _refused(made.to_bytes) or Statement.from_bytes(made.to_bytes()) != made:
            wrong.append("refused: a statement about much")
    if _with(keys, envelope.key_id, revoked=5).fingerprint == keys.fingerprint:
        wrong.append("the fingerprint of other keys")
    return wrong


def _keys(signer: Signer) -> Iterator[_Try]:
    item = next(iter(signer.keys)).as_json()
    for more in (
        {"id": "0" * 32},
        {"public": "AAAA"},
        {"public": "*"},
        {"role": "king"},
        {"from_index": -1},
        {"from_index": 2**63},
        {"until_index": -2},
        {"revoked": "soon"},
        {"revoked": True},
    ):
        yield f"a key with {more}", partial(Key.from_json, item | more)


def _out_of_range(keys: Keys, id: str) -> Iterator[tuple[int, Keys]]:
    yield 4, _with(keys, id, from_index=5)
    yield 6, _with(keys, id, until_index=5)
    yield 5, _with(keys, id, revoked=5)


def _in_range(keys: Keys, id: str) -> Iterator[tuple[int, Keys]]:
    yield 5, _with(keys, id, from_index=5)
    yield 5, _with(keys, id, until_index=5)
    yield 4, _with(keys, id, revoked=5)


def _with(keys: Keys, id: str, **bounds: int) -> Keys:
    items = [item | bounds if item["id"] == id else item for item in keys.as_json()]
    return Keys(keys.tenant_id, tuple(Key.from_json(item) for item in items))


def _may(role: Role, type: PredicateType) -> bool:
    if type is PredicateType.TEST_RESULT:
        return role is Role.DRILL
    by_people = (PredicateType.ATTESTATION, PredicateType.ACCEPTANCE, PredicateType.INCIDENT, PredicateType.REVIEW)
    return role is (Role.PERSON if type in by_people else Role.PLATFORM)


def _verified(note: str, keys: Keys) -> None:
    Checkpoint.parse(note).verify(keys)


def _nothing(_level: int, _number: int) -> bytes:
    return bytes(merkle.HASH_BYTES)


def _refused(act: Callable[[], object], error: type[Exception] = ProdSprintsError) -> bool:
    try:
        act()
    except error:
        return True
    return False
