"""The witness's Git repository: notes become commits, by plumbing that runs none of the repository's own programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from prodsprints.kernel import files
from prodsprints.ledger.checkpoint import MAX_NOTE_BYTES
from prodsprints.ledger.errors import WitnessError

_TIMEOUT_SECONDS = 30.0
# What a repository's configuration could have run by these commands (see release/git.py).
_SWITCHED_OFF = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.sshCommand=false"),
    *("-c", "core.pager=cat"),
    *("-c", "gc.auto=0"),
)
_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "ProdSprints witness"), ("EMAIL", "witness@localhost"))
}


class WitnessRepository:
    """A working tree that holds one note per tenant; its history holds all that were published. Pushing it is yours."""

    def __init__(self, top: Path) -> None:
        self._top = top

    @staticmethod
    def open(top: Path) -> WitnessRepository:
        """The repository whose working tree is `top`. Raises WitnessError when there is none."""
        repository = WitnessRepository(top)
        if not (top / ".git").exists() or not repository._run("rev-parse", "--git-dir").ok:
            raise WitnessError(
                f"PRODSPRINTS_WITNESS is {top}, which is no Git working tree.",
                next_step=f"Run `git init {top}`, and push it to where the database's owner cannot write.",
            )
        return repository

    def read(self, name: str) -> str | None:
        """The note of that name as it was committed last."""
        found = self._run("cat-file", "blob", f"HEAD:{name}")
        return found.output.decode(errors="replace")[:MAX_NOTE_BYTES] if found.ok else None

    def commit(self, notes: Mapping[str, str]) -> None:
        """Commit the notes by their names. Raises WitnessError."""
        for name, note in notes.items():
            blob = self._asked("hash-object", "-w", "--stdin", stdin=note)
            self._asked("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
            try:
                files.replace(self._top / name, note.encode(), mode=0o644, durable=False)
            except OSError as error:
                raise self._failed(str(error.strerror)) from None
        tree = self._asked("write-tree")
        head = self._run("rev-parse", "--verify", "--quiet", "HEAD")
        parent = head.output.decode().strip()
        message = f"Checkpoints of {len(notes)} logs"
        made = self._asked("commit-tree", tree, *(("-p", parent) if head.ok else ()), "-m", message)
        self._asked("update-ref", "-m", "witness", "HEAD", made, parent if head.ok else "0" * len(made))

    def _asked(self, *arguments: str, stdin: str = "") -> str:
        answer = self._run(*arguments, stdin=stdin)
        if not answer.ok:
            raise self._failed(answer.error)
        return answer.output.decode().strip()

    def _run(self, *arguments: str, stdin: str = "") -> _Answer:
        try:
            done = subprocess.run(
                ["git", *_SWITCHED_OFF, *arguments],  # noqa: S607 - found by PATH, wherever the machine has it
                cwd=self._top,
                env=_environment(self._top),
                input=stdin.encode(),
                capture_output=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._failed(getattr(error, "strerror", None) or "git did not end in time") from None
        return _Answer(done.returncode == 0, done.stdout, done.stderr.decode(errors="replace").strip()[:300])

    def _failed(self, reason: str) -> WitnessError:
        return WitnessError(
            f"The witness cannot commit to {self._top}: {reason}.",
            next_step="Check that it is a Git working tree that you may write, with no index.lock left behind.",
        )


class _Answer:
    """What Git said, and whether it succeeded."""

    def __init__(self, ok: bool, output: bytes, error: str) -> None:
        self.ok = ok
        self.output = output
        self.error = error


def _environment(top: Path) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **_AUTHOR,
        "GIT_DIR": str(top / ".git"),
        "GIT_WORK_TREE": str(top),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
