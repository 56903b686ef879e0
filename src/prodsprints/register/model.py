"""What a risk and its mitigations are, as values: what `risk.yaml` says, and nothing that it does not say.

The annotations are the schema of that file: `register.load` has pydantic hold a document against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from prodsprints.register.rating import Level, Probability, Rating, rate


class Category(StrEnum):
    """Which part of the document a risk stands in; in the document's order."""

    TECHNICAL = "technical"
    SECURITY = "security"
    OPERATIONAL = "operational"
    BUSINESS = "business"


class Kind(StrEnum):
    """Who holds a mitigation: software (a control), a person who signs for it (an attestation), or both together."""

    CONTROL = "control"
    ATTESTATION = "attestation"
    BOTH = "both"


class Claim(StrEnum):
    """What the document says of a mitigation. It is a claim: only evidence could prove it."""

    IMPLEMENTED = "implemented"
    ONGOING = "ongoing"
    PLANNED = "planned"


class Part(StrEnum):
    """What a mitigation needs before anything about it can be proven."""

    CONTROL = "control"
    DRILL = "drill"
    ATTESTATION = "attestation"


class Cadence(StrEnum):
    """How often a risk is reviewed."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


NEEDS = {
    Kind.CONTROL: (Part.CONTROL, Part.DRILL),
    Kind.ATTESTATION: (Part.ATTESTATION,),
    Kind.BOTH: (Part.CONTROL, Part.DRILL, Part.ATTESTATION),
}


def _printable(text: str) -> str:
    # a title ends up in terminals and in SVG: no escape sequence, no tag-breaking control character gets that far
    if not all(line.isprintable() for line in text.splitlines()):
        raise ValueError("holds control characters; write plain text.")
    return text


def _whole_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("should be a whole number from 1 to 5.")
    return value


def _share(value: object) -> object:
    # not a bound of the type: NaN is neither above nor below any, and the sentence should say what is wanted
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError("should be a number above 0 and up to 1.")
    return value


Line = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\r\n]*$"), AfterValidator(_printable)]
Text = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_printable)]
RiskId = Annotated[str, Field(pattern=r"^[A-Z]{1,8}[0-9]{1,5}$", examples=["R001"])]
MitigationId = Annotated[str, Field(pattern=r"^[A-Z]{1,8}[0-9]{1,5}\.[0-9]{1,3}$", examples=["R001.1"])]
_IDENTIFIERS = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
DottedName = Annotated[
    str, Field(max_length=200, pattern=f"^{_IDENTIFIERS}:{_IDENTIFIERS}$", examples=["package.module:attribute"])
]
"""Where something is to be imported from: `package.module:attribute`."""
Share = Annotated[float, Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 1}), BeforeValidator(_share)]
Days = Annotated[int, Strict(), Field(ge=1, le=366)]

_AS_WRITTEN: dict[str, Any] = {"extra": "forbid", "str_strip_whitespace": True}


@dataclass(frozen=True)
class Mitigation:
    """One line of a risk's plan.

    `title` is what the document claims, in `words` of its own, and `text` what the control must do (or the person must
    sign); `peer` is what its drill talks to. `control` and `drills` say where these are imported from; evidence older
    than `max_age_days` is stale. `lacks` says which of the parts that its kind needs are not there yet.
    """

    __pydantic_config__: ClassVar = _AS_WRITTEN

    id: MitigationId
    title: Line
    kind: Kind
    claim: Claim
    text: Text
    owner: Line
    lacks: tuple[Part, ...]
    peer: Line | None = None
    words: Line | None = None
    control: DottedName | None = None
    drills: Annotated[tuple[DottedName, ...], Field(max_length=20)] = ()
    max_age_days: Days = 7

    @property
    def missing(self) -> tuple[Part, ...]:
        """What its kind needs and the row does not name. A person's signature stands in the ledger, never in a file."""
        return _missing(self.kind, self.control is not None, bool(self.drills))

    @property
    def missing_software(self) -> tuple[Part, ...]:
        """The control or the drill that it needs and does not name."""
        return _software(self.missing)


# Of few values each, and asked for every row at every start.
@cache
def _missing(kind: Kind, has_control: bool, has_drills: bool) -> tuple[Part, ...]:
    named = {Part.CONTROL: has_control, Part.DRILL: has_drills}
    return tuple(part for part in NEEDS[kind] if not named.get(part, False))


@cache
def _software(missing: tuple[Part, ...]) -> tuple[Part, ...]:
    return tuple(part for part in missing if part is not Part.ATTESTATION)


@dataclass(frozen=True)
class FailurePath:
    """One way in which a risk comes about: its share of the events, and the rows that stand in its way."""

    __pydantic_config__: ClassVar = _AS_WRITTEN

    name: Line
    share: Share
    held_by: tuple[MitigationId, ...] = ()


@dataclass(frozen=True)
class Risk:
    """What can go wrong, how bad and how likely the document says it is, and what is planned against it."""

    __pydantic_config__: ClassVar = _AS_WRITTEN

    id: RiskId
    title: Line
    category: Category
    level: Level
    probability: Annotated[Probability, BeforeValidator(_whole_number)]
    description: Text
    impact: Text
    owner: Line
    review: Cadence
    mitigations: tuple[Mitigation, ...]
    paths: Annotated[tuple[FailurePath, ...], Field(max_length=50)] = ()

    @property
    def rating(self) -> Rating:
        """The inherent rating: with no control credited."""
        return rate(self.level, self.probability)


@dataclass(frozen=True)
class Document:
    """The risk document as a whole: who answers for it, and when it was and will be reviewed."""

    __pydantic_config__: ClassVar = _AS_WRITTEN

    owner: Line
    executive_sponsor: Line
    last_updated: Annotated[date, Strict()]
    next_review: Annotated[date, Strict()]
