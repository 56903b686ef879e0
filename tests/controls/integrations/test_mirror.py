"""Mirrors: what a release gets while the Git host is there, while it is not, and when what is kept is damaged."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prodsprints.controls.integrations import git_address, git_way, mirror
from prodsprints.controls.integrations.git_errors import (
    DamagedMirrorError,
    HostRefusedError,
    HostUnavailableError,
    MirrorTooLargeError,
    StaleMirrorError,
    UnknownRefError,
)
from prodsprints.controls.integrations.git_process import Bounds
from prodsprints.controls.integrations.mirror import Kind, Mirrors, Noted
from prodsprints.controls.providers.guards import Guards
from support_git import Origin

POLICY = git_way.patience(retry_wait_seconds=0.02)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time


class Releases:
    """Mirrors as a worker of the tenant `default` has them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clock = Clock()
        self.noted: list[Noted] = []
        self.guards = Guards()
        self.bounds = Bounds(seconds=10.0, silence_seconds=1.0)

    def mirrors(self, tenant: str = "default", bounds: Bounds | None = None) -> Mirrors:
        return Mirrors(
            self.home / "mirrors",
            host_of=git_way.host_of(self.home, tenant, self.guards, policy=POLICY),
            bounds=bounds or self.bounds,
            note=self.noted.append,
            now=self.clock,
        )


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path / "host")
    made.commit({"app.py": b"one\n"})
    made.tag("v1")
    return made


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    (tmp_path / "home").mkdir()
    return Releases(tmp_path / "home")


@pytest.fixture
def mirrored(origin: Origin, releases: Releases) -> Releases:
    """A mirror of the host as it is, while the host is gone again."""
    with origin.serving() as address:
        origin.name_in(releases.home, mirror_max_age="1h")
        releases.mirrors().obtain(address, "main")
    return releases


def test_a_release_takes_what_the_host_says_now(origin: Origin, releases: Releases) -> None:
    with origin.serving() as address:
        origin.name_in(releases.home)
        mirrors = releases.mirrors()
        first = mirrors.obtain(address, None)
        second = origin.commit({"app.py": b"two\n"})
        for ref, kind in (("main", Kind.BRANCH), (None, Kind.DEFAULT), ("refs/heads/main", Kind.BRANCH)):
            found = mirrors.obtain(address, ref)
            assert (found.commit, found.kind, found.from_mirror, found.notes) == (second, kind, False, ())
        tagged = mirrors.obtain(address, "v1")
        assert (tagged.commit, tagged.kind, tagged.label) == (first.commit, Kind.TAG, "v1")
        assert mirrors.obtain(address, first.commit[:9]).label == "v1"
    assert releases.noted[-1].failure == "" and releases.noted[-1].size_bytes > 0


@pytest.mark.parametrize("ref", ["v1", "main"])
def test_with_the_host_gone_it_goes_on_from_the_mirror_and_says_so(
    origin: Origin, mirrored: Releases, ref: str
) -> None:
    mirrored.clock.time += timedelta(minutes=30)
    found = mirrored.mirrors().obtain(origin.address, ref)
    assert found.from_mirror
    assert 1_800 <= found.age_seconds < 1_801
    assert "from the mirror as of 2026-01-01T00:00:00." in str(found) and "(30 min ago)" in str(found)
    assert "Couldn't connect" in found.why
    assert mirrored.noted[-1].failure == found.why


def test_a_full_id_is_taken_from_the_mirror_without_asking(origin: Origin, mirrored: Releases) -> None:
    commit = origin.git("rev-parse", "main")
    found = mirrored.mirrors().obtain(origin.address, commit)
    assert (found.commit, found.asked, found.from_mirror) == (commit, False, False)


@pytest.mark.parametrize("age", [timedelta(hours=1, seconds=1), -timedelta(seconds=1)])
@pytest.mark.parametrize("ref", ["main", None])
def test_a_branch_older_than_allowed_is_refused_and_a_tag_never(
    origin: Origin, mirrored: Releases, ref: str | None, age: timedelta
) -> None:
    mirrored.clock.time += age
    with pytest.raises(StaleMirrorError, match="at most 60 min are allowed") as refused:
        mirrored.mirrors().obtain(origin.address, ref)
    assert origin.git("rev-parse", "main") in refused.value.next_step
    assert mirrored.mirrors().obtain(origin.address, "v1").from_mirror


def test_without_an_allowance_no_branch_is_released_from_the_mirror(origin: Origin, mirrored: Releases) -> None:
    origin.name_in(mirrored.home)
    with pytest.raises(StaleMirrorError, match="no age is allowed here"):
        mirrored.mirrors().obtain(origin.address, "main")


def test_what_the_mirror_does_not_know_is_refused_while_the_host_is_gone(origin: Origin, mirrored: Releases) -> None:
    for ref in ("v2", "f" * 40, "feature"):
        with pytest.raises(UnknownRefError, match="the host does not answer"):
            mirrored.mirrors().obtain(origin.address, ref)


def test_without_a_mirror_a_host_that_is_gone_is_an_error(origin: Origin, releases: Releases) -> None:
    with origin.serving() as address:
        origin.name_in(releases.home)
    with pytest.raises(HostUnavailableError):
        releases.mirrors().obtain(address, "v1")


def test_when_the_host_is_back_it_is_asked_again(origin: Origin, mirrored: Releases) -> None:
    assert mirrored.mirrors().obtain(origin.address, "main").from_mirror
    commit = origin.commit({"app.py": b"two\n"})
    with origin.serving() as address:
        found = mirrored.mirrors().obtain(address, "main")
    assert (found.commit, found.from_mirror) == (commit, False)


def test_a_force_push_and_a_moved_tag_are_said_and_the_old_commit_is_kept(origin: Origin, mirrored: Releases) -> None:
    old = origin.git("rev-parse", "main")
    with origin.serving() as address:
        mirrored.mirrors().obtain(address, "v1")
        new = origin.commit({"app.py": b"other\n"}, parent=None)
        origin.tag("v1")
        mirrored.mirrors().refresh(address)  # whoever fetched it: what counts is what was released last
        branch, tag = (mirrored.mirrors().obtain(address, ref) for ref in ("main", "v1"))
        assert branch.commit == tag.commit == new
        assert "force push" in branch.notes[0] and old[:12] in branch.notes[0]
        assert "moved" in tag.notes[0]
        assert mirrored.mirrors().obtain(address, "main").notes == ()
    assert mirrored.mirrors().obtain(origin.address, old).commit == old


def _flip(mirrors: Mirrors, origin: Origin) -> None:
    [pack] = (mirrors.place(origin.address) / "objects" / "pack").glob("*.pack")
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)


@pytest.mark.parametrize("ref", ["commit", "v1", "main"])
def test_a_flipped_bit_is_never_released_and_mended_when_the_host_answers(
    origin: Origin, releases: Releases, ref: str
) -> None:
    commit = origin.commit({"big.bin": bytes(range(256)) * 40, "app.py": b"x"})
    origin.tag("v1")
    ref = commit if ref == "commit" else ref
    with origin.serving() as address:
        origin.name_in(releases.home, mirror_max_age="1h")
        releases.mirrors().obtain(address, ref)
    _flip(releases.mirrors(), origin)
    with pytest.raises((DamagedMirrorError, HostUnavailableError)):
        releases.mirrors().obtain(origin.address, ref)
    releases.guards = Guards()
    with origin.serving() as address:
        assert releases.mirrors().obtain(address, ref).commit == commit
    assert releases.mirrors().obtain(origin.address, "v1").commit == commit


def test_a_damage_that_no_release_reads_is_found_by_the_refresh(origin: Origin, mirrored: Releases) -> None:
    _flip(mirrored.mirrors(), origin)
    with origin.serving() as address:
        mirrored.mirrors().refresh(address)
    assert mirrored.mirrors().obtain(origin.address, "v1").from_mirror


def test_a_repository_over_the_bound_is_refused_and_leaves_nothing(origin: Origin, releases: Releases) -> None:
    origin.commit({"big.bin": os.urandom(3_000_000)})
    with origin.serving() as address:
        origin.name_in(releases.home)
        mirrors = releases.mirrors(bounds=Bounds(size_bytes=100_000, seconds=10, silence_seconds=2))
        with pytest.raises(MirrorTooLargeError):
            mirrors.obtain(address, "main")
    assert not mirrors.place(address).exists()


def test_a_page_that_is_no_repository_makes_nothing_forgotten(origin: Origin, mirrored: Releases) -> None:
    origin.git("symbolic-ref", "HEAD", "refs/heads/nowhere")
    origin.git("update-ref", "-d", "refs/heads/main")
    origin.git("tag", "-d", "v1")
    with origin.serving() as address:
        assert "knows no branch and no tag" in mirrored.mirrors().obtain(address, "v1").why
        commit = origin.commit({"app.py": b"two\n"}, branch="other", parent=None)
        assert mirrored.mirrors().obtain(address, "other").commit == commit
        with pytest.raises(UnknownRefError):
            mirrored.mirrors().obtain(address, "v1")


def test_a_repository_without_branches_is_refused(tmp_path: Path, releases: Releases) -> None:
    origin = Origin(tmp_path / "empty")
    with origin.serving() as address:
        origin.name_in(releases.home)
        with pytest.raises(HostRefusedError, match="no branch and no tag"):
            releases.mirrors().obtain(address, None)


def test_a_refusal_is_never_answered_from_the_mirror(origin: Origin, mirrored: Releases) -> None:
    with origin.serving(password="secret-of-the-host"), pytest.raises(HostRefusedError, match="does not let us read"):
        mirrored.mirrors().obtain(origin.address, "v1")


def test_the_credential_is_given_to_its_host_for_its_tenants_only(
    origin: Origin, releases: Releases, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret-of-the-host\n")
    learned: list[str] = []
    with origin.serving(password="secret-of-the-host") as address:
        origin.name_in(releases.home, token_file=str(tmp_path / "token"), tenants="[default]")
        mirrors = Mirrors(
            releases.home / "mirrors",
            host_of=git_way.host_of(releases.home, "default", releases.guards, learn=learned.append),
            bounds=releases.bounds,
        )
        assert mirrors.obtain(address, "v1").label == "v1"
        assert learned == ["secret-of-the-host"]
        with pytest.raises(Exception, match="https"):
            releases.mirrors("other").obtain(address, "v1")


@pytest.mark.parametrize("ref", ["-oProxyCommand=x", "--upload-pack=x", "", "a..b", "x y", "main~1", "a\0b", "x" * 201])
def test_a_ref_that_is_none_is_refused_before_anything_is_asked(releases: Releases, origin: Origin, ref: str) -> None:
    with origin.serving() as address, pytest.raises(UnknownRefError, match="cannot be the name"):
        releases.mirrors().obtain(address, ref)
    assert not (releases.home / "mirrors").exists()


def test_somebody_else_who_fetches_is_waited_for(origin: Origin, mirrored: Releases) -> None:
    holder = os.open(mirrored.mirrors().place(origin.address).with_suffix(".lock"), os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    waits: list[str] = []

    def pulse(what: str) -> None:
        if what.startswith("Another release"):
            waits.append(what)
            fcntl.flock(holder, fcntl.LOCK_UN)

    with origin.serving() as address:
        assert mirrored.mirrors().obtain(address, "v1", pulse=pulse).label == "v1"
    os.close(holder)
    assert len(waits) == 1


def test_as_many_mirrors_as_are_kept_leave_no_room_for_another(
    origin: Origin, mirrored: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_MOST_MIRRORS", 1)
    with origin.serving() as address:
        assert mirrored.mirrors().obtain(address, "v1").label == "v1"
        with pytest.raises(MirrorTooLargeError, match="no more are kept"):
            mirrored.mirrors().obtain(git_address.parse(address.url.removesuffix(".git")), "v1")


def test_a_mirror_of_many_packs_is_packed_and_loses_nothing(
    origin: Origin, mirrored: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_MOST_PACKS", 3)
    first = origin.git("rev-parse", "main")
    with origin.serving() as address:
        for number in range(4):
            newest = origin.commit({"app.py": b"%d" % number}, parent=None)
            mirrored.mirrors().obtain(address, "main")
    packs = list((mirrored.mirrors().place(address) / "objects" / "pack").glob("*.pack"))
    assert len(packs) <= 3
    for commit in (first, newest):
        assert mirrored.mirrors().obtain(address, commit).commit == commit
