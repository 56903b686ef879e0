"""Addresses of remote repositories: what is fetched from, and what is refused before anybody is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.controls.integrations.git_address import check_addresses, is_remote, parse
from prodsprints.controls.integrations.git_errors import BadAddressError


@pytest.mark.parametrize(
    ("text", "url", "place", "name"),
    [
        ("https://github.com/acme/shop.git", "https://github.com/acme/shop.git", "github.com", "shop"),
        ("https://GitHub.com:443/acme/shop/", "https://github.com/acme/shop", "github.com", "shop"),
        ("https://git.test:8443/~me/a.b.git", "https://git.test:8443/~me/a.b.git", "git.test:8443", "a.b"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]/x", "[2001:db8::1]", "x"),
        ("http://127.0.0.1:8080/x.git", "http://127.0.0.1:8080/x.git", "127.0.0.1:8080", "x"),
    ],
)  # fmt: skip
def test_an_address_has_one_form(text: str, url: str, place: str, name: str) -> None:
    found = parse(text)
    assert (found.url, found.place, found.name) == (url, place, name)
    assert parse(found.url) == found


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@github.com/acme/shop.git",
        "git@github.com:acme/shop.git",
        "git://github.com/acme/shop.git",
        "file:///etc/passwd",
        "ext::sh -c id",
        "ext::https://x/y",
        "ftp://host/x",
        "https://host",
        "https://host/",
        "https:///x",
        "https://-oProxyCommand=x/y",
        "https://host/../x",
        "https://host/a/../../x",
        "https://host/x?y",
        "https://host/x#y",
        "https://host/%2e%2e/x",
        "https://host/a b",
        "https://host/a\nb",
        "https://host\\@other/x",
        "https://host:port/x",
        "https://host:99999/x",
        "https://2852039166/latest",  # 169.254.169.254, as some resolvers read it
        "https://0xa9.0xfe.0xa9.0xfe/x",
        "https://169.254.43518/x",
        "https://1.2.3.4.5/x",
        "https://höst/x",
        "https://[::1/x",
        "https://host/" + "x" * 3_000,
    ],
)
def test_what_is_no_address_of_a_repository_is_refused(text: str) -> None:
    with pytest.raises(BadAddressError) as refused:
        parse(text)
    assert refused.value.next_step


@pytest.mark.parametrize("user", ["token-in-url", "me:password-in-url", ":password-in-url"])
def test_a_credential_in_an_address_is_refused_and_not_repeated(user: str) -> None:
    with pytest.raises(BadAddressError) as refused:
        parse(f"https://{user}@github.com/acme/shop.git")
    assert "in-url" not in str(refused.value)
    assert "git-hosts.yaml" in refused.value.next_step


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("https://host/x", True),
        ("ssh://host/x", True),
        ("git@host:x", True),
        ("ext::sh", True),
        ("/srv/shop", False),
        ("./a:b", False),
        ("-oProxyCommand=x", False),
        ("~/app", False),
    ],
)
def test_an_address_is_told_from_a_path(text: str, remote: bool) -> None:
    assert is_remote(text) is remote


@pytest.mark.parametrize(
    "ip",
    [
        *("169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254", "0.0.0.0", "::"),  # noqa: S104 - not bound to
        *("224.0.0.1", "fd00:ec2::254", "100.100.100.200"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("named", [True, False])
def test_no_repository_is_fetched_from_where_credentials_are_handed_out(ip: str, named: bool) -> None:
    with pytest.raises(BadAddressError):
        check_addresses("host", ["140.82.121.3", ip], named=named)


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "10.1.2.3", "192.168.0.1", "fd12::1"]
)
def test_what_lies_inside_is_asked_only_if_the_operator_names_it(ip: str) -> None:
    check_addresses("host", [ip], named=True)
    with pytest.raises(BadAddressError, match=r"git-hosts\.yaml"):
        check_addresses("host", [ip], named=False)


def test_public_hosts_are_asked() -> None:
    check_addresses("host", ["140.82.121.3", "2606:50c0:8000::153"], named=False)


@given(st.text(max_size=60) | st.from_regex(r"https?://[ -~]{0,60}", fullmatch=True))
def test_any_text_is_an_address_or_refused_in_words(text: str) -> None:
    try:
        found = parse(text)
    except BadAddressError as error:
        assert error.next_step
        return
    assert found.url.startswith(("https://", "http://"))
    assert "@" not in found.url.split("/")[2]
    assert not found.url.startswith("-") and " " not in found.url
    assert parse(found.url) == found
