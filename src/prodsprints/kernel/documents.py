"""Untrusted YAML, read safely: bounded, no aliases, no doubled keys, and every value knows its line."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from prodsprints.kernel.errors import UsageError

_MAX_BYTES = 1_048_576
_MAX_DEPTH = 32

Keys = tuple[str | int, ...]
"""The way to one entry of a document: `("rollout", "steps", 2)`."""


@dataclass(frozen=True)
class Document:
    """A parsed document: its plain value (dicts, lists, scalars) and the 1-based line of each path in it."""

    name: str
    value: Any
    lines: dict[Keys, int]

    def line(self, path: Keys) -> int:
        """The line of `path`, or of the nearest enclosing entry that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def at(self, path: Keys) -> str:
        """`name:line` of `path`, as editors and terminals understand it."""
        return f"{self.name}:{self.line(path)}"


def read(path: Path, *, name: str) -> Document:
    """Parse the file at `path`, called `name` in messages.

    Raises FileNotFoundError when there is no such file, else UsageError as `parse` does.
    """
    try:
        # O_NONBLOCK: a named pipe in a stranger's repository must not make us wait for its writer
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise UsageError(f"{name} is not a regular file.", next_step="Put a YAML file in its place.")
            text = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(
            f"{name} cannot be read: {error.strerror}.", next_step="Make it a file that you may read."
        ) from None
    return parse(text, name=name)


def parse(text: str | bytes, *, name: str) -> Document:
    """Parse one YAML document. Raises UsageError, with `name:line`, for anything that is not plain, bounded YAML."""
    if len(text) > _MAX_BYTES:
        raise UsageError(
            f"{name} is larger than {_MAX_BYTES} bytes.", next_step="Shorten it; no configuration needs that much."
        )
    try:
        _refuse_depth_and_aliases(text, name)
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            lines: dict[Keys, int] = {}
            value = None if node is None else _build(loader, node, (), lines, name)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise UsageError(
            f"{where}: {error.problem or error.context}.", next_step="Correct the YAML at that line."
        ) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise UsageError(f"{name} is not readable as YAML: {error}.", next_step="Save it as UTF-8 YAML.") from None
    return Document(name, value, lines)


def _refuse_depth_and_aliases(text: str | bytes, name: str) -> None:
    # Before anything is composed: libyaml composes by recursion (deep nesting overflows the C stack, which ends the
    # process), and an alias expands, ten lines to gigabytes. Its events come one by one.
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise UsageError(
                f"{name}: anchors and aliases (line {line}) are not accepted.", next_step="Write the entries out."
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise UsageError(f"{name}:{line}: nested more than {_MAX_DEPTH} levels deep.", next_step="Flatten it.")


def _build(loader: Any, node: yaml.Node, path: Keys, lines: dict[Keys, int], name: str) -> Any:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        lines[path] = line
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key == "<<":
                raise UsageError(f"{name}:{key_line}: a key must be plain text.", next_step="Write the entries out.")
            if key in result:
                raise UsageError(f"{name}:{key_line}: the key {key!r} stands twice.", next_step="Keep one of them.")
            lines[(*path, key)] = key_line
            result[key] = _build(loader, value_node, (*path, key), lines, name)
            lines[(*path, key)] = key_line
        return result
    if isinstance(node, yaml.SequenceNode):
        lines[path] = line
        return [_build(loader, entry, (*path, index), lines, name) for index, entry in enumerate(node.value)]
    lines[path] = line
    try:
        return loader.construct_object(node)
    except (ValueError, LookupError, AttributeError):  # PyYAML lets these through, for `2024-99-99` or `!!bool maybe`
        raise UsageError(
            f"{name}:{line}: {str(node.value)[:40]!r} is not the kind of value it looks like.",
            next_step="Put it in quotes if it is meant as text.",
        ) from None
