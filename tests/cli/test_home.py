"""The home directory: made, checked, and used by one platform at a time."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from prodsprints.cli.errors import AlreadyRunningError, HomeUnusableError, PortTakenError
from prodsprints.cli.running import logs, stack
from prodsprints.cli.running.home import HomeLock, prepare
from prodsprints.kernel.settings import Settings


def settings_for(home: Path, port: int = 8900) -> Settings:
    return Settings.from_environment({"PRODSPRINTS_HOME": str(home), "PRODSPRINTS_PORT": str(port)})


@pytest.fixture
def open_home(place: Path) -> Path:
    """A home that, as root, other users could pass through to."""
    return place / "home"


def test_a_home_is_made_and_checked_again_without_complaint(open_home: Path) -> None:
    prepare(settings_for(open_home))
    prepare(settings_for(open_home))
    assert not (open_home / "run" / "probe").exists()


def test_a_second_platform_on_one_home_is_told_where_the_first_one_is(open_home: Path) -> None:
    settings = settings_for(open_home)
    prepare(settings)
    with HomeLock(settings) as first:
        first.publish("http://127.0.0.1:8900")
        with pytest.raises(AlreadyRunningError, match=r"http://127\.0\.0\.1:8900"), HomeLock(settings):
            pass
    with HomeLock(settings):
        assert not (open_home / "run" / "address").exists()


def test_a_file_in_place_of_the_home_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeUnusableError, match="is a file"):
        prepare(settings_for(tmp_path / "home" / "below"))


def test_a_full_disk_is_said_before_anything_starts(open_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 5 * 1024**2))
    with pytest.raises(HomeUnusableError, match="5 MB left"):
        prepare(settings_for(open_home))


def test_what_served_comes_back_on_a_disk_that_is_too_full_for_a_new_home(
    open_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 100 * 1024**2))
    with pytest.raises(HomeUnusableError, match="100 MB left"):
        prepare(settings_for(open_home))
    (open_home / "nodes").mkdir()
    prepare(settings_for(open_home))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's applications have other users")
def test_root_cannot_use_a_home_that_other_users_cannot_pass(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(HomeUnusableError, match=f"Only its owner may pass {closed}"):
        prepare(settings_for(closed / "home"))


def test_a_taken_port_is_refused_with_who_has_it(monkeypatch: pytest.MonkeyPatch, open_home: Path) -> None:
    import socket

    monkeypatch.setattr(stack, "_PORT_SECONDS", 0.0)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(PortTakenError, match=f"pid {os.getpid()}") as refused:
            stack.wait_for_port(settings_for(open_home, holder.getsockname()[1]))
    assert "PRODSPRINTS_PORT=" in refused.value.next_step


def test_a_log_that_grew_too_long_is_cut_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 2000)
        logs.Bounds(tmp_path, max_bytes=1000).apply()
        writer.write(b"later\n")
    assert log.read_bytes() == b"later\n"
    assert (tmp_path / "web.log.1").stat().st_size == 2000
