"""Writes docs/reference/api.md from the OpenAPI document, so that it says what the API does; run by `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prodsprints.web.app import openapi

TARGET = Path(__file__).parent.parent / "docs" / "reference" / "api.md"

_PREAMBLE = """# API

*Made by `scripts/api_reference.py` from the OpenAPI 3.1 document, which every server gives at `/v1/openapi.json`.*

{description}

- **Errors** are RFC 9457 problems (`application/problem+json`): `type`, `title`, `status`, `detail`, `code`,
  `next_step` and `exit_code`; a request that is not valid also lists its `errors` by JSON pointer.
- **Repeating a POST** with the same `Idempotency-Key` acts once and is answered the same, with
  `Idempotency-Replayed: true`; 409 while the first is still being answered, 422 when the key was used for another one.
- **Listings** give `items` and `next`; pass `next` as `cursor` for the page after it.
- **Streams** are server-sent events; each carries an `id`, and `Last-Event-ID` (or `after`) resumes behind it.
- **Tokens** go as `Authorization: Bearer …`; `prodsprints up` writes one to `<home>/secrets/api-token`.
"""


def main() -> int:
    """Write the file or, with `--check`, say whether it is what would be written."""
    wanted = render(openapi())
    if "--check" in sys.argv[1:]:
        if TARGET.is_file() and TARGET.read_text() == wanted:
            return 0
        print(f"{TARGET} is not what the API is. Run: python scripts/api_reference.py", file=sys.stderr)
        return 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(wanted)
    return 0


def render(document: Mapping[str, Any]) -> str:
    """The reference as Markdown."""
    parts = [_PREAMBLE.format(description=document["info"]["description"])]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append("\n".join(_operation(method.upper(), path, operation)))
    parts.append("## Values")
    for name, schema in sorted(document["components"]["schemas"].items()):
        if not name.startswith(("Page_", "HTTPValidationError", "ValidationError")):
            parts.append("\n".join(_value(name, schema)))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {method} {path}"
    yield ""
    yield str(operation.get("description") or operation["summary"])
    parameters = operation.get("parameters", [])
    if parameters or "requestBody" in operation:
        yield ""
        yield "| | in | type | |"
        yield "| --- | --- | --- | --- |"
    for parameter in parameters:
        needed = "" if parameter.get("required") else "optional"
        about = " ".join(part for part in (needed, parameter.get("description", "")) if part)
        yield f"| `{parameter['name']}` | {parameter['in']} | {_type(parameter['schema'])} | {about} |"
    if "requestBody" in operation:
        (content,) = operation["requestBody"]["content"].values()
        yield f"| body | JSON | {_type(content['schema'])} | |"
    yield ""
    for status, response in operation["responses"].items():
        if int(status) < 400:
            content = response.get("content", {})
            shapes = [_type(shown["schema"]) if kind == "application/json" else kind for kind, shown in content.items()]
            yield f"Answers {status}: {' or '.join(shapes) or 'nothing'}."


def _value(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield str(schema.get("description", ""))
    yield ""
    yield "| member | type | |"
    yield "| --- | --- | --- |"
    for member, shape in schema.get("properties", {}).items():
        yield f"| `{member}` | {_type(shape)} | {shape.get('description', '')} |"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"page of {_link(name[5:].rstrip('_'))}" if name.startswith("Page_") else _link(name)
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return str(schema.get("format") or schema.get("type") or "")


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


if __name__ == "__main__":
    sys.exit(main())
