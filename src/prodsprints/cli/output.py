"""What a command prints: results on stdout, as text or as versioned JSON lines, and never progress between them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


_PIPED_WIDTH = 120


@dataclass(frozen=True)
class Output:
    """The two ways to answer; a command calls both, and the one that was asked for is heard."""

    json: bool

    def line(self, line: str, fields: dict[str, Any]) -> None:
        """One JSON line `{"schema": 1, "line": …}` for programs, which says what it is; nothing for people."""
        if self.json:
            sys.stdout.write(json.dumps({"schema": 1, "line": line, **fields}, ensure_ascii=False) + "\n")
            sys.stdout.flush()

    def say(self, text: RenderableType = "") -> None:
        """A result for people; nothing for programs."""
        if not self.json:
            self.console.print(text, highlight=False)

    def tell(self, text: RenderableType = "") -> None:
        """What happens, for people: between the results, or on stderr while a program reads those."""
        self.stage.print(text, highlight=False)

    def note(self, text: str) -> None:
        """Progress, on stderr."""
        click.echo(text, err=True)

    @property
    def stage(self) -> Console:
        """Where `tell` goes."""
        return self.progress if self.json else self.console

    @cached_property
    def console(self) -> Console:
        """The terminal for results."""
        return _console(sys.stdout)

    @cached_property
    def progress(self) -> Console:
        """The terminal for progress."""
        return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    # Without markup: what people wrote, such as an incident's title, may hold brackets that mean nothing here.
    return Console(file=stream, width=None if stream.isatty() else _PIPED_WIDTH, markup=False)
