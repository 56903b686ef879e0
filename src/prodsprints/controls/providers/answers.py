"""Reads AWS's XML answers as values; what is too large, declares entities or is not as promised is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

from prodsprints.controls.providers.errors import ProviderAnswerError

LONGEST_BYTES = 64 * 1024
_ACCOUNT = re.compile(r"[0-9]{12}")
_ARN = re.compile(r"arn:[!-~]{1,2000}")
_ALIAS = re.compile(r"[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])")
_CODE = re.compile(r"[A-Za-z0-9.:_-]{1,100}")
_LONGEST_MESSAGE = 300


@dataclass(frozen=True)
class Identity:
    """Whose credentials these are."""

    account: str
    arn: str


@dataclass(frozen=True)
class Refusal:
    """An error as AWS names it; the code is empty where the answer names none."""

    code: str
    message: str


def identity(body: bytes) -> Identity:
    """What GetCallerIdentity answered. Raises ProviderAnswerError."""
    root = _parsed(body)
    account, arn = _text(root, "Account"), _text(root, "Arn")
    if not _ACCOUNT.fullmatch(account) or not _ARN.fullmatch(arn):
        raise _unexpected("It names no account.")
    return Identity(account, arn)


def alias(body: bytes) -> str:
    """The alias in what ListAccountAliases answered, of which an account has one or none: then it is empty.

    Raises ProviderAnswerError.
    """
    root = _parsed(body)
    lists = list(_named(root, "AccountAliases"))
    if not lists:
        raise _unexpected("It holds no list of aliases.")
    found = (_text(lists[0], "member") if len(lists[0]) else "").strip()
    if found and not _ALIAS.fullmatch(found):
        raise _unexpected("Its alias is no alias.")
    return found


def refusal(body: bytes) -> Refusal:
    """The error that an answer names. It is what went wrong already, so nothing more is raised of it."""
    try:
        root = _parsed(body)
    except ProviderAnswerError:
        return Refusal("", "")
    code, message = _text(root, "Code"), _text(root, "Message")
    readable = "".join(letter if letter.isprintable() else " " for letter in message)
    return Refusal(code if _CODE.fullmatch(code) else "", readable.strip()[:_LONGEST_MESSAGE])


def _parsed(body: bytes) -> Element:
    if len(body) > LONGEST_BYTES:
        raise _unexpected(f"It is longer than {LONGEST_BYTES:,} bytes.")
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise _unexpected("It is no XML that we accept.") from None
    return root


def _text(root: Element, name: str) -> str:
    return next((element.text or "" for element in _named(root, name)), "")


def _named(root: Element, name: str) -> Iterator[Element]:
    # whatever the namespace: each API version has another one, and stand-ins leave it out
    return (element for element in root.iter() if str(element.tag).rpartition("}")[2] == name)


def _unexpected(why: str) -> ProviderAnswerError:
    return ProviderAnswerError(
        "AWS's answer is not what its API promises.",
        why=why,
        next_step="Check that nothing between the worker and AWS answers in its place: a proxy, a login page.",
    )
