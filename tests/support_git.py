"""A Git host on loopback and a repository on it, for whoever tests releases from one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prodsprints.controls.integrations import git_address, git_server
from prodsprints.controls.integrations.git_address import Address
from prodsprints.controls.integrations.git_hosts import FILE_NAME


class Origin:
    """The repository `shop.git` below `root`, and the host that serves it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "acme" / "shop.git"
        self.path.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main")
        self.server: git_server.GitServer | None = None

    def git(self, *arguments: str, input: bytes = b"") -> str:
        """Git, in the repository."""
        person = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={"PATH": os.environ["PATH"], "HOME": str(self.root), "GIT_CONFIG_NOSYSTEM": "1", **person},
            input=input,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def commit(
        self, files: dict[str, bytes], *, branch: str = "main", parent: str | None = "", message: str = "x"
    ) -> str:
        """A commit of just these files on `branch`; `parent` None begins a new history."""
        lines = []
        for name, content in files.items():
            oid = self.git("hash-object", "-w", "--stdin", input=content)
            lines.append(f"100644 blob {oid}\t{name}")
        tree = self.git("mktree", input="\n".join(lines).encode())
        refs = self.git("for-each-ref", "--format=%(refname)").splitlines()
        if parent == "":
            parent = f"refs/heads/{branch}" if f"refs/heads/{branch}" in refs else None
        commit = self.git("commit-tree", "-m", message, *(("-p", parent) if parent else ()), tree)
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def tag(self, name: str, commit: str = "main") -> None:
        """Put a tag, moving it if it is there."""
        self.git("tag", "--force", name, commit)

    @contextmanager
    def serving(self, *, password: str = "") -> Iterator[Address]:
        """For the length of the block, at this address; it is the same in each block."""
        port = self.server.port if self.server else 0
        with git_server.serving(self.root, port=port, password=password) as self.server:
            yield self.address

    @property
    def address(self) -> Address:
        """Where it is, or was."""
        assert self.server is not None
        return git_address.parse(f"http://127.0.0.1:{self.server.port}/acme/shop.git")

    def name_in(self, home: Path, **more: str) -> None:
        """Name this host in the operator's file of `home`."""
        assert self.server is not None
        lines = "".join(f"    {name}: {value}\n" for name, value in more.items())
        (home / FILE_NAME).write_text(f"hosts:\n  127.0.0.1:{self.server.port}:\n    plain_http: true\n{lines}")
        (home / FILE_NAME).chmod(0o600)
