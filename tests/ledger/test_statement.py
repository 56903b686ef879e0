"""Statements and envelopes: one spelling, bounded, and nothing but our own errors for what is none."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.ledger.envelope import Envelope
from prodsprints.ledger.errors import EnvelopeError, KeyRevokedError, SignatureError, StatementError
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.keys import Keys, Role
from prodsprints.ledger.statement import MAX_BYTES, PredicateType, Statement, Subject

TENANT = UUID(int=7)
SUBJECT = Subject("R001.1", "ab" * 32)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def statement(**predicate: Any) -> Statement:
    return Statement(PredicateType.OPERATION, (SUBJECT,), {"tenant": str(TENANT), "nonce": "n", **predicate})


@pytest.fixture
def keyring(tmp_path: Any) -> Keyring:
    keyring = Keyring.open(tmp_path)
    keyring.create(TENANT)
    return keyring


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_what_is_written_is_read_back_and_written_the_same(predicate: dict[str, Any]) -> None:
    try:
        payload = Statement(PredicateType.OPERATION, (SUBJECT,), predicate).to_bytes()
    except StatementError:  # a lone surrogate, say, has no place in JSON
        return
    again = Statement.from_bytes(payload)
    assert again.to_bytes() == payload
    assert again.predicate == predicate


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused_in_our_words(content: bytes) -> None:
    for parse in (Statement.from_bytes, Envelope.from_bytes):
        with pytest.raises(ProdSprintsError):
            parse(content)


@given(data=st.data())
def test_a_statement_with_any_byte_changed_is_another_one_or_none(data: st.DataObject) -> None:
    payload = statement(action="grant", number=1.5).to_bytes()
    at = data.draw(st.integers(0, len(payload) - 1))
    changed = payload[:at] + bytes([data.draw(st.integers(0, 255))]) + payload[at + 1 :]
    try:
        read = Statement.from_bytes(changed)
    except StatementError:
        return
    assert read.to_bytes() == changed


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 50_000,
        b'{"a":' * 20_000,
        b"1" * 60_000,
        statement().to_bytes().replace(b'"n"', b"NaN"),
        statement().to_bytes().replace(b'"n"', b"Infinity"),
        statement().to_bytes().replace(b'"n"', b"1e999"),
        statement().to_bytes().replace(b'"n"', b'"\\ud800"'),
        statement().to_bytes().replace(b'"n"', b'"n","nonce":"m"'),
        statement().to_bytes().replace(b'"n"', b'"n" '),
        statement().to_bytes().replace(b"operation", b"anything"),
        statement().to_bytes().replace(b"Statement/v1", b"Statement/v2"),
        statement().to_bytes().replace(b"abab", b"ABAB"),
        statement().to_bytes().replace(b'"R001.1"', b'""'),
        b"\xff\xfe",
        b"",
    ],
    ids=lambda payload: payload[-40:].decode(errors="replace"),
)
def test_what_could_be_read_in_two_ways_is_refused(payload: bytes) -> None:
    with pytest.raises(StatementError):
        Statement.from_bytes(payload)


@pytest.mark.parametrize(
    "made",
    [
        Statement(PredicateType.OPERATION, (), {"tenant": str(TENANT)}),
        Statement(PredicateType.OPERATION, (SUBJECT,) * 65, {"tenant": str(TENANT)}),
        Statement(PredicateType.OPERATION, (Subject("x" * 501, "ab" * 32),), {}),
        statement(text="x" * MAX_BYTES),
        statement(number=float("nan")),
        statement(number=float("inf")),
        statement(thing=object()),
        statement(deep=[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]),
    ],
    ids=["no subject", "too many", "long name", "oversize", "nan", "infinity", "no JSON", "deep"],
)
def test_a_statement_that_could_not_be_read_again_is_not_written(made: Statement) -> None:
    with pytest.raises(StatementError):
        made.to_bytes()


def test_the_tenant_is_named_in_the_predicate_or_in_the_drill() -> None:
    drill = Statement(PredicateType.TEST_RESULT, (SUBJECT,), {"drill": {"tenant": str(TENANT)}})
    assert statement().tenant == drill.tenant == TENANT
    for nobody in ({}, {"tenant": 7}, {"tenant": "you"}, {"drill": "none"}):
        for kind in PredicateType:
            with pytest.raises(StatementError, match="names no tenant"):
                Statement(kind, (SUBJECT,), nobody).tenant  # noqa: B018 - it raises


@given(data=st.data())
def test_an_envelope_with_any_byte_changed_does_not_verify(data: st.DataObject, tmp_path_factory: Any) -> None:
    keyring = Keyring.open(tmp_path_factory.mktemp("keys"))
    keyring.create(TENANT)
    whole = keyring.signer(TENANT).envelope(Role.PLATFORM, statement().to_bytes()).to_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    with pytest.raises((EnvelopeError, SignatureError, StatementError)):
        keyring.keys(TENANT).opened(Envelope.from_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :]), 0)


def test_another_implementation_verifies_our_envelopes(keyring: Keyring) -> None:
    envelope = keyring.signer(TENANT).envelope(Role.PLATFORM, statement(action="grant").to_bytes())
    other = OtherEnvelope.from_dict(json.loads(envelope.to_bytes()))
    key = keyring.keys(TENANT).find(envelope.key_id)
    assert key is not None
    theirs = SSlibKey(key.id, "ed25519", "ed25519", {"public": key.public.hex()})
    assert other.verify([theirs], 1).keys() == {key.id}
    other.payload += b" "
    with pytest.raises(VerificationError):
        other.verify([theirs], 1)


@pytest.mark.parametrize(
    ("type", "role"),
    [(type, role) for type in PredicateType for role in Role],
    ids=lambda value: str(value).rpartition("/")[2],
)
def test_a_key_speaks_for_its_own_role_only(keyring: Keyring, type: PredicateType, role: Role) -> None:
    said = Statement(type, (SUBJECT,), {"tenant": str(TENANT), "drill": {"tenant": str(TENANT)}})
    envelope = keyring.signer(TENANT).envelope(role, said.to_bytes())
    drilled = type is PredicateType.TEST_RESULT
    by_people = type.name in {"ATTESTATION", "ACCEPTANCE", "INCIDENT", "REVIEW"}
    if role is (Role.DRILL if drilled else Role.PERSON if by_people else Role.PLATFORM):
        assert keyring.keys(TENANT).opened(envelope, 0) == said
    else:
        with pytest.raises(SignatureError) as refused:
            keyring.keys(TENANT).opened(envelope, 0)
        assert refused.value.kind == "key"


def test_a_key_speaks_from_its_first_index_to_its_last_and_not_after_it_was_revoked(keyring: Keyring) -> None:
    said = statement()
    envelope = keyring.signer(TENANT).envelope(Role.PLATFORM, said.to_bytes())
    items = [
        item | ({"from_index": 3, "until_index": 9, "revoked": 7} if item["id"] == envelope.key_id else {})
        for item in keyring.keys(TENANT).as_json()
    ]
    keys = Keys.from_json(TENANT, items)
    for index, error in {
        2: SignatureError,
        3: None,
        6: None,
        7: KeyRevokedError,
        9: KeyRevokedError,
        10: SignatureError,
    }.items():
        if error is None:
            assert keys.opened(envelope, index) == said
        else:
            with pytest.raises(error):
                keys.opened(envelope, index)


def test_what_another_tenant_said_is_foreign(keyring: Keyring) -> None:
    other = uuid4()
    keyring.create(other)
    envelope = keyring.signer(other).envelope(Role.PLATFORM, statement().to_bytes())
    with pytest.raises(SignatureError, match="foreign"):
        keyring.keys(TENANT).opened(envelope, 0)
    with pytest.raises(SignatureError, match="another tenant"):
        keyring.keys(other).opened(envelope, 0)
