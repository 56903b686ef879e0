"""Small damages to a schema's SQL, one at a time, as `mutants` makes them to Python."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from prodsprints.drills.mutants import Mutant

_TOKEN = re.compile(
    r"""(?P<gap>\s+|--[^\n]*)|(?P<text>'(?:[^']|'')*')|(?P<quote>\$\w*\$)|(?P<number>\d+)|(?P<word>[A-Za-z_]\w*)"""
    r"""|(?P<sign><>|<=|>=|:=|=>|\|\||->>|->|::|.)""",
    re.DOTALL | re.VERBOSE,
)
_OPENS = frozenset({"begin", "then", "else", "loop"})
_NO_STATEMENT = frozenset({"if", "elsif", "else", "end", "for", "foreach", "while", "loop", "declare", "begin", "null"})
_REPLACED = {
    "and": "or", "or": "and", "=": "<>", "<>": "=", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "true": "false",
    "false": "true", "+": "-", "-": "+",
}  # fmt: skip
_OPERATORS = {"and": "boolean", "or": "boolean", "true": "constant", "false": "constant"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class _Edit:
    start: int
    end: int
    after: str
    operator: str


_END = _Token("sign", ";", 0)


def generate(module: str, source: str) -> list[Mutant]:
    """Every mutant of a file, in order: comparisons, boolean operators, conditions, numbers, negations, and statements.

    Within the body of a function a statement is left out as well. Not damaged are texts and comments. Whether
    PostgreSQL takes one is not known here.
    """
    tokens = [
        _Token(str(found.lastgroup), found.group(), found.start())
        for found in _TOKEN.finditer(source)
        if found.lastgroup != "gap"
    ]
    edits = {*_operators(tokens), *_statements(tokens)}
    in_order = sorted(edits, key=lambda edit: (edit.start, edit.operator, edit.after))
    begins = [token.start for token in _first_of_statements(tokens)]
    return [_applied(module, source, edit, begins) for edit in in_order]


def _operators(tokens: list[_Token]) -> Iterator[_Edit]:
    between = False
    for (before, token), behind in zip(pairwise([_END, *tokens]), [*tokens, _END][1:], strict=True):
        word = token.text.lower()
        between = between or word == "between"
        if word == "and" and between:
            between = False
        elif word == "or" and before.text.lower() == "create":
            continue
        elif word == "not":
            yield _Edit(token.start, token.end, "", "negation")
        elif word == "is" and behind.text.lower() != "not":
            yield _Edit(token.end, token.end, " not", "negation")
        elif token.kind == "number":
            number = int(token.text)
            yield _Edit(token.start, token.end, "1" if number == 0 else "0", "constant")
            if number:
                yield _Edit(token.start, token.end, str(number + 1), "number")
        elif word in _REPLACED:
            yield _Edit(token.start, token.end, _REPLACED[word], _OPERATORS.get(word, "comparison"))


def _statements(tokens: list[_Token]) -> Iterator[_Edit]:
    """Each from its first word to its semicolon, and the condition of each `if`, at any depth of quotes."""
    depth, quotes, opened, if_at = 0, 0, True, -1
    begun: list[tuple[int, _Token, bool]] = []  # the statements that are under way: how deep, where, within a body
    for token in tokens:
        word = token.text.lower()
        if token.kind == "quote":
            quotes = 1 - quotes
            opened = bool(quotes)
            if quotes:
                continue
        depth += {"(": 1, ")": -1}.get(word, 0)
        if opened and token.kind == "word":
            if word in {"if", "elsif"} and quotes:
                if_at = token.end
            elif word not in _NO_STATEMENT and not (quotes and word == "return"):
                begun.append((quotes, token, bool(quotes)))
            opened = word in _OPENS
        elif word == "then" and if_at >= 0:
            yield _Edit(if_at, token.start, f"CONDITION{if_at}", "condition")
            if_at, opened = -1, True
        elif word in _OPENS and quotes and depth == 0:
            opened = True
        elif word == ";":
            if begun and begun[-1][0] == quotes:
                _, first, inner = begun.pop()
                yield _Edit(first.start, token.start, "null" if inner else "", "statement")
            opened = True


def _first_of_statements(tokens: list[_Token]) -> Iterator[_Token]:
    """The first token of each statement that stands for itself."""
    first, quoted = True, False
    for token in tokens:
        if first:
            yield token
        quoted ^= token.kind == "quote"
        first = token.text == ";" and not quoted


def _applied(module: str, source: str, edit: _Edit, begins: list[int]) -> Mutant:
    before = source[edit.start : edit.end]
    after = f" not ({before.strip()}) " if edit.operator == "condition" else edit.after
    at = edit.start + (len(before) - len(before.lstrip()))
    line = source.count("\n", 0, at) + 1
    began = begins[bisect_right(begins, edit.start) - 1]
    return Mutant(
        module,
        line,
        edit.operator,
        (" ".join(before.split()) or "is")[:80],
        (after.strip() if before.strip() else "is not")[:80],
        source.splitlines()[line - 1].strip(),
        source[: edit.start] + after + source[edit.end :],
        frozenset(),
        " ".join(source[began : began + 200].split())[:80],
    )
