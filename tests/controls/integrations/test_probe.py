"""A look is bounded in time, size and redirects, goes only where it may, and tells nobody where that is."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from controls.integrations.support_service import (
    Answer,
    Service,
    babbles,
    breaks_off,
    drips,
    hangs,
    pours,
    says,
    service,
)
from prodsprints.controls.dns.errors import NameNotFoundError
from prodsprints.controls.dns.resolver import Answer as Found
from prodsprints.controls.dns.resolver import Origin
from prodsprints.controls.integrations import addresses
from prodsprints.controls.integrations.errors import ForbiddenAddressError, ServiceInputError
from prodsprints.controls.integrations.health import Outcome
from prodsprints.controls.integrations.probe import Look, Prober, Question


class Names:
    """Resolves as it is told to."""

    def __init__(self, **known: str) -> None:
        self.known = {name.replace("_", "."): address for name, address in known.items()}

    def resolve(self, name: str, *, within_seconds: float = 1.0) -> Found:  # noqa: ARG002
        address = self.known.get(name, name)
        if not address[0].isdigit():
            raise NameNotFoundError(f"{name} is not found.", next_step="")
        return Found(name, (address,), 0.0, Origin.ANSWERED)


@pytest.fixture
def there() -> Iterator[Service]:
    with service() as it:
        yield it


def look(url: str, *, expected: int | None = None, seconds: float = 0.6, inward: bool = True, **known: str) -> Look:
    return Prober(Names(**known)).look(Question(url, expected, seconds, seconds / 2, inward))


def test_a_service_that_answers_as_expected_is_well(there: Service) -> None:
    assert look(there.url).outcome is Outcome.WELL
    there.answer = says(204)
    assert look(there.url).outcome is Outcome.WELL
    there.answer = says(401)
    assert look(there.url, expected=401).outcome is Outcome.WELL


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says(500), "It answered 500 in place of 2xx."),
        (hangs, "It did not answer in time."),
        (drips, "It did not answer in time."),
        (breaks_off, "It ended the connection before it had answered."),
        (babbles, "It ended the connection before it had answered."),
        (says(302, "Location: http://127.0.0.2/"), "It redirected to another host, which nobody declared."),
        (says(302, "Location: http://169.254.169.254/"), "It redirected to another host, which nobody declared."),
        (says(302, "Location: /again"), "It redirected more than 3 times."),
        (says(302, "Location: file:///etc/passwd"), "It redirected to another host, which nobody declared."),
        (says(302, "Location: http://127.0.0.1:99999/"), "It redirected to another host, which nobody declared."),
    ],
)
def test_what_is_wrong_is_said_in_words_without_an_address(there: Service, answer: Answer, words: str) -> None:
    there.answer = answer
    began = time.monotonic()
    seen = look(there.url)
    assert (seen.outcome, seen.words) == (Outcome.FAILED, words)
    assert time.monotonic() - began < 3
    assert "127.0.0.1" not in seen.words


def test_a_redirect_on_the_same_host_is_followed(there: Service) -> None:
    there.answer = lambda connection, path: (says(200) if path == "/well" else says(301, "Location: /well"))(
        connection, path
    )
    assert look(there.url).outcome is Outcome.WELL
    assert there.asked == ["/health", "/well"]


def test_no_more_is_read_than_is_needed(there: Service) -> None:
    there.answer = pours
    assert look(there.url, seconds=5).outcome is Outcome.WELL


def test_a_slow_answer_is_slow(there: Service) -> None:
    def slowly(connection: socket.socket, path: str) -> None:
        time.sleep(0.6)
        says(200)(connection, path)

    there.answer = slowly
    assert look(there.url, seconds=1.0).outcome is Outcome.SLOW


def test_nobody_listens_and_no_such_name(there: Service) -> None:
    url = there.url
    there.close()
    assert look(url).words == "It refused the connection, or cannot be reached."
    assert look("http://nowhere.example/").words == "Its name is not found."


def test_many_failures_do_not_keep_the_next_look_from_seeing_it_well(there: Service) -> None:
    prober = Prober(Names())
    question = Question(there.url, None, 1.0, 0.5, True)
    there.answer = says(500)
    assert {prober.look(question).outcome for _ in range(12)} == {Outcome.FAILED}
    there.answer = says(200)
    assert prober.look(question).outcome is Outcome.WELL


@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "10.0.0.1", "0.1.2.3"])
def test_a_name_that_leads_where_nothing_is_asked_is_not_asked(there: Service, address: str) -> None:
    seen = look(f"http://shop.example:{there.port}/", inward=False, shop_example=address)
    assert (seen.outcome, seen.words) == (Outcome.FAILED, "Its name leads to an address that is never asked.")
    assert there.asked == []


def test_the_platforms_own_tenant_may_look_inward_and_still_not_at_metadata(there: Service) -> None:
    assert look(f"http://shop.example:{there.port}/", shop_example="127.0.0.1").outcome is Outcome.WELL
    assert look("http://shop.example/", shop_example="169.254.169.254").outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "url",
    [
        "", "shop", "shop.example.com", "file:///etc/passwd", "gopher://shop.example.com/", "ftp://a.example/",
        "javascript:alert(1)", "http://", "http:///path", "http://ada:secret@shop.example.com/", "http://ada@shop.example/",
        "http://shop.example.com:0/", "http://shop.example.com:99999/", "http://shop.example.com/#top",
        "http://shop.example.com/a b", "http://shöp.example/", "http://shop.example/\x00", "http://[::1", "http://.x/",
        "https://shop.example.com/?token=abcdefghijklmnop", f"http://shop.example/{'x' * 500}",
    ],
)  # fmt: skip
def test_what_is_no_address_to_look_at_is_refused(url: str) -> None:
    with pytest.raises(ServiceInputError) as caught:
        addresses.checked(url, inward=True)
    assert caught.value.next_step and "abcdefghijklmnop" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]",
        "168.63.129.16", "100.100.100.200", "metadata.google.internal", "METADATA.google.internal.", "0.1.2.3",
        "[::]", "224.0.0.1", "255.255.255.255", "[2002:a9fe:a9fe::]",
    ],
)  # fmt: skip
def test_a_metadata_address_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        addresses.checked(f"http://{host}/latest/meta-data/", inward=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "[::1]", "100.64.0.1", "[fc00::1]"])
def test_only_the_platforms_own_tenant_declares_what_lies_inside(host: str) -> None:
    assert addresses.checked(f"http://{host}:8080/health", inward=True)
    with pytest.raises(ForbiddenAddressError):
        addresses.checked(f"http://{host}:8080/health", inward=False)


def test_a_host_that_resolves_to_metadata_is_refused_at_once() -> None:
    with pytest.raises(ForbiddenAddressError):
        addresses.refuse_where_it_leads("shop.example", lambda _: ("169.254.169.254",), inward=True)
    addresses.refuse_where_it_leads("shop.example", lambda _: (), inward=False)
    addresses.refuse_where_it_leads("shop.example", lambda _: ("169.254.169.254", "8.8.8.8"), inward=False)
