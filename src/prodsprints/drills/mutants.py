"""Small damages to Python source, one at a time, each of which a drill of that source ought to notice."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from prodsprints.drills.trace import function_lines

_COMPARED: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
_CALCULATED: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.BitXor: ("^", "|"),
    ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}  # fmt: skip
_NEGATED = ast.Eq | ast.NotEq | ast.Is | ast.IsNot | ast.In | ast.NotIn
# What these say is for people who look for an error; whether it is said is no part of what a control protects.
_SAYS = frozenset({"debug", "info", "warning", "error", "exception", "log"})


@dataclass(frozen=True)
class Mutant:
    """One change to one module: `before` stands at `line`, `after` in its place; `source` is the module with it.

    `in_functions` are the lines of the undamaged module that only a call executes; `statement` begins the statement of
    a schema that it is in.
    """

    module: str
    line: int
    operator: str
    before: str
    after: str
    text: str
    source: str
    in_functions: frozenset[int]
    statement: str = ""

    @property
    def change(self) -> str:
        """The change in a few words."""
        return f"{self.before} → {self.after}"

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.change}   in: {self.text}"


def generate(module: str, source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines; the same source gives the same ones.

    Damaged are comparisons, boolean and arithmetic operators, conditions, truth values, returned values, statements,
    which are left out, and numbers: each becomes 0, and each becomes another one, an integer its successor and a float
    ten times itself. Not damaged are texts, annotations, decorators, assertions, logging, what an
    error says, and what only a type checker reads.
    """
    text = source.encode()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    bodies = function_lines(source)
    edits = sorted(
        set(_Finder(text, starts).edits(ast.parse(source))), key=lambda edit: (edit.start, edit.operator, edit.after)
    )
    return [mutant for edit in edits if (mutant := _applied(module, text, edit, bodies)) is not None]


def sample(mutants: Iterable[Mutant], most: int, seed: int) -> list[Mutant]:
    """At most `most` of them, drawn by lots that depend on `seed` and on the damaged line alone; in their order."""
    every = list(mutants)

    def lot(mutant: Mutant) -> bytes:
        return hashlib.sha256(
            f"{seed} {mutant.module} {mutant.operator} {mutant.text} {mutant.change}".encode()
        ).digest()

    chosen = {id(mutant) for mutant in sorted(every, key=lot)[:most]}
    return [mutant for mutant in every if id(mutant) in chosen]


@dataclass(frozen=True)
class _Edit:
    """Put `after` in the place of the bytes from `start` to `end`."""

    start: int
    end: int
    after: str
    operator: str


def _applied(module: str, text: bytes, edit: _Edit, bodies: frozenset[int]) -> Mutant | None:
    changed = (text[: edit.start] + edit.after.encode() + text[edit.end :]).decode()
    try:
        ast.parse(changed)
    except SyntaxError:
        return None
    line = text.count(b"\n", 0, edit.start) + 1
    return Mutant(
        module,
        line,
        edit.operator,
        " ".join(text[edit.start : edit.end].decode().split())[:80],
        edit.after[:80],
        text.splitlines()[line - 1].decode().strip(),
        changed,
        bodies,
    )


class _Finder:
    """Walks a module's tree and finds the places to damage."""

    def __init__(self, text: bytes, starts: list[int]) -> None:
        self._text = text
        self._starts = starts

    def edits(self, node: ast.AST) -> Iterator[_Edit]:
        """All edits of `node` and below it."""
        if _is_untouched(node):
            return
        yield from self._at(node)
        for child in _children(node):
            yield from self.edits(child)

    def _at(self, node: ast.AST) -> Iterator[_Edit]:
        if isinstance(node, ast.stmt):
            yield from self._statement(node)
        elif isinstance(node, ast.Constant):
            yield from self._constant(node)
        elif isinstance(node, ast.expr):
            yield from self._operators(node)
        if isinstance(node, ast.If | ast.While | ast.IfExp) and not _is_negated_elsewhere(node.test):
            yield self._whole(node.test, f"not ({self._of(node.test)})", "condition")

    def _statement(self, node: ast.stmt) -> Iterator[_Edit]:
        if isinstance(node, ast.Return):
            if node.value is not None and not _is_none(node.value):
                yield self._whole(node.value, "None", "return")
        elif _can_be_left_out(node):
            yield self._whole(node, "pass", "statement")

    def _constant(self, node: ast.Constant) -> Iterator[_Edit]:
        match node.value:
            case bool(value):
                yield self._whole(node, str(not value), "constant")
            case int(value) | float(value):
                yield self._whole(node, "1" if value == 0 else "0", "constant")
                if value != 0:
                    yield self._whole(node, str(value + 1 if isinstance(value, int) else value * 10), "number")

    def _operators(self, node: ast.expr) -> Iterator[_Edit]:
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others):
                for op, before, after in zip(ops, [left, *others], others, strict=False):
                    yield from self._between(before, after, *_COMPARED[type(op)], "comparison")
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _CALCULATED and not _is_text(node):
                yield from self._between(left, right, *_CALCULATED[type(op)], "arithmetic")
            case ast.BoolOp(op=op, values=values):
                old, new = ("and", "or") if isinstance(op, ast.And) else ("or", "and")
                for before, after in pairwise(values):
                    yield from self._between(before, after, old, new, "boolean")
            case ast.UnaryOp(op=ast.Not()):
                start = self._start(node)
                yield _Edit(start, start + len("not"), "", "negation")

    def _between(self, one: ast.expr, other: ast.expr, old: str, new: str, operator: str) -> Iterator[_Edit]:
        """Replace the operator between two operands; parentheses may stand there as well."""
        start, end = self._end(one), self._start(other)
        at = self._text.find(old.encode(), start, end)
        if at >= 0:
            yield _Edit(at, at + len(old), new, operator)

    def _whole(self, node: ast.expr | ast.stmt, after: str, operator: str) -> _Edit:
        return _Edit(self._start(node), self._end(node), after, operator)

    def _of(self, node: ast.expr) -> str:
        return self._text[self._start(node) : self._end(node)].decode()

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        return self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list"}:
            continue
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, ast.AST):
                yield child


def _is_untouched(node: ast.AST) -> bool:
    match node:
        case (
            ast.JoinedStr()
            | ast.Assert()
            | ast.Import()
            | ast.ImportFrom()
            | ast.Expr(value=ast.Constant())  # a docstring
            | ast.If(test=ast.Name(id="TYPE_CHECKING"))
        ):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=said)):
            return said in _SAYS and "log" in name
        case ast.Call(func=ast.Name(id=name)):
            return name.endswith(("Error", "Exception"))
    return False


def _can_be_left_out(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Await(value=ast.Call() as call)) | ast.Expr(value=ast.Call() as call):
            return not _is_untouched(call)
        case ast.Assign(targets=targets):
            return all(isinstance(target, ast.Attribute | ast.Subscript) for target in targets)
    return isinstance(node, ast.AugAssign | ast.Raise | ast.Delete | ast.Continue)


def _is_negated_elsewhere(test: ast.expr) -> bool:
    """A damaged operator or a lost `not` is the same as the negated condition, and a constant one never ends."""
    if isinstance(test, ast.Compare):
        return len(test.ops) == 1 and isinstance(test.ops[0], _NEGATED)
    return isinstance(test, ast.Constant) or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str | bytes))
        for part in (node.left, node.right)
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
