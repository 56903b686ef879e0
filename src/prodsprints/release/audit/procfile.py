"""A Procfile's lines as commands: what a repository itself says that its processes are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from prodsprints.release.audit.files import Files

_LINE = re.compile(r"([A-Za-z0-9_-]{1,64})\s*:\s*(.+)")
_PORT = re.compile(r"\$\{PORT(?::?-[^}]*)?\}|\$PORT(?![A-Za-z0-9_])")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_NEEDS_SHELL = re.compile(r"[|&;<>`()*?~#\n]|\$(?!PORT(?![A-Za-z0-9_]))")
_TARGET = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)(?:\(.*\))?")
_FIXED_PORT = re.compile(r"(?:--port[= ]|-p |--bind[= ]\S*:|-b \S*:|--http[= ]\S*:)(\d{2,5})\b")
_SERVERS = ("uvicorn", "gunicorn", "hypercorn", "daphne", "waitress-serve", "granian", "fastapi", "flask")
_MAX_LINES = 200


@dataclass(frozen=True)
class Process:
    """One line. `argv` runs it, with `$PORT` for the port; `environment` are the assignments before the command."""

    name: str
    command: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    file: str
    line: int

    @property
    def target(self) -> str:
        """The `module:attribute` that the command serves, empty if it names none."""
        words = self.argv[-1].split() if self.shell else self.argv
        return next((f"{m[1]}:{m[2]}" for word in words if (m := _TARGET.fullmatch(word.strip("'\"")))), "")

    @property
    def server(self) -> str:
        """The server program that the command starts, empty for any other."""
        words = {word.rpartition("/")[2] for word in self.command.split()}
        return next((server for server in _SERVERS if server in words), "")

    @property
    def shell(self) -> bool:
        return self.argv[:2] == ("sh", "-c")

    @property
    def fixed_port(self) -> str:
        """A port that the command fixes instead of taking `$PORT`."""
        found = _FIXED_PORT.search(_PORT.sub("$PORT", self.command))
        return found[1] if found else ""


def processes(files: Files, name: str) -> Mapping[str, Process]:
    """The Procfile's processes by name; the first of two lines with one name counts."""
    found: dict[str, Process] = {}
    for number, line in files.lines(name)[:_MAX_LINES] if name in files else []:
        match = _LINE.fullmatch(line.strip())
        if match and not line.lstrip().startswith("#") and match[1] not in found:
            argv, environment = command(match[2])
            if argv:
                found[match[1]] = Process(match[1], match[2], argv, environment, name, number)
    return found


def command(text: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """A command line as arguments; run by a shell only where it uses what only a shell does."""
    text = _PORT.sub("$PORT", text.strip())
    if "\0" in text:
        return (), ()
    try:
        words = shlex.split(text)
    except ValueError:
        return ("sh", "-c", text), ()
    if _NEEDS_SHELL.search(re.sub(r"'[^']*'|\"[^\"$`]*\"", "", text)):
        return ("sh", "-c", _with_exec(text)), ()
    environment: list[tuple[str, str]] = []
    while words and (found := _ASSIGNMENT.fullmatch(words[0])):
        environment.append((found[1], found[2]))
        words.pop(0)
    return tuple(words), tuple(environment)


def _with_exec(text: str) -> str:
    """Let the last command of `a && b` take the shell's place, so that SIGTERM reaches it."""
    before, joint, last = text.rpartition("&&")
    if re.search(r"[|&;<>`()\n]", last) or re.match(r"\s*(?:exec\b|[A-Za-z_]\w*=)", last):
        return text
    return f"{before}{joint} exec {last.strip()}" if joint else f"exec {last.strip()}"
