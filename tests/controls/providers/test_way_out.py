"""Where the only way out is a proxy, AWS is asked through it: by name, and inside TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator

import httpx
import pytest
import trustme

from prodsprints.controls.dns import names
from prodsprints.controls.providers.account import way_out
from prodsprints.controls.providers.errors import UnknownPlaceError


@pytest.fixture
def tunnel() -> Iterator[tuple[str, ssl.SSLContext, list[bytes]]]:
    """A proxy that takes one CONNECT and is itself the server behind it: its address, whom to trust, what was asked."""
    authority = trustme.CA()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("sts.eu-central-1.amazonaws.com").configure_cert(server)
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with server.wrap_socket(connection, server_side=True) as inside:
                asked.append(inside.recv(4096))
                inside.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://me:word@127.0.0.1:{listener.getsockname()[1]}", trust, asked
        thread.join(5)


def test_a_proxy_is_told_the_name_and_sees_nothing_of_what_is_said(
    tunnel: tuple[str, ssl.SSLContext, list[bytes]],
) -> None:
    url, trust, asked = tunnel
    proxy = way_out("sts.eu-central-1.amazonaws.com", {"https": url})
    transport = names.transport(names.resolver(lambda: ()), {}, trust=trust, proxy=proxy)
    with httpx.Client(transport=transport) as client:
        assert client.get("https://sts.eu-central-1.amazonaws.com/who").text == "hi"
    assert asked[0].startswith(b"CONNECT sts.eu-central-1.amazonaws.com:443")
    assert b"Proxy-Authorization: Basic" in asked[0]
    assert asked[1].startswith(b"GET /who")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_is_not_reached_by_a_proxy(host: str) -> None:
    assert way_out(host, {"https": "http://192.0.2.1:3128"}) is None


def test_names_that_need_no_proxy_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    proxies = {"https": "http://192.0.2.1:3128"}
    assert way_out("sts.eu-central-1.amazonaws.com", {}) is None
    monkeypatch.setenv("NO_PROXY", "amazonaws.com")
    assert way_out("sts.eu-central-1.amazonaws.com", proxies) is None


@pytest.mark.parametrize("stated", ["192.0.2.1:3128", "http://192.0.2.1:3128"])
def test_a_proxy_is_known_with_and_without_its_scheme(monkeypatch: pytest.MonkeyPatch, stated: str) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    found = way_out("sts.eu-central-1.amazonaws.com", {"https": stated})
    assert found is not None and str(found.url) == "http://192.0.2.1:3128"


@pytest.mark.parametrize("stated", ["nonsense://x", "http://", "ftp://192.0.2.1"])
def test_what_can_be_no_proxy_is_no_traceback(stated: str) -> None:
    with pytest.raises(UnknownPlaceError, match="HTTPS_PROXY"):
        way_out("sts.eu-central-1.amazonaws.com", {"https": stated})
