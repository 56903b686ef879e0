"""AWS's XML is read as far as its API promises it, and nothing else in it has an effect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.controls.providers import answers
from prodsprints.controls.providers.answers import Identity, Refusal
from prodsprints.controls.providers.errors import ProviderAnswerError

WHO = b"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:user/deployer</Arn><UserId>AIDA</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""
ALIASES = b"""<ListAccountAliasesResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListAccountAliasesResult>
<AccountAliases>%b</AccountAliases><IsTruncated>false</IsTruncated></ListAccountAliasesResult>
</ListAccountAliasesResponse>"""


def test_the_account_and_who_we_are_in_it_are_read() -> None:
    assert answers.identity(WHO) == Identity("123456789012", "arn:aws:iam::123456789012:user/deployer")


@pytest.mark.parametrize("alias", ["", "shop-production", "a1b"])
def test_an_account_has_one_alias_or_none(alias: str) -> None:
    member = f"<member>{alias}</member>".encode() if alias else b""
    assert answers.alias(ALIASES % member) == alias


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Please log in</body></html>",
        b'{"Account": "123456789012"}',
        WHO.replace(b"<Account>123456789012</Account>", b""),
        WHO.replace(b"<Account>123456789012</Account>", b"<Account>12345678901</Account>"),
        WHO.replace(b"<Account>123456789012</Account>", "<Account>１２３４５６７８９０１２</Account>".encode()),
        WHO.replace(b"arn:aws:iam::123456789012:user/deployer", b"arn:\x1b[2Jaws"),
        WHO[:200],
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + WHO,
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + WHO,
        b"<?xml version='1.0' encoding='nonsense'?>" + WHO,
        WHO + b" " * answers.LONGEST_BYTES,
        b"<a>" * 20_000,
    ],
)
def test_what_is_no_answer_of_aws_is_refused(body: bytes) -> None:
    with pytest.raises(ProviderAnswerError):
        answers.identity(body)


@pytest.mark.parametrize("member", [b"<member>two words</member>", b"<member>UPPER</member>"])
def test_what_is_no_alias_is_refused(member: bytes) -> None:
    with pytest.raises(ProviderAnswerError):
        answers.alias(ALIASES % member)
    with pytest.raises(ProviderAnswerError, match="promises"):
        answers.alias(WHO)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>",
         Refusal("Throttling", "Rate exceeded")),
        (b"<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>",
         Refusal("RequestLimitExceeded", "")),
        (b"<Error><Code>a b;</Code><Message>two\nlines</Message></Error>", Refusal("", "two lines")),
        (b"Service Unavailable", Refusal("", "")),
        (b"", Refusal("", "")),
    ],
)  # fmt: skip
def test_an_error_is_read_in_any_of_awss_shapes(body: bytes, expected: Refusal) -> None:
    assert answers.refusal(body) == expected


@given(
    st.binary(max_size=300) | st.builds(lambda at, noise: WHO[:at] + noise + WHO[at:], st.integers(0, 250), st.binary())
)
def test_any_bytes_are_an_answer_or_an_error_that_we_know(body: bytes) -> None:
    answers.refusal(body)
    for read in (answers.identity, answers.alias):
        try:
            read(body)
        except ProviderAnswerError:
            continue
