"""Local mirrors of remote repositories: a release takes its commit from there, also while the Git host is down.

What names content (a full commit id, a tag) may come from a mirror of any age. What moves (a branch, the default one)
may only within the age that this machine's operator allows, and every answer says where it is from.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from prodsprints.controls.integrations import git_objects, git_process
from prodsprints.controls.integrations.git_address import Address
from prodsprints.controls.integrations.git_errors import (
    DamagedMirrorError,
    HostRefusedError,
    HostUnavailableError,
    MirrorError,
    MirrorTooLargeError,
    StaleMirrorError,
    UnknownRefError,
)
from prodsprints.controls.integrations.git_way import Host
from prodsprints.controls.integrations.last_good import spoken
from prodsprints.guard import UNAVAILABLE
from prodsprints.kernel import clock, files
from prodsprints.kernel.errors import ProdSprintsError

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ABBREVIATED = re.compile(r"[0-9a-f]{7,63}")
_NO_REF = re.compile(r"^[-./]|\.\.|@\{|[\x00-\x20~^:?*\[\\\x7f]|\.lock(/|$)|//|[./]$")
_LONGEST_REF = 200
_MOST_REFS = 50_000
_MOST_MIRRORS = 100
_MOST_PACKS = 50
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_PROBES = ("+refs/heads/*:refs/prodsprints/probe/heads/*", "+refs/tags/*:refs/prodsprints/probe/tags/*")
_HEAD = "refs/prodsprints/HEAD"
_STATE = "prodsprints.json"
_LOOK_SECONDS = 0.1
_CHECK_SECONDS = 600.0


class Kind(StrEnum):
    """What a ref names: content, or whatever the host says that it is now."""

    COMMIT = "commit"
    TAG = "tag"
    BRANCH = "branch"
    DEFAULT = "default branch"

    @property
    def moves(self) -> bool:
        """Whether the host may say something else tomorrow, and rightly."""
        return self in {Kind.BRANCH, Kind.DEFAULT}


@dataclass(frozen=True)
class Obtained:
    """A commit in the mirror at `path`.

    `fetched_at` is when the host was last heard; `why` says why it could not be asked now, and is empty otherwise.
    `label` is what people call the commit, `notes` what they should know of its name's history.
    """

    path: Path
    commit: str
    kind: Kind
    label: str
    asked: bool
    fetched_at: datetime
    age_seconds: float
    why: str = ""
    notes: tuple[str, ...] = ()

    @property
    def from_mirror(self) -> bool:
        """Whether the host should have been asked, and could not be."""
        return bool(self.why)

    def __str__(self) -> str:
        if self.from_mirror:
            return (
                f"{self.label} is {self.commit[:12]}, from the mirror as of {clock.iso(self.fetched_at)} "
                f"({spoken(self.age_seconds)} ago); the host does not answer: {self.why}"
            )
        if not self.asked:
            return f"Commit {self.commit[:12]}, which the mirror holds; an id says all, so the host was not asked."
        return f"{self.label} is {self.commit[:12]}, as the host says now."


@dataclass(frozen=True)
class Noted:
    """What became of a mirror, for the record that people read; `failure` is empty after a fetch."""

    url: str
    at: datetime
    fetched_at: datetime | None
    size_bytes: int
    failure: str = ""
    used: bool = False


class Mirrors:
    """The mirrors of one tenant below `root`, on this machine.

    Any number of processes may use them: each mirror has a lock of its own, which a dead holder loses.
    """

    def __init__(
        self,
        root: Path,
        *,
        host_of: Callable[[Address], Host],
        bounds: git_process.Bounds | None = None,
        note: Callable[[Noted], None] = lambda _: None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._root = root
        self._host_of = host_of
        self._bounds = bounds or git_process.Bounds()
        self._note = note
        self._now = now

    def place(self, address: Address) -> Path:
        """Where the mirror of `address` is, or would be."""
        return self._root / f"{hashlib.sha256(address.url.encode()).hexdigest()[:32]}.git"

    def obtain(self, address: Address, ref: str | None, *, pulse: Callable[[str], None] = lambda _: None) -> Obtained:
        """The commit that `ref` (default: the host's default branch) names, whole and checked.

        Asks the host first, unless `ref` is the full id of a commit that is here. Raises UnknownRefError,
        StaleMirrorError, HostRefusedError, HostUnavailableError (no mirror yet), MirrorTooLargeError, MirrorError,
        DamagedMirrorError, HostsFileError, BadAddressError; and what `pulse` raises.
        """
        check_ref(ref)
        with self._mirror(address, pulse) as mirror:
            if ref and _COMMIT.fullmatch(ref) and (fetched_at := mirror.fetched_at()) and mirror.holds(ref):
                try:
                    return self._handed_out(mirror, ref, fetched_at, asked=False)
                except DamagedMirrorError:
                    pass  # fetched anew below, if the host answers
            host = self._host_of(address)
            try:
                why = self._freshened(mirror, host, pulse)
                return self._answer(mirror, host, ref, why)
            except DamagedMirrorError as error:
                self._fetch_anew(mirror, host, error, pulse)
                return self._answer(mirror, host, ref, "")

    def refresh(self, address: Address, *, check_after: timedelta = timedelta(days=1)) -> None:
        """Fetch, so that the mirror is fresh when the host dies, and now and then look whether it is still whole.

        Raises as `obtain` does, HostUnavailableError whenever the host does not answer.
        """
        with self._mirror(address, lambda _: None) as mirror:
            host = self._host_of(address)
            try:
                self._fetch(mirror, host, lambda _: None)
                if self._now() - (mirror.checked_at() or self._now() - 2 * check_after) >= check_after:
                    mirror.check_whole(self._now())
            except DamagedMirrorError as error:
                self._fetch_anew(mirror, host, error, lambda _: None)

    def remove(self, address: Address) -> None:
        """Give the mirror's room back; the next release of it fetches anew."""
        with self._mirror(address, lambda _: None) as mirror:
            for place in (mirror.path, mirror.aside, mirror.beside().path):
                shutil.rmtree(place, ignore_errors=True)

    def _answer(self, mirror: _Mirror, host: Host, ref: str | None, why: str) -> Obtained:
        fetched_at = mirror.fetched_at()
        if fetched_at is None:
            raise MirrorError("The mirror's own note is gone.", next_step="Release again: it is fetched anew.")
        kind, commit = mirror.resolve(ref)
        name = ref or "the default branch"
        as_of = f"The mirror is as of {clock.iso(fetched_at)}; the host does not answer: {why}" if why else ""
        if commit is None:
            raise UnknownRefError(
                f"{mirror.url} has no branch, tag or commit {name!r}.",
                why=as_of,
                next_step="Release what the mirror holds, or wait for the host." if why else "Look for it on the host.",
            )
        if why and kind.moves:
            self._refuse_stale(host, self._now() - fetched_at, f"{name} of {mirror.url}", commit, as_of)
        return self._handed_out(mirror, commit, fetched_at, kind=kind, ref=ref, why=why)

    def _refuse_stale(self, host: Host, age: timedelta, name: str, commit: str, as_of: str) -> None:
        allowed = host.mirror_max_age
        # An age below zero is that of a clock that went backwards: how old the mirror is, nobody knows.
        if allowed is not None and timedelta(0) <= age <= allowed:
            return
        limit = f"at most {spoken(allowed.total_seconds())} are allowed" if allowed else "no age is allowed here"
        ago = f"{spoken(age.total_seconds())} ago" if age >= timedelta(0) else "in this clock's future"
        raise StaleMirrorError(
            f"{name} may have moved since the mirror was fetched, {ago}; {limit}.",
            why=as_of,
            next_step=f"Release what is known of it by its id, `--ref {commit}`, or a tag; or allow an age as "
            "`mirror_max_age` in git-hosts.yaml.",
        )

    def _handed_out(
        self,
        mirror: _Mirror,
        commit: str,
        fetched_at: datetime,
        *,
        kind: Kind = Kind.COMMIT,
        ref: str | None = None,
        why: str = "",
        asked: bool = True,
    ) -> Obtained:
        git_objects.check(mirror.path, commit)
        notes = mirror.keep(commit, kind, ref)
        age = max(0.0, (self._now() - fetched_at).total_seconds())
        label = ref if ref and kind in {Kind.TAG, Kind.BRANCH} else mirror.label(commit)
        self._say(mirror, failure=why, used=True)
        return Obtained(mirror.path, commit, kind, label, asked, fetched_at, age, why, notes)

    def _freshened(self, mirror: _Mirror, host: Host, pulse: Callable[[str], None]) -> str:
        """Fetch; if the host does not answer and there is a mirror to go on from, why it does not."""
        if mirror.fetched_at() is None and len(list(self._root.glob("*.git"))) >= _MOST_MIRRORS:
            raise MirrorTooLargeError(
                f"There are {_MOST_MIRRORS} mirrors of remote repositories here already, and no more are kept.",
                next_step="Release a clone on this machine by its path; mirrors that no released version needs go by "
                "themselves after 7 days.",
            )
        try:
            self._fetch(mirror, host, pulse)
        except UNAVAILABLE as error:
            if mirror.fetched_at() is None:
                raise
            return said(error)
        return ""

    def _fetch(self, mirror: _Mirror, host: Host, pulse: Callable[[str], None]) -> None:
        try:
            host.guarded(lambda: mirror.fetch(host.way(), self._bounds, pulse, self._now()))
        except (ProdSprintsError, OSError) as error:
            self._say(mirror, failure=said(error))
            raise
        self._say(mirror)

    def _fetch_anew(
        self, mirror: _Mirror, host: Host, damage: DamagedMirrorError, pulse: Callable[[str], None]
    ) -> None:
        """Take everything from the host again, and put it in the damaged mirror's place."""
        fresh = mirror.beside()
        shutil.rmtree(fresh.path, ignore_errors=True)
        try:
            host.guarded(lambda: fresh.fetch(host.way(), self._bounds, pulse, self._now()))
        except UNAVAILABLE as error:
            shutil.rmtree(fresh.path, ignore_errors=True)
            self._say(mirror, failure=f"{damage.what} {said(error)}")
            raise DamagedMirrorError(
                f"{damage.what} Nothing is released from it.",
                why=f"It could not be fetched anew: {said(error)}",
                next_step="Release again when the host answers, or release a clone on this machine by its path.",
            ) from None
        mirror.replace_by(fresh)
        self._say(mirror)

    def _say(self, mirror: _Mirror, *, failure: str = "", used: bool = False) -> None:
        self._note(Noted(mirror.url, self._now(), mirror.fetched_at(), mirror.size_bytes(), failure, used))

    @contextmanager
    def _mirror(self, address: Address, pulse: Callable[[str], None]) -> Iterator[_Mirror]:
        path = self.place(address)
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise MirrorError(
                f"There is no place for mirrors at {self._root}: {error.strerror}.",
                next_step="Free space there, and let the worker's user write it; then release again.",
            ) from None
        try:
            self._lock(lock, pulse)
            yield _Mirror(path, address.url, lock)
        finally:
            os.close(lock)

    def _lock(self, lock: int, pulse: Callable[[str], None]) -> None:
        deadline = time.monotonic() + 2 * self._bounds.seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                pulse("Another release is fetching this repository.")
            if time.monotonic() > deadline:
                raise MirrorError("The mirror is in use.", next_step="Wait for the other release of it, and try again.")
            time.sleep(_LOOK_SECONDS)


@dataclass(frozen=True)
class _Mirror:
    """One mirror, whose lock is held: a bare repository, and a note beside its refs."""

    path: Path
    url: str
    lock: int

    @property
    def aside(self) -> Path:
        """Where a damaged mirror is kept until the next one, for whoever wants to know how that came."""
        return self.path.with_suffix(".damaged")

    def beside(self) -> _Mirror:
        """A mirror of the same repository in another place."""
        return _Mirror(self.path.with_suffix(".new"), self.url, self.lock)

    def replace_by(self, fresh: _Mirror) -> None:
        """Put `fresh` in this one's place."""
        shutil.rmtree(self.aside, ignore_errors=True)
        self.path.rename(self.aside)
        fresh.path.rename(self.path)

    def fetched_at(self) -> datetime | None:
        """When the host was last heard; None if there is nothing of it here."""
        return self._noted("fetched_at")

    def checked_at(self) -> datetime | None:
        """When the whole of it was last found to be sound."""
        return self._noted("checked_at")

    def size_bytes(self) -> int:
        """What it takes on the disk, nearly: its packs."""
        return sum(entry.stat().st_size for entry in (self.path / "objects" / "pack").glob("*") if entry.is_file())

    def fetch(
        self, way: git_process.Way, bounds: git_process.Bounds, pulse: Callable[[str], None], now: datetime
    ) -> None:
        """Bring it up to what the host says, all or nothing."""
        if not (self.path / "HEAD").is_file():
            self._make()
        git_process.sweep(self.path)
        try:
            self._fetch(way, bounds, pulse, (f"+HEAD:{_HEAD}", *_REFSPECS))
        except HostRefusedError as error:
            if "remote ref HEAD" not in error.why:
                raise
            self._refuse_nothing(way, bounds, pulse)
            self._git("update-ref", "-d", _HEAD)
            self._fetch(way, bounds, pulse, _REFSPECS)
        except MirrorTooLargeError:
            if self.fetched_at() is None:
                shutil.rmtree(self.path, ignore_errors=True)
            raise
        refs = self._git("for-each-ref", "--count", str(_MOST_REFS + 1), "--format=x", "refs/heads", "refs/tags")
        if refs.count("x") > _MOST_REFS:
            raise MirrorTooLargeError(
                f"{self.url} has more than {_MOST_REFS:,} branches and tags.",
                next_step="Delete those that nobody needs, or release a clone on this machine by its path.",
            )
        if len(list((self.path / "objects" / "pack").glob("*.pack"))) > _MOST_PACKS:
            self._git("-c", "pack.threads=1", "repack", "-q", "-a", "-d", "-k", seconds=_CHECK_SECONDS)
        self._write({"fetched_at": clock.iso(now)})

    def _fetch(
        self,
        way: git_process.Way,
        bounds: git_process.Bounds,
        pulse: Callable[[str], None],
        refspecs: tuple[str, ...],
    ) -> None:
        git_process.fetch(self.path, self.url, refspecs, way=way, bounds=bounds, pulse=pulse, lock=self.lock)

    def _refuse_nothing(self, way: git_process.Way, bounds: git_process.Bounds, pulse: Callable[[str], None]) -> None:
        """Refuse an answer without any branch or tag before it counts: a login page looks like that to Git."""
        self._fetch(way, bounds, pulse, _PROBES)
        if self._git("for-each-ref", "--count=1", "--format=x", "refs/prodsprints/probe"):
            return
        if self.fetched_at() is not None:
            raise HostUnavailableError("The Git host answers, but knows no branch and no tag of this repository.")
        raise HostRefusedError(
            f"{self.url} has no branch and no tag.",
            next_step="Push a commit to it first; or is it the address of a page about a repository?",
        )

    def holds(self, commit: str) -> bool:
        """Whether that commit was fetched once."""
        return git_process.ask(self.path, "cat-file", "-e", f"{commit}^{{commit}}").ok

    def resolve(self, ref: str | None) -> tuple[Kind, str | None]:
        """What kind of name `ref` is here, and the commit that it names; None for none."""
        if ref is None or ref == "HEAD":
            return Kind.DEFAULT, self._commit(_HEAD)
        if _COMMIT.fullmatch(ref):
            return Kind.COMMIT, self._commit(ref)
        short = ref.removeprefix("refs/tags/") if ref.startswith("refs/tags/") else ref
        if not ref.startswith("refs/heads/") and (found := self._commit(f"refs/tags/{short}")):
            return Kind.TAG, found
        if found := self._commit(f"refs/heads/{ref.removeprefix('refs/heads/')}"):
            return Kind.BRANCH, found
        return Kind.COMMIT, self._commit(ref) if _ABBREVIATED.fullmatch(ref) else None

    def label(self, commit: str) -> str:
        """The newest of its tags, else the first twelve digits."""
        tags = self._git(
            *("for-each-ref", "--sort=-version:refname", "--count=1", f"--points-at={commit}"),
            *("--format=%(refname:strip=2)", "refs/tags"),
        )
        return tags.strip() or commit[:12]

    def keep(self, commit: str, kind: Kind, ref: str | None) -> tuple[str, ...]:
        """Keep the commit whatever the host forgets; returns what is strange about its name since it was last used."""
        self._git("update-ref", f"refs/prodsprints/used/{commit}", commit)
        if kind is Kind.COMMIT:
            return ()
        name = f"refs/prodsprints/last/{hashlib.sha256(f'{kind}:{ref}'.encode()).hexdigest()[:32]}"
        before = self._commit(name)
        self._git("update-ref", name, commit)
        if before is None or before == commit:
            return ()
        shown = f"{ref or 'the default branch'} was {before[:12]} when it was last released, and is {commit[:12]} now"
        if kind is Kind.TAG:
            return (f"The tag was moved: {shown}.",)
        if git_process.ask(self.path, "merge-base", "--is-ancestor", before, commit).ok:
            return ()
        return (f"History was rewritten (a force push): {shown}, which does not follow from it.",)

    def check_whole(self, now: datetime) -> None:
        """Let Git look at every object. Raises DamagedMirrorError."""
        found = git_process.ask(self.path, "fsck", "--full", "--no-dangling", "--no-progress", seconds=_CHECK_SECONDS)
        if not found.ok:
            raise DamagedMirrorError(
                "The mirror is damaged: Git's own check (fsck) fails.", next_step="It is fetched anew."
            )
        self._write({"checked_at": clock.iso(now)})

    def _make(self) -> None:
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise MirrorError(
                f"The mirror {self.path} cannot be made: {error.strerror}.",
                next_step="Free space there, and let the worker's user write it; then release again.",
            ) from None
        self._git("init", "--bare", "--quiet", "--template=")

    def _commit(self, name: str) -> str | None:
        found = git_process.ask(self.path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return found.output.strip() if found.ok else None

    def _git(self, *arguments: str, seconds: float = 60.0) -> str:
        answer = git_process.ask(self.path, *arguments, seconds=seconds)
        if not answer.ok:
            raise git_process.failure(answer.error)
        return answer.output

    def _noted(self, name: str) -> datetime | None:
        try:
            noted = json.loads((self.path / _STATE).read_bytes()[:4_096])
            return datetime.fromisoformat(noted[name]) if noted["url"] == self.url and name in noted else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _write(self, more: dict[str, str]) -> None:
        before = {
            name: clock.iso(moment)
            for name in ("fetched_at", "checked_at")
            if (moment := self._noted(name)) is not None
        }
        try:
            files.replace(self.path / _STATE, json.dumps({"url": self.url, **before, **more}).encode())
        except OSError as error:
            raise MirrorError(
                f"The mirror {self.path} cannot be noted: {error.strerror}.",
                next_step="Free space there; then release again.",
            ) from None


def check_ref(ref: str | None) -> None:
    """Refuse what can be no name of a commit, before anybody is asked for it. Raises UnknownRefError."""
    if ref is not None and (not 0 < len(ref) <= _LONGEST_REF or _NO_REF.search(ref)):
        raise UnknownRefError(
            f"{ref[:60]!r} cannot be the name of a branch, tag or commit.",
            next_step="Give a branch, a tag, or a commit's id; `main~1` and the like are not understood here.",
        )


def said(error: BaseException) -> str:
    """An error's own words, without what to do next."""
    if isinstance(error, ProdSprintsError):
        return " ".join(part for part in (error.what, error.why) if part)
    return str(error) or type(error).__name__
