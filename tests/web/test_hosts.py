from __future__ import annotations

from dataclasses import replace

import pytest

from prodsprints.kernel.settings import Settings
from prodsprints.web.hosts import Hosts

_LOOPBACK = replace(Settings.from_environment({}), node="workbench", host="127.0.0.1", port=8900)


@pytest.mark.parametrize("host", ["127.0.0.1:8900", "localhost:8900", "[::1]:8900", "LOCALHOST:8900"])
def test_loopback_names_with_our_port_are_ours(host: str) -> None:
    assert Hosts(_LOOPBACK).allows(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8900",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1:8901",
        "10.0.0.1:8900",
        "127.0.0.1.evil.example:8900",
        "evil.example@127.0.0.1:8900",
        "127.0.0.1:8900/path",
        "127.0.0.1:port",
        "[::1",
        "",
        "workbench:8900",
    ],
)
def test_any_other_name_is_foreign_on_loopback(host: str) -> None:
    assert not Hosts(_LOOPBACK).allows(host)


def test_bound_to_every_address_literal_addresses_and_the_node_are_ours_but_no_foreign_name() -> None:
    hosts = Hosts(replace(_LOOPBACK, host="0.0.0.0"))  # noqa: S104
    assert hosts.allows("192.168.1.7:8900")
    assert hosts.allows("workbench:8900")
    assert not hosts.allows("rebound.evil.example:8900")
    assert not hosts.loopback_only


def test_a_configured_name_is_ours() -> None:
    assert Hosts(replace(_LOOPBACK, host="ship.internal")).allows("ship.internal:8900")


def test_a_server_on_the_usual_port_is_named_without_it() -> None:
    assert Hosts(replace(_LOOPBACK, port=80)).allows("localhost")
