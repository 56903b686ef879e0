"""Poetry's own dependency notation as PEP 508 requirements, for repositories that still use its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from prodsprints.release.image.errors import DependencyError


def requirement(name: str, value: str | Mapping[str, Any] | Sequence[Any]) -> list[str]:
    """The requirements that one entry of `[tool.poetry.dependencies]` means; a path starts with `./`."""
    if isinstance(value, str):
        return [_checked(name, f"{name}{_specifier(name, value)}")]
    if isinstance(value, Mapping):
        return [] if value.get("optional") else [_from_table(name, value)]
    return [text for entry in value for text in requirement(name, entry)]


def _from_table(name: str, table: Mapping[str, Any]) -> str:
    if "path" in table:
        return f"./{str(table['path']).removeprefix('./')}"
    extras = f"[{','.join(map(str, table['extras']))}]" if table.get("extras") else ""
    if "git" in table:
        reference = next((f"@{table[key]}" for key in ("rev", "tag", "branch") if key in table), "")
        text = f"{name}{extras} @ git+{table['git']}{reference}"
    elif "url" in table:
        text = f"{name}{extras} @ {table['url']}"
    else:
        text = f"{name}{extras}{_specifier(name, str(table.get('version', '*')))}"
    markers = [f"({table['markers']})"] if table.get("markers") else []
    if table.get("python"):
        for part in _specifier("python", str(table["python"])).split(","):
            operator = part.rstrip("0123456789.*abcrdevpost+")
            markers.append(f"python_version {operator} '{part.removeprefix(operator)}'")
    return _checked(name, f"{text} ; {' and '.join(markers)}" if markers else text)


def _specifier(name: str, text: str) -> str:
    """`^1.2,!=1.3` and its like as a PEP 440 specifier; `*` and the empty text allow everything."""
    try:
        parts = [_part(part.strip()) for part in text.split(",")]
    except InvalidVersion:
        raise _unreadable(name, text) from None
    return ",".join(part for part in parts if part)


def _part(text: str) -> str:
    if text in {"", "*"}:
        return ""
    if text[0] in "^~" and not text.startswith("~="):
        low = Version(text[1:].strip())
        release = list(low.release)
        if text[0] == "~":
            kept = min(2, len(release))
        else:  # a caret allows what leaves the first non-zero part alone
            kept = next((index + 1 for index, number in enumerate(release) if number), len(release))
        high = [*release[: kept - 1], release[kept - 1] + 1]
        return f">={low},<{'.'.join(map(str, high))}"
    if text[0].isdigit():
        return f"=={text}"
    return text.replace(" ", "")


def _checked(name: str, text: str) -> str:
    try:
        return str(Requirement(text))
    except InvalidRequirement:
        raise _unreadable(name, text) from None


def _unreadable(name: str, text: str) -> DependencyError:
    return DependencyError(
        f"pyproject.toml: the version {text[:200]!r} of {name[:100]!r} is not understood.",
        next_step="State it as in [project.dependencies] (PEP 508), or in a requirements file.",
    )
