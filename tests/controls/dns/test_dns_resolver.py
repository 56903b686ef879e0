"""Answers come from memory while that is fresh, and stale and marked while no server answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.rcode
import pytest

from prodsprints.controls.dns import names
from prodsprints.controls.dns.cache import Bounds
from prodsprints.controls.dns.errors import NameNotFoundError, NoServerAnswersError
from prodsprints.controls.dns.resolver import Origin, Resolver
from prodsprints.controls.dns.servers import Servers
from support_waiting import eventually

Make = Callable[[], Any]

BOUNDS = Bounds(floor_seconds=10, ceiling_seconds=100, stale_seconds=1000, rest_seconds=30)


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def talk(dns_talk: Make):
    made = dns_talk()
    made.records = ["www.test. 50 A 192.0.2.1"]
    return made


@pytest.fixture
def resolver(talk, hands: Hands) -> Resolver:
    # the servers keep real time: they really wait
    return Resolver(Servers(lambda: [talk.server]), BOUNDS, clock=hands)


def test_a_fresh_answer_is_not_asked_for_again(resolver: Resolver, talk, hands: Hands) -> None:
    resolver.resolve("www.test")
    hands.now = 40
    answer = resolver.resolve("WWW.test.")
    assert (answer.addresses, answer.age_seconds, answer.origin) == (("192.0.2.1",), 40, Origin.ANSWERED)
    assert talk.asked == ["www.test. A", "www.test. AAAA"]


def test_an_expired_answer_is_asked_for_again(resolver: Resolver, talk, hands: Hands) -> None:
    resolver.resolve("www.test")
    talk.records = ["www.test. 50 A 192.0.2.2"]
    hands.now = 50
    assert resolver.resolve("www.test").addresses == ("192.0.2.2",)


def test_a_name_in_use_is_refreshed_before_it_expires_and_nobody_waits(resolver: Resolver, talk, hands: Hands) -> None:
    resolver.resolve("www.test")
    talk.records = ["www.test. 50 A 192.0.2.2"]
    hands.now = 46
    assert resolver.resolve("www.test").addresses == ("192.0.2.1",)
    eventually(lambda: resolver.resolve("www.test").addresses == ("192.0.2.2",))


def test_a_stale_answer_is_marked_with_its_age_and_nobody_waits_twice(resolver: Resolver, talk, hands: Hands) -> None:
    resolver.resolve("www.test")
    talk.silent = True
    hands.now = 60
    first = resolver.resolve("www.test", within_seconds=0.3)
    asked = len(talk.asked)
    hands.now = 89
    second = resolver.resolve("www.test")
    assert first.stale and second.stale
    assert (second.addresses, second.age_seconds) == (("192.0.2.1",), 89)
    assert "89 s ago" in str(second)
    assert len(talk.asked) == asked


def test_after_a_rest_the_servers_are_asked_again(resolver: Resolver, talk, hands: Hands) -> None:
    resolver.resolve("www.test")
    talk.silent = True
    hands.now = 60
    resolver.resolve("www.test", within_seconds=0.3)
    talk.silent = False
    hands.now = 90
    assert resolver.resolve("www.test").origin is Origin.ANSWERED


def test_what_is_too_old_is_not_served(resolver: Resolver, talk, hands: Hands) -> None:
    resolver.resolve("www.test")
    talk.silent = True
    hands.now = 1050
    with pytest.raises(NoServerAnswersError):
        resolver.resolve("www.test", within_seconds=0.3)


def test_a_name_that_ceased_to_exist_is_not_served_stale(resolver: Resolver, talk, hands: Hands) -> None:
    resolver.resolve("www.test")
    talk.rcode = dns.rcode.NXDOMAIN
    hands.now = 60
    with pytest.raises(NameNotFoundError):
        resolver.resolve("www.test")
    talk.silent = True
    with pytest.raises(NoServerAnswersError):
        resolver.resolve("www.test", within_seconds=0.3)


def test_many_threads_ask_once(resolver: Resolver, talk) -> None:
    threads = [threading.Thread(target=resolver.resolve, args=("www.test",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert talk.asked == ["www.test. A", "www.test. AAAA"]


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("192.0.2.7", ("192.0.2.7",)),
        ("::1", ("::1",)),
        ("localhost", ("127.0.0.1",)),
        ("Intranet", ("192.0.2.8", "2001:db8::8")),
        ("intranet.test.", ("192.0.2.8",)),
    ],
)
def test_what_this_machine_knows_itself_is_not_asked_for(tmp_path: Path, name: str, addresses: tuple[str, ...]) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# a line\n192.0.2.8 intranet intranet.test # ours\n2001:db8::8 intranet\nnonsense intranet\n")
    answer = Resolver(Servers(lambda: []), hosts=hosts).resolve(name)
    assert (answer.addresses, answer.origin) == (addresses, Origin.LOCAL)


def test_all_releases_of_a_worker_share_one_memory() -> None:
    assert names.of_this_process() is names.of_this_process()
