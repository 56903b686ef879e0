"""Fails where code in src/prodsprints opens a way out that no guard watches; run by `make check`.

What counts as a way out is in `unguarded.toml` beside this file, and so is each place that may have one, with the
reason. Accepted without being named there: `httpx.Client(transport=GuardedTransport(…))`, and
`guarded(session.create_client(…))`.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

RULES = Path(__file__).with_suffix(".toml")
SOURCE = Path(__file__).parent.parent / "src"

_GUARDS = ("prodsprints.guard.transports.httpx.", "prodsprints.guard.transports.botocore.guarded")
_IMPORTERS = {"importlib.import_module", "__import__", "importlib.__import__"}


@dataclass(frozen=True)
class Found:
    """A way out: the module and function it is in, its line, and what it is."""

    place: str
    line: int
    call: str


@dataclass(frozen=True)
class Allowed:
    """A place that may have one: patterns of `place` and `call`, and the reason."""

    place: str
    call: str
    why: str

    def covers(self, found: Found) -> bool:
        return fnmatchcase(found.place, self.place) and fnmatchcase(found.call, self.call)


@dataclass(frozen=True)
class Rules:
    """What is looked for, and where it may be."""

    modules: tuple[str, ...]
    names: tuple[str, ...]
    methods: tuple[str, ...]
    socket_methods: tuple[str, ...]
    programs: tuple[str, ...]
    git_verbs: tuple[str, ...]
    pip_verbs: tuple[str, ...]
    allowed: tuple[Allowed, ...] = ()

    @staticmethod
    def read(path: Path = RULES) -> Rules:
        """Raises SystemExit for a place without a reason."""
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
        allowed = tuple(Allowed(**one) for one in stated.pop("allowed"))
        for one in allowed:
            if len(one.why.split()) < 3:
                raise SystemExit(f"{path.name}: {one.place} has no reason.")
        return Rules(**{key: tuple(value) for key, value in stated["ways_out"].items()}, allowed=allowed)

    @property
    def hint(self) -> re.Pattern[str]:
        """Without any of these words a file has no way out, and need not be parsed."""
        roots = {name.partition(".")[0] for name in (*self.modules, *self.names)}
        words = roots | set(self.methods) | set(self.socket_methods) | set(self.programs) | {"git", "pip"}
        return re.compile(r"\b(?:" + "|".join(sorted(map(re.escape, words))) + r")\b")


def main() -> int:
    """Say what is unguarded, and which allowed places are gone."""
    rules = Rules.read()
    found = list(search(SOURCE, rules))
    failures = [
        f"{SOURCE.name}/{one.place.partition(':')[0].replace('.', '/')}.py:{one.line}: "
        f"{one.call} in {one.place} goes out without a guard."
        for one in found
        if not any(each.covers(one) for each in rules.allowed)
    ]
    stale = [each for each in rules.allowed if not any(each.covers(one) for one in found)]
    failures += [f"scripts/{RULES.name}: {each.call} in {each.place} is allowed, and not there." for each in stale]
    for failure in failures:
        print(failure)
    if failures:
        print(
            "Send it through a guard (prodsprints.guard.transports, or a guard around the function that calls out);\n"
            f"if it is guarded by whoever calls it, or stays on this machine, say so in scripts/{RULES.name}.\n"
            "Take out of that file what is not there any more."
        )
    return 1 if failures else 0


def search(source: Path, rules: Rules) -> Iterator[Found]:
    """Every way out in the Python files below `source`."""
    hint = rules.hint
    for file in sorted(source.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if hint.search(text):
            parts = file.relative_to(source).with_suffix("").parts
            yield from ways_out(text, ".".join(parts[:-1] if parts[-1] == "__init__" else parts), rules)


def ways_out(text: str, module: str, rules: Rules) -> Iterator[Found]:
    """Every way out in the text of one module."""
    looking = _Looking(module, rules)
    looking.visit(ast.parse(text))
    yield from looking.found()


class _Looking(ast.NodeVisitor):
    """Walks a module: what its names stand for, and where these lead."""

    def __init__(self, module: str, rules: Rules) -> None:
        self._module = module
        self._rules = rules
        self._names: dict[str, str] = {}
        self._within: list[str] = []
        self._found: list[Found] = []
        self._words: list[tuple[str, str, int]] = []  # words in calls and lists: where, what, line

    def found(self) -> Iterator[Found]:
        seen = dict.fromkeys(self._found)
        words = {word for _, word, _ in self._words}
        for place, word, line in self._words:
            if word in self._rules.programs:
                seen[Found(place, line, word)] = None
            for program, verbs in (("git", self._rules.git_verbs), ("pip", self._rules.pip_verbs)):
                if program in words and word in verbs:
                    seen[Found(place, line, f"{program} {word}")] = None
        return iter(seen)

    # what names stand for

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            self._names[alias.asname or whole] = whole
            self._of_module(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module:
            return
        self._of_module(node.module, node)
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            self._names[alias.asname or alias.name] = whole
            self._of_module(whole, node)
            if alias.name == "*":
                self._of_name(whole, node)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._learn(node.targets, node.value)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._learn([node.target], node.value)
        self.generic_visit(node)

    def _learn(self, targets: Sequence[ast.AST], value: ast.AST) -> None:
        known = self._dotted(value)
        for target in targets:
            if known is not None and isinstance(target, ast.Name):
                self._names[target.id] = known

    # where we are

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._scope(node, [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults), *node.body])

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - as ast calls them

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope(node, [*node.decorator_list, *node.bases, *(each.value for each in node.keywords), *node.body])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._learn([node.target], node.value)
            self.visit(node.value)

    def _scope(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, inside: Sequence[ast.AST]) -> None:
        self._within.append(node.name)
        for child in inside:
            self.visit(child)
        self._within.pop()

    # what leads out

    def visit_Call(self, node: ast.Call) -> None:
        called = self._dotted(node.func)
        if called is not None and called.startswith(_GUARDS):
            return  # what stands inside is what it guards
        if _has_guarded_transport(self, node):
            for child in (*node.args, *(each.value for each in node.keywords if each.arg != "transport")):
                self.visit(child)
            return
        if called in _IMPORTERS and node.args and isinstance(node.args[0], ast.Constant):
            self._of_module(str(node.args[0].value), node)
        if called == "getattr" and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            self._of_name(f"{self._dotted(node.args[0])}.{node.args[1].value}", node)
        if isinstance(node.func, ast.Attribute):
            method = node.func.attr
            if method in self._rules.methods or (method in self._rules.socket_methods and self._uses_sockets()):
                self._add(f".{method}()", node)
        self._collect(node.args)
        self.generic_visit(node)

    def visit_List(self, node: ast.List | ast.Tuple) -> None:
        self._collect(node.elts)
        self.generic_visit(node)

    visit_Tuple = visit_List  # noqa: N815 - as ast calls them

    def visit_Attribute(self, node: ast.Attribute) -> None:
        whole = self._dotted(node)
        if whole is not None:
            self._of_name(whole, node)
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in self._names:
            self._of_name(self._names[node.id], node)

    def _of_module(self, name: str, node: ast.AST) -> None:
        if any(name == each or name.startswith(f"{each}.") for each in self._rules.modules):
            self._add(name, node)

    def _of_name(self, name: str, node: ast.AST) -> None:
        star = name.endswith(".*")
        for each in self._rules.names:
            if fnmatchcase(name, each) or (star and each.startswith(name[:-1])):
                self._add(name, node)
                return

    def _add(self, call: str, node: ast.AST) -> None:
        self._found.append(Found(self._place(), getattr(node, "lineno", 0), call))

    def _collect(self, nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = node.value.split()
                command = len(words) > 1 and words[0] in {"git", "pip", *self._rules.programs}
                for word in words if command else (node.value,):
                    self._words.append((self._place(), word, node.lineno))

    def _place(self) -> str:
        return f"{self._module}:{'.'.join(self._within)}" if self._within else self._module

    def _uses_sockets(self) -> bool:
        return any(whole.partition(".")[0] in {"socket", "ssl"} for whole in self._names.values())

    def _dotted(self, node: ast.AST) -> str | None:
        """The whole name that `node` stands for, if it leads to an import (or is a builtin that imports)."""
        if isinstance(node, ast.Name):
            builtin = node.id if node.id in {"getattr", "__import__"} else None
            return self._names.get(node.id, builtin)
        if isinstance(node, ast.Attribute):
            base = self._dotted(node.value)
            return None if base is None else f"{base}.{node.attr}"
        return None


def _has_guarded_transport(looking: _Looking, node: ast.Call) -> bool:
    for each in node.keywords:
        if each.arg == "transport" and isinstance(each.value, ast.Call):
            made: Any = looking._dotted(each.value.func)
            return made is not None and made.startswith(_GUARDS)
    return False


if __name__ == "__main__":
    sys.exit(main())
