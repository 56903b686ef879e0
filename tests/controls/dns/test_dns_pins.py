"""Pinned addresses are used when nobody says another one, and vouch for nothing."""

from __future__ import annotations

import ssl

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.controls.dns import names
from prodsprints.controls.dns.errors import BadNameError, BadPinError, NameNotFoundError, NoServerAnswersError
from prodsprints.controls.dns.pins import PinnedResolver, Pins
from prodsprints.controls.dns.resolver import Answer, Origin

PINS = Pins.of({"Sts.Test": ["192.0.2.1", "2001:DB8::1"]})


class Says:
    """A resolver that answers what it was told to."""

    def __init__(self, *said: Answer | Exception) -> None:
        self.said = list(said)
        self.asked = 0

    def resolve(self, name: str, *, within_seconds: float = 1.0) -> Answer:  # noqa: ARG002 - as resolvers are asked
        self.asked += 1
        found = self.said.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def fresh(*addresses: str) -> Answer:
    return Answer("sts.test", addresses, 0, Origin.ANSWERED)


@pytest.mark.parametrize("error", [NoServerAnswersError, NameNotFoundError])
def test_a_pin_is_used_when_nobody_finds_the_name(error: type[Exception]) -> None:
    answer = PinnedResolver(Says(error("no", next_step="")), PINS).resolve("sts.test", within_seconds=1)
    assert (answer.addresses, answer.origin) == (("192.0.2.1", "2001:db8::1"), Origin.PINNED)


def test_a_fresh_answer_goes_before_a_pin() -> None:
    resolver = PinnedResolver(Says(fresh("192.0.2.9")), PINS)
    assert resolver.resolve("sts.test", within_seconds=1).addresses == ("192.0.2.9",)


def test_pins_come_after_stale_addresses() -> None:
    stale = Answer("sts.test", ("192.0.2.9", "192.0.2.1"), 99, Origin.STALE)
    answer = PinnedResolver(Says(stale), PINS).resolve("sts.test", within_seconds=1)
    assert answer.addresses == ("192.0.2.9", "192.0.2.1", "2001:db8::1")
    assert answer.stale


def test_while_a_pin_is_used_nobody_waits_for_dns_again_for_half_a_minute() -> None:
    now = [0.0]
    says = Says(NoServerAnswersError("no", next_step=""), fresh("192.0.2.9"))
    resolver = PinnedResolver(says, PINS, clock=lambda: now[0])
    for now[0], origin, asked in ((0, Origin.PINNED, 1), (29, Origin.PINNED, 1), (30, Origin.ANSWERED, 2)):
        assert resolver.resolve("sts.test", within_seconds=1).origin is origin
        assert says.asked == asked


def test_a_name_without_a_pin_is_not_found() -> None:
    with pytest.raises(NoServerAnswersError):
        PinnedResolver(Says(NoServerAnswersError("no", next_step="")), PINS).resolve("other.test", within_seconds=1)


@pytest.mark.parametrize("addresses", [[], ["sts.test"], ["192.0.2.1/24"], [""], ["192.0.2.1"] * 17])
def test_what_is_no_address_is_no_pin(addresses: list[str]) -> None:
    with pytest.raises(BadPinError):
        Pins.of({"sts.test": addresses})


@given(st.dictionaries(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=3), max_size=3))
def test_any_pins_are_kept_or_refused(stated: dict[str, list[str]]) -> None:
    try:
        Pins.of(stated)
    except (BadPinError, BadNameError):
        return


def test_a_pinned_name_is_not_reached_without_tls() -> None:
    transport = names.transport(Says(), {"sts.test": ["127.0.0.1"]}, trust=ssl.create_default_context())
    with httpx.Client(transport=transport) as client, pytest.raises(BadPinError, match="without TLS"):
        client.get("http://sts.test/")
