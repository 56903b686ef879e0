"""What the drill of R008.2 breaks: a Git host of its own, and a release's source step with mirrors and without."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prodsprints.controls.integrations import git_address, git_server
from prodsprints.controls.integrations.git_address import Address
from prodsprints.controls.integrations.git_errors import HostUnavailableError
from prodsprints.controls.integrations.git_process import ISOLATED
from prodsprints.drills import faults
from prodsprints.drills.experiment import Peer, PeerClass
from prodsprints.drills.faults import TcpProxy
from prodsprints.drills.stage import Stage

_GIT_SECONDS = 10.0
_CLONE_SECONDS = 6.0
_IMPATIENT = ("-c", "http.lowSpeedLimit=500", "-c", "http.lowSpeedTime=2")


def _version() -> str:
    try:
        said = subprocess.run(["git", "version"], capture_output=True, text=True, check=True).stdout  # noqa: S607 - found by PATH
    except (OSError, subprocess.CalledProcessError):
        return "not installed"
    return said.split()[2]


HTTP_BACKEND = Peer(
    "git http-backend behind Python's HTTP server and the TCP fault proxy", _version(), PeerClass.ENGINE
)


@dataclass(frozen=True)
class GitHost:
    """The host as releases reach it, through `proxy`, and its one repository as its owner sees it, at `repository`."""

    proxy: TcpProxy
    repository: Path

    @property
    def address(self) -> Address:
        """What is released."""
        return git_address.parse(f"http://127.0.0.1:{self.proxy.port}/shop.git")

    def push(self, content: bytes, *, over: bool = False, tag: str = "") -> str:
        """A commit of one file on `main`; `over` begins a new history, as a force push does."""
        blob = self.git("hash-object", "-w", "--stdin", given=content)
        tree = self.git("mktree", given=f"100644 blob {blob}\tapp.py\n".encode())
        known = self.git("for-each-ref", "--format=%(objectname)", "refs/heads/main")
        commit = self.git("commit-tree", "-m", "a change", *(() if over or not known else ("-p", known)), tree)
        self.git("update-ref", "refs/heads/main", commit)
        if tag:
            self.git("update-ref", f"refs/tags/{tag}", commit)
        return commit

    def git(self, *arguments: str, given: bytes = b"") -> str:
        """Git on the host's own disk."""
        return run(self.repository, *arguments, given=given)


@contextmanager
def git_host(stage: Stage) -> Iterator[GitHost]:
    """For the length of the arm, with a first commit that is tagged `v1`."""
    root = stage.directory / "host"
    root.mkdir()
    run(root, "init", "--quiet", "--bare", "--initial-branch=main", "shop.git")
    with (
        git_server.serving(root) as server,
        faults.tcp_proxy(stage, upstream=("127.0.0.1", server.port)) as proxy,
    ):
        host = GitHost(proxy, root / "shop.git")
        host.push(b"version = 1\n", tag="v1")
        yield host


def bare_clone(stage: Stage, address: Address, ref: str) -> tuple[Path, str]:
    """A release's source step without a mirror: clone what is released, when it is released."""
    place = stage.directory / f"clone-{len(list(stage.directory.iterdir()))}"
    try:
        done = subprocess.run(
            ["git", *_IMPATIENT, "clone", "-q", "--bare", address.url, str(place)],  # noqa: S607 - found by PATH
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(stage.directory), **ISOLATED},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CLONE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise HostUnavailableError("The clone did not end in time.") from None
    if done.returncode != 0:
        raise HostUnavailableError("The clone failed.", why=done.stderr.decode(errors="replace").strip()[-200:])
    return place, run(place, "rev-parse", f"{ref}^{{commit}}")


def run(place: Path, *arguments: str, given: bytes = b"") -> str:
    """One command of Git in `place`, which must succeed."""
    person = {f"GIT_{who}_{what}": "drill@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *arguments],  # noqa: S607 - found by PATH
        cwd=place,
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(place), **ISOLATED, **person},
        input=given,
        capture_output=True,
        timeout=_GIT_SECONDS,
        check=True,
    )
    return done.stdout.decode().strip()
