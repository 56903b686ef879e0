"""Python modules as the audit sees them: imports, top-level statements, call names and literals, by syntax alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from prodsprints.release.audit.files import Files

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One parsed file. `imports` maps each imported local name to the dotted thing that it stands for."""

    file: str
    tree: ast.Module

    @cached_property
    def imports(self) -> dict[str, str]:
        package = self.file.removesuffix(".py").split("/")[:-1]
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    first = name.name.partition(".")[0]
                    found[name.asname or first] = name.name if name.asname else first
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = package[: len(package) - node.level + 1]
                    base = ".".join([*above, base] if base else above)
                for name in node.names:
                    found[name.asname or name.name] = f"{base}.{name.name}" if base else name.name
        return found

    @cached_property
    def statements(self) -> tuple[ast.stmt, ...]:
        """What runs on import: the top level and its `if`, `try` and `with` blocks, but not the `__main__` block."""
        return tuple(_statements(self.tree.body))

    @cached_property
    def assignments(self) -> tuple[tuple[str, ast.expr, int], ...]:
        """The (name, value, line) of each assignment at the top level."""
        found = []
        for node in self.statements:
            if isinstance(node, ast.Assign):
                found += [(t.id, node.value, node.lineno) for t in node.targets if isinstance(t, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                found.append((node.target.id, node.value, node.lineno))
        return tuple(found)

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        return tuple(node for node in self.statements if isinstance(node, Function))

    @cached_property
    def calls(self) -> tuple[ast.Call, ...]:
        return tuple(node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    @cached_property
    def strings(self) -> tuple[tuple[str, int], ...]:
        """Every string literal with its line."""
        return tuple(
            (node.value, node.lineno)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )

    def dotted(self, node: ast.expr) -> str:
        """What an expression such as `fastapi.FastAPI` names, through the imports; empty for anything else."""
        name = spelled(node)
        first, dot, rest = name.partition(".")
        return self.imports.get(first, first) + dot + rest if name else ""


class Modules:
    """All of the application's own modules that parse."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._by_name: dict[str, Module] = {}
        for name in files.python:
            tree = files.module(name)
            if tree is not None:
                self._by_name[name] = Module(name, tree)
        self._by_stem: dict[str, list[Module]] = {}
        for module in self:
            self._by_stem.setdefault(_parts(module.file)[-1], []).append(module)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._by_name.values())

    def get(self, file: str) -> Module | None:
        return self._by_name.get(file)

    def imported(self, dotted: str) -> Module | None:
        """The module of ours that a dotted name leads to, wherever its import root is."""
        wanted = dotted.split(".")
        for module in self._by_stem.get(wanted[-1], []):
            if _parts(module.file)[-len(wanted) :] == wanted:
                return module
        return None


def spelled(node: ast.expr) -> str:
    """`a.b.c` as it stands in the source; empty for anything that is not a plain dotted name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def text_of(node: ast.expr | None) -> str | None:
    """The value of a string literal."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a call's keyword argument."""
    return next((entry.value for entry in call.keywords if entry.arg == name), None)


def _parts(file: str) -> list[str]:
    parts = file.removesuffix(".py").split("/")
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    todo = list(reversed(body))
    while todo:
        node = todo.pop()
        yield node
        inner: list[ast.stmt] = []
        if isinstance(node, ast.If) and "__name__" not in {
            n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)
        }:
            inner = [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            inner = [*node.body, *(s for handler in node.handlers for s in handler.body), *node.orelse]
        elif isinstance(node, ast.With):
            inner = node.body
        todo.extend(reversed(inner))
