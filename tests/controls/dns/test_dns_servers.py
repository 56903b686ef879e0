"""Servers are asked in order, in time, and what they answer is believed only as far as it is an answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dns.exception
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.controls.dns import servers
from prodsprints.controls.dns.errors import BadNameError, NameNotFoundError, NoServerAnswersError
from prodsprints.controls.dns.servers import Found, NotServedError, Servers
from support_waiting import eventually

Make = Callable[[], Any]


def test_both_families_are_found_and_the_shorter_time_to_live_holds(dns_talk: Make) -> None:
    talk = dns_talk()
    talk.records = ["www.test. 300 A 192.0.2.1", "www.test. 60 AAAA 2001:db8::1"]
    assert Servers(lambda: [talk.server]).ask("www.test", within_seconds=5) == Found(("192.0.2.1", "2001:db8::1"), 60)


def test_an_alias_is_followed_and_its_time_to_live_counts_too(dns_talk: Make) -> None:
    talk = dns_talk()
    talk.records = ["www.test. 20 CNAME host.test.", "host.test. 300 A 192.0.2.1"]
    assert Servers(lambda: [talk.server]).ask("www.test", within_seconds=5) == Found(("192.0.2.1",), 20)


def test_a_silent_server_costs_four_tenths_of_a_second_once(dns_talk: Make) -> None:
    first, second = dns_talk(), dns_talk()
    first.silent = True
    second.records = ["www.test. 300 A 192.0.2.1"]
    both = Servers(lambda: [first.server, second.server])
    durations = []
    for _ in range(2):
        began = time.monotonic()
        both.ask("www.test", within_seconds=5)
        durations.append(time.monotonic() - began)
    assert 0.4 <= durations[0] < 0.9
    assert durations[1] < 0.3
    assert len(first.asked) == 1


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP])
def test_a_server_that_declines_is_no_answer_and_the_next_one_is_asked(dns_talk: Make, rcode: dns.rcode.Rcode) -> None:
    first, second = dns_talk(), dns_talk()
    first.rcode = rcode
    second.records = ["www.test. 300 A 192.0.2.1"]
    both = Servers(lambda: [first.server, second.server])
    assert both.ask("www.test", within_seconds=5).addresses == ("192.0.2.1",)


def test_that_a_name_does_not_exist_is_an_answer(dns_talk: Make) -> None:
    talk, other = dns_talk(), dns_talk()
    talk.rcode = dns.rcode.NXDOMAIN
    with pytest.raises(NameNotFoundError, match="does not exist"):
        Servers(lambda: [talk.server, other.server]).ask("www.test", within_seconds=5)
    assert other.asked == []


def test_a_name_without_an_address_is_not_found(dns_talk: Make) -> None:
    with pytest.raises(NameNotFoundError, match="no address"):
        Servers(lambda: [dns_talk().server]).ask("www.test", within_seconds=5)


def test_nobody_waits_longer_than_asked_for_and_each_server_is_named(dns_talk: Make) -> None:
    first, second = dns_talk(), dns_talk()
    first.silent = second.silent = True
    began = time.monotonic()
    with pytest.raises(NoServerAnswersError) as caught:
        Servers(lambda: [first.server, second.server]).ask("www.test", within_seconds=1.0)
    assert time.monotonic() - began < 1.5
    assert str(first.server) in caught.value.why and str(second.server) in caught.value.why


def test_a_machine_without_servers_says_so() -> None:
    with pytest.raises(NoServerAnswersError, match="names none"):
        Servers(lambda: []).ask("www.test", within_seconds=1)


def test_a_forged_answer_is_waited_past(dns_talk: Make) -> None:
    def forged(wire: bytes) -> list[bytes]:
        reply = dns.message.make_response(dns.message.from_wire(wire))
        reply.id ^= 1
        reply.answer.append(dns.rrset.from_text("www.test.", 300, "IN", "A", "203.0.113.66"))
        return [b"no DNS at all", reply.to_wire()]

    talk = dns_talk()
    talk.records = ["www.test. 300 A 192.0.2.1"]
    talk.before = forged
    assert Servers(lambda: [talk.server]).ask("www.test", within_seconds=5).addresses == ("192.0.2.1",)


def test_addresses_of_other_names_in_an_answer_are_left_out(dns_talk: Make) -> None:
    talk = dns_talk()
    talk.records = ["www.test. 300 A 192.0.2.1", "victim.test. 300 A 203.0.113.66"]
    assert Servers(lambda: [talk.server]).ask("www.test", within_seconds=5).addresses == ("192.0.2.1",)


def test_a_flood_of_addresses_is_cut(dns_talk: Make) -> None:
    talk = dns_talk()
    talk.records = [f"www.test. 300 A 192.0.2.{number}" for number in range(1, 60)]
    assert len(Servers(lambda: [talk.server]).ask("www.test", within_seconds=5).addresses) == 16


@given(st.binary(max_size=512))
def test_any_bytes_are_an_answer_or_an_error_that_we_know(wire: bytes) -> None:
    try:
        addresses, ttl = servers.read(dns.message.from_wire(wire))
    except (dns.exception.DNSException, NotServedError, NameNotFoundError):
        return
    assert all(isinstance(address, str) for address in addresses) and ttl >= 0


@given(st.binary(max_size=80), st.integers(0, 79))
def test_a_damaged_answer_is_an_answer_or_an_error_that_we_know(noise: bytes, at: int) -> None:
    reply = dns.message.make_response(dns.message.make_query("www.test.", "A"))
    reply.answer.append(dns.rrset.from_text("www.test.", 300, "IN", "A", "192.0.2.1"))
    wire = reply.to_wire()
    try:
        servers.read(dns.message.from_wire(wire[:at] + noise + wire[at + len(noise) :]))
    except (dns.exception.DNSException, NotServedError, NameNotFoundError):
        return


@pytest.mark.parametrize(
    ("name", "expected"),
    [("WWW.Test", "www.test."), ("www.test.", "www.test."), ("bücher.test", "xn--bcher-kva.test."), ("a", "a.")],
)
def test_a_name_is_asked_for_in_one_spelling(name: str, expected: str) -> None:
    assert servers.canonical(name) == expected


@pytest.mark.parametrize("name", ["", ".", "a..b", "a" * 64 + ".test", "x." * 130 + "test", "\udc80.test"])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadNameError):
        servers.canonical(name)


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        assert servers.canonical(text).endswith(".")
    except BadNameError:
        return


def test_a_dead_server_is_left_alone_for_a_moment_and_nobody_waits_for_it(dns_talk: Make) -> None:
    talk = dns_talk()
    talk.rcode = dns.rcode.SERVFAIL
    talk.records = ["www.test. 300 A 192.0.2.1"]
    asking = Servers(lambda: [talk.server])
    for _ in range(2):  # three rounds each
        with pytest.raises(NoServerAnswersError):
            asking.ask("www.test", within_seconds=5)
    assert len(talk.asked) == 5
    with pytest.raises(NoServerAnswersError) as caught:
        asking.ask("www.test", within_seconds=5)
    assert "left alone" in str(caught.value)
    assert len(talk.asked) == 5
    talk.rcode = dns.rcode.NOERROR
    assert eventually(lambda: answer_of(asking)) == ("192.0.2.1",)


def answer_of(asking: Servers) -> tuple[str, ...]:
    try:
        return asking.ask("www.test", within_seconds=5).addresses
    except NoServerAnswersError:
        return ()
