"""Settings: read once, refused when they cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.settings import Settings


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80.5"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match="PRODSPRINTS_PORT"):
        Settings.from_environment({"PRODSPRINTS_PORT": port})


def test_the_home_follows_the_environment() -> None:
    assert Settings.from_environment({"PRODSPRINTS_HOME": "/srv/ps"}).home == Path("/srv/ps")


def test_sockets_fit_into_the_kernels_limit_however_long_the_home_is() -> None:
    settings = Settings.from_environment({"PRODSPRINTS_HOME": "/" + "x" * 300})
    assert len(str(settings.node_socket)) <= 100
    assert len(str(settings.envoy_admin_socket)) <= 100


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8900"),
        ("::1", "http://[::1]:8900"),
        ("0.0.0.0", "http://127.0.0.1:8900"),  # noqa: S104 - only written down
        ("::", "http://127.0.0.1:8900"),
        ("node.example.org", "http://node.example.org:8900"),
    ],
)
def test_the_address_is_one_that_a_browser_can_ask(host: str, address: str) -> None:
    assert Settings.from_environment({"PRODSPRINTS_HOST": host}).address == address
