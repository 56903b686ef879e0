"""Reads the register: our own risks, one folder each below `controls/`, and a user's `risks/` folder. Data only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from prodsprints.kernel import documents
from prodsprints.kernel.validation import explain
from prodsprints.register.errors import RegisterError
from prodsprints.register.model import NEEDS, Category, Document, Risk
from prodsprints.register.register import Register

_OURS = Path(__file__).parent.parent / "controls"
_MOST_RISKS = 500

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
    for source in _sources(own):
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
    problems = list(_contradictions(risk, source))
    if problems:
        raise _refused(problems)
    return risk


def _sources(own: Path | None) -> Iterator[documents.Document]:
    yield from _folder(_OURS, "controls")
    if own is None:
        return
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
        needs = NEEDS[row.kind]
        if sorted(row.lacks) != sorted(needs):
            yield (
                f"{source.at(('mitigations', index, 'lacks'))}: `lacks` of {row.id} should be [{', '.join(needs)}]: "
                f"that is what kind `{row.kind}` needs, and nothing here names it."
            )


def _refused(problems: list[str]) -> RegisterError:
    return RegisterError("\n".join(problems), next_step="Correct the lines named; nothing was loaded.")


def _place_in_document(risk: Risk) -> tuple[int, str, int]:
    letters = risk.id.rstrip("0123456789")
    return list(Category).index(risk.category), letters, int(risk.id.removeprefix(letters))
