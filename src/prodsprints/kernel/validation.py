"""What is wrong with a document, in words: each problem with its line, and the spelling that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from prodsprints.kernel.documents import Keys

_LONGEST_SHOWN = 60

_WISHES = {  # where pydantic speaks of types, and a person wrote YAML
    "string_type": "be text: put it in quotes",
    "bool_type": "be true or false",
    "int_type": "be a whole number",
    "int_parsing_size": "be much smaller",
    "float_type": "be a number",
    "tuple_type": "be a list",
    "dict_type": "be keys with values",
    "model_type": "be keys with values",
    "dataclass_type": "be keys with values",
}


class Places(Protocol):
    """What knows where a path of a value was written: a `kernel.documents.Document`, or a merge of several."""

    def at(self, path: Keys) -> str: ...

    def line(self, path: Keys) -> int: ...


def explain(error: ValidationError, adapter: TypeAdapter[Any], places: Places) -> list[str]:
    """One sentence for each problem that pydantic found, such as `prodsprints.yaml:3: unknown key …`, by line.

    `adapter` is what the value was validated with: its JSON Schema knows which keys were possible.
    """
    schema = adapter.json_schema()
    problems = []
    for details in error.errors(include_url=False):
        path = tuple(part for part in details["loc"] if part != "[key]")
        sentence = f"{places.at(path)}: {_sentence(details, path, schema)}"
        problems.append((places.line(path), sentence))
    return [sentence for _, sentence in sorted(problems, key=lambda problem: problem[0])]


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` if one of `known` looks like `word`, else nothing."""
    spellings = {entry.lower(): entry for entry in known}
    close = difflib.get_close_matches(word.lower(), spellings, n=1, cutoff=0.6)
    return f"; did you mean `{spellings[close[0]]}`?" if close else ""


def _sentence(details: ErrorDetails, path: Keys, schema: Mapping[str, Any]) -> str:
    kind, name, value = details["type"], _dotted(path), details["input"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _keys_at(schema, path[:-1])
        hint = nearest(str(path[-1]), known) or f"; the keys here are {', '.join(known)}."
        return f"unknown key `{name}`{hint}"
    if kind in ("missing", "missing_argument"):
        return f"`{name}` is missing."
    if kind in ("literal_error", "enum"):
        expected = str(details["ctx"]["expected"])
        words = expected.replace("'", "").replace(" or ", ", ").split(", ")
        shown = repr(value)[:_LONGEST_SHOWN]
        return f"`{name}` is {shown}; it should be {expected}{nearest(str(value), words) or '.'}"
    if kind == "value_error":
        return f"`{name}` {details['ctx']['error']}"
    wish = details["msg"].partition(" should ")[2] or details["msg"]
    if "[key]" in details["loc"]:
        return f"the key `{name}` should {wish}."
    return f"`{name}` is {_kind(value) if kind in _WISHES else _shown(value)}; it should {_WISHES.get(kind, wish)}."


def _dotted(path: Keys) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the document"


def _shown(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value)[:_LONGEST_SHOWN] if is_number else _kind(value)


def _kind(value: Any) -> str:
    # never what a text or a number of the wrong type says: it may be a secret in the wrong place
    kinds = {bool: str(value).lower(), str: "a text", int: "a number", float: "a number", date: "a date"}
    kinds |= {dict: "keys with values", list: "a list", type(None): "empty"}
    return kinds.get(type(value), "something else")


def _keys_at(schema: Mapping[str, Any], path: Keys) -> list[str]:
    definitions = schema.get("$defs", {})
    node = _resolved(schema, definitions)
    for part in path:
        below = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part)
        node = _resolved(below or node.get("additionalProperties") or {}, definitions)
    return sorted(node.get("properties", {}))


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    for choice in node.get("anyOf", ()):  # an optional block is "the block, or null"
        if choice.get("type") != "null":
            node = choice
    return definitions[node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node
