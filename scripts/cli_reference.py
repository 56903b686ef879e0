"""Writes docs/reference/cli.md: every command's own help, as it prints it; with `--check` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from prodsprints.cli.main import cli

TARGET = Path(__file__).parent.parent / "docs" / "reference" / "cli.md"

_HEAD = """\
# The command line

Written by `make docs` from the commands themselves.

Every command takes `--help`. Those with `--json` answer with one JSON object per line on stdout, each with
`"schema": 1` and what it is as `"line"`; progress, and errors for people, go to stderr. In JSON mode an error is a
problem document (RFC 9457) on stdout, with its `exit_code`.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed |
| 2 | there are changes, or drift |
| 3 | refused by a gate, or not releasable |
| 4 | not approved, or not logged in |
| 5 | locked by somebody who is alive |
| 6 | rolled back |
| 64 | the command itself was wrong |
| 130 | ended by Ctrl-C |

| variable | meaning | default |
| --- | --- | --- |
| `PRODSPRINTS_HOME` | where all data is | `/var/lib/prodsprints` as root, else the user's data directory |
| `PRODSPRINTS_HOST`, `PRODSPRINTS_PORT` | where the API and the pages listen | `127.0.0.1`, `8900` |
| `PRODSPRINTS_DATABASE_URL` | a PostgreSQL of yours | the embedded one |
| `PRODSPRINTS_ADMIN_DATABASE_URL` | a role on it that may migrate and create databases | the same |
| `PRODSPRINTS_NODE` | this machine's name in releases and leases | its host name |
| `PRODSPRINTS_WITNESS` | a Git working tree for the ledger's checkpoints | none |
| `PRODSPRINTS_TOKEN` | the token to act with | `<home>/secrets/api-token` |
"""


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" in arguments:
        current = TARGET.exists() and TARGET.read_text(encoding="utf-8") == text
        print("current" if current else f"{TARGET} is not current: run `make docs`")
        return 0 if current else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    """The whole page."""
    context = cli.make_context("prodsprints", [], resilient_parsing=True)
    sections = "\n".join(f"## {path}\n\n```text\n{text}\n```\n" for path, text in helps(cli, context))
    return f"{_HEAD}\n{sections}"


def helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Each command's path and help, parents first."""
    context.terminal_width = 100
    yield context.command_path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from helps(child, child.make_context(name, [], parent=context, resilient_parsing=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
