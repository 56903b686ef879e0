"""The drills of R008.2: the Git host dies, hangs or trickles in the middle of a fetch, and releases go on."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import httpx

from prodsprints.controls.integrations import git_peers, git_way
from prodsprints.controls.integrations.git_errors import (
    DamagedMirrorError,
    HostRefusedError,
    HostUnavailableError,
    StaleMirrorError,
    UnknownRefError,
)
from prodsprints.controls.integrations.git_hosts import FILE_NAME
from prodsprints.controls.integrations.git_peers import HTTP_BACKEND, GitHost
from prodsprints.controls.integrations.git_process import Bounds
from prodsprints.controls.integrations.mirror import Mirrors, Noted, Obtained
from prodsprints.controls.providers.guards import Guards
from prodsprints.drills.experiment import Experiment, Observation, Probe, Safety, broke, held
from prodsprints.drills.faults import Bandwidth, Blackhole, Reset, Toxic
from prodsprints.drills.stage import Stage
from prodsprints.kernel.errors import ProdSprintsError

_FAULT_SECONDS = 60.0
_MOST_AGE = timedelta(hours=1)
_BIG_BYTES = 1_000_000
_DIES_AFTER_BYTES = 200_000
_BACK_WITHIN_SECONDS = 12.0


@dataclass(frozen=True)
class Found:
    """What a release's source step came to: a commit in the repository at `path`, and what it says of it."""

    path: Path
    commit: str
    obtained: Obtained | None = None


class Step(Protocol):
    """A release's source step."""

    def source(self, ref: str | None) -> Found: ...


@dataclass
class Mirrored:
    """The step as releases have it. Its clock is moved by hand, for ages that no drill can wait for."""

    mirrors: Mirrors
    host: GitHost
    now: datetime
    noted: list[Noted]

    def source(self, ref: str | None) -> Found:
        obtained = self.mirrors.obtain(self.host.address, ref)
        return Found(obtained.path, obtained.commit, obtained)

    @property
    def fetches(self) -> int:
        """How many are recorded."""
        return sum(not one.failure and not one.used for one in self.noted)

    @property
    def place(self) -> Path:
        return self.mirrors.place(self.host.address)


@dataclass
class Bare:
    """The step without a mirror: a clone each time. What failed once under the fault is not waited for again."""

    stage: Stage
    host: GitHost
    failed: list[HostUnavailableError] = field(default_factory=list)

    def source(self, ref: str | None) -> Found:
        if self.failed:
            raise self.failed[0]
        try:
            return Found(*git_peers.bare_clone(self.stage, self.host.address, ref or "HEAD"))
        except HostUnavailableError as error:
            self.failed.append(error)
            raise


@contextmanager
def _ours(stage: Stage, host: GitHost) -> Iterator[Step]:
    home = stage.directory / "home"
    home.mkdir(mode=0o700)
    stated = f"{{plain_http: true, mirror_max_age: {_MOST_AGE.total_seconds():.0f}s}}"
    (home / FILE_NAME).write_text(f"hosts:\n  '{host.address.place}': {stated}\n")
    (home / FILE_NAME).chmod(0o600)
    noted: list[Noted] = []
    step: Mirrored
    mirrors = Mirrors(
        home / "mirrors" / "tenant",
        host_of=git_way.host_of(
            home, "default", Guards(), policy=git_way.patience(retry_wait_seconds=0.05, recovery_seconds=1.0)
        ),
        bounds=Bounds(seconds=3.0, silence_seconds=1.5),
        note=noted.append,
        now=lambda: step.now,
    )
    step = Mirrored(mirrors, host, datetime(2026, 1, 1, tzinfo=UTC), noted)
    yield step


@contextmanager
def _bare(stage: Stage, host: GitHost) -> Iterator[Step]:
    yield Bare(stage, host)


def _under(toxic: Toxic) -> Callable[[Stage, GitHost], AbstractContextManager[None]]:
    @contextmanager
    def inject(_: Stage, host: GitHost) -> Iterator[None]:
        host.push(os.urandom(_BIG_BYTES), tag="v2")  # so that there is a fetch to die in the middle of
        with host.proxy.toxic(toxic, ttl_seconds=_FAULT_SECONDS):
            yield

    return inject


def _tried(stage: Stage, step: Step, ref: str | None) -> tuple[Found | None, ProdSprintsError | None]:
    began = time.monotonic()
    found, failed = None, None
    try:
        found = step.source(ref)
    except ProdSprintsError as error:
        failed = error
    stage.sample(found is not None, time.monotonic() - began, ref or "the default branch")
    return found, failed


def _words(error: ProdSprintsError | None) -> str:
    return f"{type(error).__name__}: {error.what} {error.why}".strip() if error else "Nothing was refused."


def _is_released(stage: Stage, host: GitHost, step: Step) -> Observation:
    for ref in ("main", None, "v1"):
        found, failed = _tried(stage, step, ref)
        if found is None:
            return broke(_words(failed))
        if found.commit != host.git("rev-parse", ref or "HEAD") or (found.obtained and found.obtained.from_mirror):
            return broke(f"{ref} is {found.commit[:12]}: {found.obtained}.")
    return held("The branch, the default branch and the tag, each as the host says.")


def _tag_is_released(stage: Stage, host: GitHost, step: Step) -> Observation:
    began = time.monotonic()
    found, failed = _tried(stage, step, "v1")
    if found is None:
        return broke(_words(failed))
    stage.measure("detect_seconds", time.monotonic() - began)
    content = git_peers.run(found.path, "cat-file", "blob", f"{found.commit}:app.py")
    right = found.commit == host.git("rev-parse", "v1") and content == "version = 1"
    return (held if right else broke)(f"v1 is {found.commit[:12]}, which holds {content!r}.")


def _says_so(stage: Stage, _: GitHost, step: Step) -> Observation:
    if isinstance(step, Mirrored):
        step.now += timedelta(minutes=10)
    found, failed = _tried(stage, step, "v1")
    if found is None or found.obtained is None:
        return broke(_words(failed))
    said = f"{found.obtained}"
    told = "from the mirror as of 2026-01-01T00:00:00.000Z (10 min ago); the host does not answer: " in said
    right = found.obtained.from_mirror and found.obtained.age_seconds == 600.0 and told and found.obtained.why in said
    return (held if right and found.obtained.why else broke)(said)


def _branch_within_its_age(stage: Stage, host: GitHost, step: Step) -> Observation:
    for ref in ("main", None):
        found, failed = _tried(stage, step, ref)
        if found is None:
            return broke(_words(failed))
        if found.commit != host.git("rev-parse", "v1"):
            return broke(f"{ref} is {found.commit[:12]}, which was never fetched.")
    if isinstance(step, Mirrored):
        step.now += _MOST_AGE - timedelta(minutes=10)
    found, failed = _tried(stage, step, "main")
    return held("The branch, until it is as old as allowed.") if found else broke(_words(failed))


def _branch_beyond_its_age(stage: Stage, _: GitHost, step: Step) -> Observation:
    if not isinstance(step, Mirrored):
        return broke("Without a mirror nothing has an age.")
    said = ""
    for more, ref in ((timedelta(seconds=1), "main"), (timedelta(0), None), (-2 * _MOST_AGE, "main")):
        step.now += more
        found, failed = _tried(stage, step, ref)
        if found is not None or not isinstance(failed, StaleMirrorError):
            return broke(f"{ref}: {found.obtained if found else _words(failed)}")
        if ("in this clock's future" if more < timedelta(0) else "60 min ago") not in failed.what:
            return broke(failed.what)
        if f"--ref {step.host.git('rev-parse', 'v1')}" not in failed.next_step:
            return broke(f"It does not say what can be released: {failed.next_step}")
        said = _words(failed)
    step.now += 2 * _MOST_AGE
    found, failed = _tried(stage, step, "v1")
    return held(f"{said} The tag is not.") if found else broke(_words(failed))


def _unknown_is_refused(stage: Stage, host: GitHost, step: Step) -> Observation:
    for ref in ("v2", host.git("rev-parse", "v2"), "nothing"):
        found, failed = _tried(stage, step, ref)
        if found is not None or not isinstance(failed, UnknownRefError) or "does not answer" not in failed.why:
            return broke(f"{ref}: {found.commit if found else _words(failed)}")
    return held("What the mirror does not hold is refused, and why the host cannot be asked is said.")


def _left_nothing(_: Stage, _host: GitHost, step: Step) -> Observation:
    if not isinstance(step, Mirrored):
        return broke("There is no mirror.")
    left = [path.name for path in step.place.rglob("*") if path.name.startswith("tmp_") or path.suffix == ".lock"]
    size = sum(path.stat().st_size for path in (step.place / "objects").rglob("*") if path.is_file())
    return (broke if left or size > _BIG_BYTES else held)(f"{len(left)} halves and locks, {size:,} bytes in all.")


def _damage_is_never_released(stage: Stage, host: GitHost, step: Step) -> Observation:
    if not isinstance(step, Mirrored):
        return broke("There is no mirror.")
    for pack in (step.place / "objects" / "pack").glob("*.pack"):
        whole = pack.read_bytes()
        pack.chmod(0o600)
        pack.write_bytes(whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:])
        try:
            for ref in ("v1", host.git("rev-parse", "v1")):
                found, failed = _tried(stage, step, ref)
                if found is not None or not isinstance(failed, DamagedMirrorError):
                    return broke(f"{ref}: {found.obtained if found else _words(failed)}")
        finally:
            pack.write_bytes(whole)
    if step.place.with_suffix(".new").exists():
        return broke("What could not be fetched anew was left behind.")
    return held("With one bit flipped nothing is released.")


def _is_asked_again(stage: Stage, host: GitHost, step: Step) -> Observation:
    began = time.monotonic()
    while time.monotonic() - began < _BACK_WITHIN_SECONDS:
        found, _failed = _tried(stage, step, "main")
        if found is not None and found.obtained is not None and not found.obtained.from_mirror:
            stage.measure("recover_seconds", time.monotonic() - began)
            right = found.commit == host.git("rev-parse", "main")
            return (held if right else broke)(f"{found.obtained}")
    return broke(f"Not within {_BACK_WITHIN_SECONDS:g} s.")


def _waits_its_turn(_: Stage, host: GitHost, step: Step) -> Observation:
    """Somebody else fetches, and a killed Git left its locks."""
    if not isinstance(step, Mirrored):
        return broke("There is no mirror.")
    new, fetches = host.push(b"version = 6\n"), step.fetches
    for left in ("packed-refs.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_left"):
        (step.place / left).touch()
    other = os.open(step.place.with_suffix(".lock"), os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    waits = []

    def pulse(said: str) -> None:
        if said.startswith("Another release"):
            waits.append(said)
            fcntl.flock(other, fcntl.LOCK_UN)

    try:
        obtained = step.mirrors.obtain(host.address, "main", pulse=pulse)
    except ProdSprintsError as error:
        return broke(_words(error))
    finally:
        os.close(other)
    right = len(waits) == 1 and obtained.commit == new and step.fetches == fetches + 1
    return (held if right else broke)(f"{waits}, then {obtained}")


def _keeps_its_record(_: Stage, _host: GitHost, step: Step) -> Observation:
    if not isinstance(step, Mirrored):
        return broke("There is no record.")
    failures, fetches = ([one for one in step.noted if bool(one.failure) is failed] for failed in (True, False))
    used, asked = ([one for one in fetches if one.used is was] for was in (True, False))
    if not (failures and used and asked):
        return broke(f"{len(failures)} failures, {len(asked)} fetches, {len(used)} uses.")
    whole = all(one.fetched_at and one.size_bytes and one.url for one in used)
    return (held if whole else broke)(f"{len(failures)} failures, {len(asked)} fetches, {len(used)} uses.")


def _is_refreshed(_: Stage, host: GitHost, step: Step) -> Observation:
    """Without a release: a commit that was pushed meanwhile, and a day later damage in what no release reads."""
    if not isinstance(step, Mirrored):
        return broke("There is no mirror.")
    new = host.push(b"version = 5\n")
    step.mirrors.refresh(host.address)
    if git_peers.run(step.place, "rev-parse", "refs/heads/main") != new:
        return broke("The refresh did not bring what was pushed.")
    step.now += timedelta(days=1)
    for pack in (step.place / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:-60])
    step.mirrors.refresh(host.address)
    found = step.mirrors.obtain(host.address, new)
    return (held if found.commit == new and not found.asked else broke)(f"{found}")


def _odd_names_are_refused(stage: Stage, _: GitHost, step: Step) -> Observation:
    for ref, word in (("-x", "cannot be"), ("a..b", "cannot be"), ("x" * 201, "cannot be"), ("x" * 200, "has no")):
        found, failed = _tried(stage, step, ref)
        if found is not None or not isinstance(failed, UnknownRefError) or word not in failed.what:
            return broke(f"{ref[:20]}: {_words(failed)}")
    return held("Of 200 letters a name may be, of 201 not, and none that looks like an option.")


def _rewriting_is_said(stage: Stage, host: GitHost, step: Step) -> Observation:
    old, new = host.git("rev-parse", "main"), host.push(b"version = 3\n", over=True, tag="v1")
    said = []
    for ref, word in (("main", "force push"), ("v1", "moved")):
        found, failed = _tried(stage, step, ref)
        if found is None or found.obtained is None or found.commit != new:
            return broke(_words(failed))
        said += [note for note in found.obtained.notes if word in note]
    again, _failed = _tried(stage, step, "main")
    kept, failed = _tried(stage, step, old)
    if len(said) != 2 or again is None or again.obtained is None or again.obtained.notes:
        return broke(f"It says {said}.")
    return held(" ".join(said)) if kept is not None and kept.commit == old else broke(_words(failed))


def _follows_quietly(stage: Stage, host: GitHost, step: Step) -> Observation:
    new = host.push(b"version = 4\n")
    found, failed = _tried(stage, step, "main")
    if found is None or found.obtained is None:
        return broke(_words(failed))
    labels = [found.obtained.label, *(step.source(ref).obtained.label for ref in (new, host.git("rev-parse", "v1")))]  # type: ignore[union-attr]
    right = found.commit == new and not found.obtained.notes and labels == ["main", new[:12], "v1"]
    return (held if right else broke)(f"{found.obtained} {' '.join(found.obtained.notes)}".strip())


def _a_no_is_a_no(stage: Stage, host: GitHost, step: Step) -> Observation:
    away = host.repository.with_name("away")
    host.repository.rename(away)
    try:
        found, failed = _tried(stage, step, "v1")
    finally:
        away.rename(host.repository)
    refused = found is None and isinstance(failed, HostRefusedError)
    return held(_words(failed)) if refused else broke(f"{found.obtained if found else _words(failed)}")


def _is_mended(stage: Stage, host: GitHost, step: Step) -> Observation:
    if not isinstance(step, Mirrored):
        return broke("There is no mirror.")
    for pack in (step.place / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:-60])
    fetches = step.fetches
    step.place.with_suffix(".new").mkdir()
    (step.place.with_suffix(".new") / "HEAD").write_text("left by somebody who was killed")
    commit = host.git("rev-parse", "v1")
    found, failed = _tried(stage, step, "v1")
    if found is None or found.commit != commit or found.obtained is None or found.obtained.from_mirror:
        return broke(f"{found.obtained if found else _words(failed)}")
    if step.fetches != fetches + 1:
        return broke("It is not recorded.")
    return held("The damaged mirror was fetched anew.")


def _was_hit(_: Stage, host: GitHost, _step: Step) -> Observation:
    hits = host.proxy.counts()["hits"]
    return (held if hits else broke)(f"{hits} of its connections or chunks were hit.")


def _hangs(_: Stage, host: GitHost, _step: Step) -> Observation:
    try:
        status = httpx.get(f"{host.address.url}/info/refs", timeout=0.5, trust_env=False).status_code
    except httpx.TimeoutException:
        return held("Asked directly, it takes the connection and says nothing.")
    except httpx.TransportError as error:
        return broke(f"Asked directly, it ends with {type(error).__name__}.")
    return broke(f"Asked directly, it answers {status}.")


_GOES_ON = (
    Probe("a tag is released while the host is down", _tag_is_released),
    Probe("half a fetch leaves nothing", _left_nothing),
    Probe("it says that it is from the mirror, how old that is, and why", _says_so),
)
_IS_BACK = (Probe("the host is asked again once it is back", _is_asked_again),)

host_dies: Experiment[GitHost, Step] = Experiment(
    row="R008.2",
    variant="host-dies",
    title="A release goes on from the mirror when its Git host dies in the middle of a fetch",
    safety=Safety.SAFE,
    fault=f"each connection to the Git host is reset after {_DIES_AFTER_BYTES:,} bytes, in the middle of the pack",
    sources=("prodsprints.controls.integrations.mirror",),
    uses=(
        "prodsprints.controls.integrations.git_errors",
        "prodsprints.controls.integrations.addresses",
        "prodsprints.controls.integrations.git_address",
        "prodsprints.controls.integrations.git_credentials",
        "prodsprints.controls.integrations.git_hosts",
        "prodsprints.controls.integrations.git_objects",
        "prodsprints.controls.integrations.git_process",
        "prodsprints.controls.integrations.git_way",
        "prodsprints.controls.integrations.last_good",
        "prodsprints.controls.dns",
        "prodsprints.controls.providers.guards",
        "prodsprints.controls.providers.fleet",
        "prodsprints.guard",
        "prodsprints.kernel",
    ),
    peers=(HTTP_BACKEND,),
    stand=git_peers.git_host,
    treatment=_ours,
    placebo=_bare,
    steady=(Probe("a release takes what the host says", _is_released),),
    inject=_under(Reset(after_bytes=_DIES_AFTER_BYTES)),
    seen=Probe("the connections were hit", _was_hit),
    probes=(
        *_GOES_ON,
        Probe("a branch is released within its age", _branch_within_its_age),
        Probe("a branch older than allowed is refused", _branch_beyond_its_age),
        Probe("what the mirror does not hold is refused", _unknown_is_refused),
        Probe("a flipped bit is never released", _damage_is_never_released),
    ),
    named="a tag is released while the host is down",
    limit_seconds=40.0,
    after=(
        *_IS_BACK,
        Probe("a force push and a moved tag are said, and the old commit is kept", _rewriting_is_said),
        Probe("a commit on top is nothing to say", _follows_quietly),
        Probe("what the host refuses is not taken from the mirror", _a_no_is_a_no),
        Probe("a damaged mirror is fetched anew", _is_mended),
        Probe("whoever comes second waits, and finds no lock of the dead", _waits_its_turn),
        Probe("what can be no name is refused", _odd_names_are_refused),
        Probe("a mirror in use is refreshed, and looked through once a day", _is_refreshed),
        Probe("what became of the mirror is recorded", _keeps_its_record),
    ),
    scale="a fetch may take 3 s instead of 600 s, and be silent for 1.5 s instead of 20 s; the host is left alone "
    "for 1 s instead of 30 s; the mirror's age is that of a clock moved by hand",
)

host_hangs: Experiment[GitHost, Step] = replace(
    host_dies,
    variant="host-hangs",
    title="A release goes on from the mirror when its Git host hangs",
    fault="the Git host takes connections, and says nothing on them",
    inject=_under(Blackhole()),
    seen=Probe("the host says nothing", _hangs),
    probes=_GOES_ON,
    after=_IS_BACK,
)

host_trickles: Experiment[GitHost, Step] = replace(
    host_dies,
    variant="host-trickles",
    title="A release goes on from the mirror when its Git host sends for ever",
    fault="the Git host sends 30,000 bytes a second: its last change would take half a minute",
    inject=_under(Bandwidth(bytes_per_second=30_000)),
    probes=_GOES_ON,
    after=_IS_BACK,
)
