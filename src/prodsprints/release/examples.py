"""The shop of `examples/` as a Git repository with its three versions, for whoever shows or tests a release."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from prodsprints.release.errors import ExportError, GitError

_VERSIONS = (
    ("v1", "The shop", "2026-01-05T09:00:00+00:00"),
    ("v2", "Orders may carry a gift note", "2026-01-12T09:00:00+00:00"),
    ("v3", "Show a deal of the moment", "2026-01-19T09:00:00+00:00"),
)
_CACHES = shutil.ignore_patterns("__pycache__", ".pytest_cache", "*.pyc")
_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.autocrlf=false"),
    *("-c", "commit.gpgSign=false"),
    *("-c", "tag.gpgSign=false"),
    *("-c", "init.defaultBranch=main"),
)


def lay_out_shop(examples: Path, target: Path) -> Path:
    """Make the repository `target`/shop, with the tags v1, v2 and v3, from the files in `examples`/shop.

    Equal files give equal commit ids: author, committer and dates are fixed. A repository that is there already is
    made anew. Returns its path.
    """
    origin, repository = examples / "shop", target / "shop"
    shutil.rmtree(repository, ignore_errors=True)
    try:
        repository.mkdir(parents=True)
        _git(repository, "init", "--quiet")
        for tag, message, date in _VERSIONS:
            _copy(origin if tag == "v1" else origin / "versions" / tag, repository)
            # The versions' files may be equal in size and time; without its index Git has to read them.
            (repository / ".git" / "index").unlink(missing_ok=True)
            _git(repository, "add", "--all", date=date)
            _git(repository, "commit", "--quiet", "--message", message, date=date)
            _git(repository, "tag", tag)
    except OSError as error:
        raise ExportError(
            f"The shop could not be laid out in {repository}: {error.strerror}.",
            next_step="Check the disk and its permissions.",
        ) from None
    return repository


def _copy(origin: Path, repository: Path) -> None:
    for entry in sorted(origin.iterdir()):
        if entry.name in ("versions", "__pycache__", ".pytest_cache"):
            continue
        if entry.is_dir():
            shutil.copytree(
                entry, repository / entry.name, ignore=_CACHES, copy_function=shutil.copyfile, dirs_exist_ok=True
            )
        else:
            shutil.copyfile(entry, repository / entry.name)


def _git(repository: Path, *arguments: str, date: str = "") -> None:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(repository),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "Paper & Ink",
        "GIT_AUTHOR_EMAIL": "shop@example.org",
        "GIT_COMMITTER_NAME": "Paper & Ink",
        "GIT_COMMITTER_EMAIL": "shop@example.org",
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
        "LC_ALL": "C",
    }
    try:
        done = subprocess.run(
            ["git", *_OPTIONS, *arguments],  # noqa: S607 - found by PATH, wherever the machine has it
            cwd=repository,
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except FileNotFoundError:
        raise GitError(
            "The program git is not installed.", next_step="Install git (apt install git, brew install git)."
        ) from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git {arguments[0]} did not end within 60 seconds.", next_step="Check the disk.") from None
    if done.returncode != 0:
        raise GitError(
            f"git {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()[:300]}.",
            next_step="Check the disk that the repository is on, then try again.",
        )
