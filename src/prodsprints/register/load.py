"""Reads the register: our own risks, one folder each below `controls/`, and a user's `risks/` folder. Data only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from prodsprints.kernel import documents
from prodsprints.kernel.validation import explain, nearest
from prodsprints.register.errors import RegisterError
from prodsprints.register.model import Category, Document, Kind, Risk
from prodsprints.register.register import Register

_OURS = Path(__file__).parent.parent / "controls"
_MOST_RISKS = 10_000
_SHARES_MAY_MISS = 1e-9
_CODE = "prodsprints.controls"
"""The entry point by which an installed package allows risks to name its code."""

_RISK = TypeAdapter(Risk)
_DOCUMENT = TypeAdapter(Document)

T = TypeVar("T")


def load(own: Path | None = None) -> Register:
    """The register: our risks, and those of `own`, a user's folder of `<name>/risk.yaml` files.

    Raises RegisterError (UsageError for what is not even YAML), with `file:line`, for anything it does not understand.
    """
    document = _validated(_DOCUMENT, documents.read(_OURS / "document.yaml", name="controls/document.yaml"))
    risks: dict[str, Risk] = {}
    places: dict[str, str] = {}
    for source in sources(own):
        risk = parse(source)
        place = source.at(("id",))
        if risk.id in risks:
            raise RegisterError(
                f"{place}: {risk.id} is already the id of the risk at {places[risk.id]}.",
                next_step="Give one of the two risks another id.",
            )
        risks[risk.id] = risk
        places[risk.id] = place
    return Register(document, tuple(sorted(risks.values(), key=_place_in_document)))


def parse(source: documents.Document) -> Risk:
    """The risk that a parsed `risk.yaml` describes. Raises RegisterError with every problem and its line."""
    risk = _validated(_RISK, documents.Document(source.name, _with_owners(source.value), source.lines))
    problems = [*_contradictions(risk, source), *_strangers_code(risk, source)]
    if problems:
        raise _refused(problems)
    return risk


def sources(own: Path | None = None) -> Iterator[documents.Document]:
    """Every `risk.yaml` that `load` reads, parsed as YAML and no further."""
    yield from _folder(_OURS, "controls")
    if own is not None:
        yield from sources_in(own)


def sources_in(own: Path) -> Iterator[documents.Document]:
    """Every `risk.yaml` of a user's folder."""
    count = 0
    for source in _folder(own, own.name):
        count += 1
        if count > _MOST_RISKS:
            raise RegisterError(
                f"{own} holds more than {_MOST_RISKS} risks.", next_step="Keep a risk document that people can read."
            )
        yield source
    if count == 0:
        raise RegisterError(
            f"{own} holds no risk.", next_step=f"Write one: {own.name}/<a name of yours>/risk.yaml, or leave it out."
        )


def _folder(root: Path, name: str) -> Iterator[documents.Document]:
    inside = root.resolve()
    for path in sorted(root.glob("*/risk.yaml")):
        called = f"{name}/{path.parent.name}/risk.yaml"
        if not path.resolve().is_relative_to(inside):
            raise RegisterError(
                f"{called} is a link to a place outside {name}/.", next_step="Put the file itself there."
            )
        yield documents.read(path, name=called)


def _validated(adapter: TypeAdapter[T], source: documents.Document) -> T:
    try:
        return adapter.validate_python(source.value)
    except ValidationError as error:
        raise _refused(explain(error, adapter, source)) from None


def _with_owners(value: Any) -> Any:
    # a mitigation belongs to the owner of its risk unless it names another
    match value:
        case {"mitigations": [*rows], **rest}:
            owner = rest.get("owner")
            inherited = owner if isinstance(owner, str) else "nobody"  # what is wrong with it is said once, of the risk
            return {**rest, "mitigations": [{"owner": inherited, **r} if isinstance(r, dict) else r for r in rows]}
    return value


def _contradictions(risk: Risk, source: documents.Document) -> Iterator[str]:
    for index, row in enumerate(risk.mitigations):
        number = f"{risk.id}.{index + 1}"
        if row.id != number:
            yield f"{source.at(('mitigations', index, 'id'))}: row {index + 1} of {risk.id} is {number}, not {row.id}."
        if sorted(row.lacks) != sorted(row.missing):
            yield (
                f"{source.at(('mitigations', index, 'lacks'))}: `lacks` of {row.id} should be "
                f"[{', '.join(row.missing)}]: that is what kind `{row.kind}` needs and the row does not name."
            )
        if row.kind is Kind.ATTESTATION and (row.control or row.drills):
            key = "control" if row.control else "drills"
            yield (
                f"{source.at(('mitigations', index, key))}: {row.id} is an attestation: a person holds it, "
                f"so it has no `{key}`."
            )
    yield from _path_problems(risk, source)


def _path_problems(risk: Risk, source: documents.Document) -> Iterator[str]:
    if not risk.paths:
        return
    total = math.fsum(path.share for path in risk.paths)
    if abs(total - 1) > _SHARES_MAY_MISS:
        yield f"{source.at(('paths',))}: the shares of {risk.id}'s paths sum to {total:.10g}; they should sum to 1."
    rows = {row.id for row in risk.mitigations}
    names: set[str] = set()
    for index, path in enumerate(risk.paths):
        if path.name in names:
            yield f"{source.at(('paths', index, 'name'))}: {risk.id} has two paths called {path.name!r}."
        names.add(path.name)
        for place, holder in enumerate(path.held_by):
            at = source.at(("paths", index, "held_by", place))
            if holder not in rows:
                yield f"{at}: {holder} is no row of {risk.id}{nearest(holder, rows) or '.'}"
            elif holder in path.held_by[:place]:
                yield f"{at}: {holder} stands twice in `held_by`."


def _strangers_code(risk: Risk, source: documents.Document) -> Iterator[str]:
    # a risk is data, and naming code has it imported: only packages that were installed to that end may be named
    for index, row in enumerate(risk.mitigations):
        named: list[tuple[documents.Keys, str]] = [(("control",), row.control)] if row.control else []
        named += [(("drills", place), name) for place, name in enumerate(row.drills)]
        for keys, name in named:
            package = name.partition(":")[0].partition(".")[0]
            if package not in _packages_with_controls():
                yield (
                    f"{source.at(('mitigations', index, *keys))}: {name} is code of {package!r}, which no installed "
                    f"package offers as `{_CODE}`."
                )


@cache
def _packages_with_controls() -> frozenset[str]:
    offered = (point.value.partition(":")[0].partition(".")[0] for point in entry_points(group=_CODE))
    return frozenset({"prodsprints", *offered})


def _refused(problems: list[str]) -> RegisterError:
    return RegisterError("\n".join(problems), next_step="Correct the lines named; nothing was loaded.")


def _place_in_document(risk: Risk) -> tuple[int, str, int]:
    letters = risk.id.rstrip("0123456789")
    return list(Category).index(risk.category), letters, int(risk.id.removeprefix(letters))
