"""Fetches from hosts that do what hosts must not: redirect, fail, hang, trickle, lie, send too much."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.controls.integrations import git_process
from prodsprints.controls.integrations.git_errors import (
    DamagedMirrorError,
    HostRefusedError,
    HostUnavailableError,
    HostUnreachableError,
    MirrorError,
    MirrorTooLargeError,
)
from prodsprints.controls.integrations.git_process import Bounds, Way
from prodsprints.kernel.errors import ProdSprintsError

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def host(answer: Answer, certificate: trustme.LeafCert | None = None) -> Iterator[tuple[str, list[str]]]:
    """A host that answers each request so; its address, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the client hangs up
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/acme/shop.git", asked
        finally:
            server.shutdown()


def status(code: int, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    (tmp_path / "mirror").mkdir()
    git_process.ask(tmp_path / "mirror", "init", "--bare", "--quiet", "--template=")
    return tmp_path / "mirror"


def fetch(
    mirror: Path,
    url: str,
    bounds: Bounds | None = None,
    pulse: Callable[[str], None] = lambda _: None,
    way: Way | None = None,
) -> None:
    lock = os.open(mirror / "test.lock", os.O_RDWR | os.O_CREAT)
    try:
        git_process.fetch(
            mirror,
            url,
            ("+HEAD:refs/prodsprints/HEAD", "+refs/heads/*:refs/heads/*"),
            way=way or Way("http"),
            bounds=bounds or Bounds(seconds=10, silence_seconds=5),
            pulse=pulse,
            lock=lock,
        )
    finally:
        os.close(lock)


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/other", "file:///etc"]
)
def test_a_redirect_is_not_followed(mirror: Path, target: str) -> None:
    with (
        host(status(302, Location=target)) as (url, asked),
        pytest.raises(HostRefusedError, match="redirects") as refused,
    ):
        fetch(mirror, url)
    assert len(asked) == 1
    assert "give that address" in refused.value.next_step


@pytest.mark.parametrize("code", [500, 502, 503, 504, 429])
def test_a_host_that_fails_is_told_from_one_that_refuses(mirror: Path, code: int) -> None:
    with host(status(code)) as (url, _), pytest.raises(HostUnavailableError) as failed:
        fetch(mirror, url)
    assert not isinstance(failed.value, HostUnreachableError)  # asked again at once it would only fail again


@pytest.mark.parametrize("code", [403, 404])
def test_a_refusal_is_one(mirror: Path, code: int) -> None:
    with host(status(code)) as (url, _), pytest.raises(HostRefusedError):
        fetch(mirror, url)


def test_a_host_that_asks_who_we_are_is_not_answered_without_a_credential(mirror: Path) -> None:
    wants = status(401, **{"WWW-Authenticate": 'Basic realm="x"'})
    with host(wants) as (url, _), pytest.raises(HostRefusedError, match="does not let us read"):
        fetch(mirror, url)


def test_a_host_that_hangs_is_ended(mirror: Path) -> None:
    release = threading.Event()
    with host(lambda _: release.wait(20) and None) as (url, _):
        began = time.monotonic()
        with pytest.raises(HostUnavailableError, match=r"hangs|too slow"):
            fetch(mirror, url, Bounds(seconds=10, silence_seconds=0.5))
        release.set()
    assert time.monotonic() - began < 8


def test_a_host_that_trickles_for_ever_is_ended_and_leaves_no_process(mirror: Path) -> None:
    stop = threading.Event()

    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        request.end_headers()
        while not stop.wait(0.05):
            request.wfile.write(b"0")

    with host(trickle) as (url, _):
        with pytest.raises(HostUnavailableError, match=r"too slow|hangs|as one"):
            fetch(mirror, url, Bounds(seconds=1.0, silence_seconds=5))
        stop.set()
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert url not in running


def test_a_host_that_cannot_prove_its_name_is_told_nothing(mirror: Path) -> None:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    with host(status(200), certificate) as (url, asked), pytest.raises(HostUnavailableError, match="fails"):
        fetch(mirror, url.replace("http://", "https://"), way=Way("https"))
    assert asked == []


def test_a_page_in_a_repositorys_place_is_no_repository(mirror: Path) -> None:
    def page(request: BaseHTTPRequestHandler) -> None:
        body = b"<html>Log in</html>" * 10
        request.send_response(200)
        request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with host(page) as (url, _), pytest.raises((HostRefusedError, HostUnavailableError)):
        fetch(mirror, url)


def test_whoever_waits_may_end_a_fetch(mirror: Path) -> None:
    class StopError(Exception):
        pass

    def pulse(_: str) -> None:
        raise StopError

    release = threading.Event()
    with host(lambda _: release.wait(20) and None) as (url, _):
        with pytest.raises(StopError):
            fetch(mirror, url, pulse=pulse)
        release.set()


def test_only_the_protocol_that_was_asked_for_is_spoken(mirror: Path, tmp_path: Path) -> None:
    git_process.ask(mirror, "config", "protocol.allow", "always")
    for url in (f"file://{tmp_path}", "ext::touch /tmp/never", str(tmp_path)):
        with pytest.raises(ProdSprintsError):
            fetch(mirror, url)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("fatal: unable to access 'x': Could not resolve host: x", HostUnreachableError),
        ("fatal: unable to access 'x': Failed to connect to x: Couldn't connect to server", HostUnreachableError),
        ("error: RPC failed; curl 56 Recv failure: Connection reset by peer\nfatal: early EOF", HostUnreachableError),
        ("fatal: unable to access 'x': server certificate verification failed. CAfile: none", HostUnavailableError),
        ("error: RPC failed; HTTP 503 curl 22 The requested URL returned error: 503", HostUnavailableError),
        ("fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output", MirrorError),
        ("error: object 4b82: treeNotSorted: not sorted\nfatal: fsck error in packed object", HostRefusedError),
        ("fatal: bad object refs/heads/main\nerror: x did not send all necessary objects", DamagedMirrorError),
        ("remote: fatal: The requested URL returned error: 403\nfatal: early EOF", HostUnreachableError),
        ("fatal: something that nobody has seen before", HostUnavailableError),
        ("", HostUnavailableError),
    ],
)  # fmt: skip
def test_what_git_says_is_told_apart(said: str, kind: type[Exception]) -> None:
    assert type(git_process.failure(said)) is kind


@given(st.text(max_size=400))
def test_whatever_git_says_becomes_a_clean_error(said: str) -> None:
    for prefix in ("", "fatal: ", "remote: "):
        found = git_process.failure(prefix + said)
        assert found.next_step
        assert all(c.isprintable() for c in found.why)
        assert len(found.why) < 500


def test_a_full_disk_loses_nothing(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a file size limit of the kernel's, as the nearest thing to a full disk that needs no mount."""
    from support_git import Origin

    origin = Origin(tmp_path / "host")
    first = origin.commit({"app.py": b"one"})
    with origin.serving() as address:
        fetch(mirror, address.url)
        origin.commit({"big.bin": os.urandom(500_000)})
        start = git_process.subprocess.Popen

        def limited(arguments: list[str], **more: object) -> subprocess.Popen[bytes]:
            return start(["bash", "-c", 'trap "" XFSZ; ulimit -f 100; exec "$@"', "x", *arguments], **more)  # type: ignore[call-overload, no-any-return]

        monkeypatch.setattr(git_process.subprocess, "Popen", limited)
        with pytest.raises(MirrorError, match="no room"):
            fetch(mirror, address.url)
    monkeypatch.undo()
    assert git_process.ask(mirror, "rev-parse", "refs/heads/main").output.strip() == first
    assert git_process.ask(mirror, "fsck", "--full").ok
    assert list((mirror / "objects" / "pack").glob("tmp_*")) == []


def test_what_a_killed_git_left_does_not_stop_the_next_one(mirror: Path) -> None:
    (mirror / "packed-refs.lock").touch()
    (mirror / "refs" / "heads" / "main.lock").touch()
    (mirror / "objects" / "pack" / "tmp_pack_abc").touch()
    git_process.sweep(mirror)
    assert list(mirror.rglob("*.lock")) == list((mirror / "objects" / "pack").iterdir()) == []


def test_more_than_the_bound_is_refused_while_it_arrives(mirror: Path, tmp_path: Path) -> None:
    from support_git import Origin

    origin = Origin(tmp_path / "host")
    origin.commit({"big.bin": os.urandom(1_000_000)})
    with origin.serving() as address, pytest.raises(MirrorTooLargeError):
        fetch(mirror, address.url, Bounds(size_bytes=50_000, seconds=10, silence_seconds=5))
