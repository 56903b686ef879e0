"""Writes docs/reference/risk.yaml.md from the JSON Schema of that file, so that it says what the loader takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prodsprints.register.schema import schema

TARGET = Path(__file__).parent.parent / "docs" / "reference" / "risk.yaml.md"

_PREAMBLE = """# `risk.yaml`

*Made by `scripts/risk_yaml_reference.py` from the JSON Schema of the file.*

One file is one risk, in a folder of its own, such as `risks/flood/risk.yaml`; `prodsprints register --risks risks`
reads them beside ours. Whatever is wrong is refused with its line, all of it at once. Beyond the tables below:

- Rows are numbered from 1 without gaps, and no two risks have one id.
- `lacks` lists what the kind of a row needs (a control and a drill, an attestation, or all three) and the row does not
  name. A signature never stands in a file, so `attestation` stays there.
- The shares of a risk's paths sum to 1. A risk without paths has one that nothing holds, so that its residual rating
  is its inherent one, whatever is proven.
- Rows whose `control` lies in one module hold a path once, by the best of them: they fail together when it does.
- `control` and `drills` may name code of `prodsprints`, and of installed packages that offer the entry point
  `prodsprints.controls`. A file names code; it never brings any."""

_SECTIONS = (("A risk", None), ("A mitigation", "Mitigation"), ("A failure path", "FailurePath"))
_LISTS = {"Mitigation": "mitigations", "FailurePath": "failure paths"}
_WORDS = {"string": "text", "integer": "a whole number", "number": "a number"}
_BOUNDS = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "up to"), ("maxLength", "of up to"))


def main() -> int:
    """Write the file or, with `--check`, say whether it is what would be written."""
    wanted = render(schema())
    if "--check" in sys.argv[1:]:
        if TARGET.is_file() and TARGET.read_text() == wanted:
            return 0
        print(f"{TARGET} is not what the schema is. Run: python scripts/risk_yaml_reference.py", file=sys.stderr)
        return 1
    TARGET.write_text(wanted)
    return 0


def render(document: Mapping[str, Any]) -> str:
    """The reference as Markdown."""
    parts = [_PREAMBLE]
    for title, name in _SECTIONS:
        part = document["$defs"][name] if name else document
        parts += ["## " + title, part["description"], "\n".join(_table(part, document["$defs"]))]
    return "\n\n".join(parts) + "\n"


def _table(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | value | when left out |"
    yield "| --- | --- | --- |"
    for name, value in part["properties"].items():
        default = value.get("default")
        if name in part["required"]:
            missing = "refused"
        elif "default" not in value:
            missing = "that of its risk"
        else:
            missing = "none" if default in (None, []) else f"`{default}`"
        yield f"| `{name}` | {_kind(value, definitions)} | {missing} |"


def _kind(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in value:
        return _kind(definitions[value["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in value:
        return _kind(next(choice for choice in value["anyOf"] if choice.get("type") != "null"), definitions)
    if "enum" in value:
        return ", ".join(f"`{word}`" for word in value["enum"])
    if value["type"] == "array":
        inner = value["items"]
        return f"a list of {_LISTS.get(inner.get('$ref', '').rsplit('/', 1)[-1]) or _kind(inner, definitions)}"
    if "examples" in value:
        return f"text like `{value['examples'][0]}`"
    bounds = [f"{word} {value[key]}" for key, word in _BOUNDS if key in value]
    return " ".join([_WORDS[value["type"]], *bounds]) + (" characters" if "maxLength" in value else "")


if __name__ == "__main__":
    raise SystemExit(main())
