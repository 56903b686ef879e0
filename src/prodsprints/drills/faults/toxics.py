"""The faults as values: what a connection or an answer can suffer, with its bounds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from prodsprints.drills.errors import ExperimentError

LONGEST_TTL_SECONDS = 600.0
_MOST = 1e9


class Direction(StrEnum):
    """Which way the bytes go that a toxic touches."""

    TO_SUBJECT = "to-subject"
    TO_PEER = "to-peer"
    BOTH = "both"


@dataclass(frozen=True)
class Latency:
    """Every byte arrives later, by up to `jitter_seconds` more or less; the order stays."""

    seconds: float
    jitter_seconds: float = 0.0


@dataclass(frozen=True)
class Bandwidth:
    """No more than this gets through."""

    bytes_per_second: float


@dataclass(frozen=True)
class Reset:
    """The connection is reset (RST) once `after_bytes` went through under this toxic; with 0 at once, new ones too."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Blackhole:
    """Nothing gets through and nobody is told; what was sent arrives when the toxic ends, as after a network split."""


@dataclass(frozen=True)
class Corrupt:
    """One bit is flipped in this share of what arrives."""

    share: float = 1.0


@dataclass(frozen=True)
class Slice:
    """The stream arrives in small pieces, with a pause after each."""

    size_bytes: int
    delay_seconds: float = 0.0


@dataclass(frozen=True)
class SlowClose:
    """The end of a connection is told this much later."""

    seconds: float


@dataclass(frozen=True)
class Answer:
    """This share of requests is answered by the fault origin itself; the peer does not see them."""

    status: int
    share: float = 1.0
    retry_after_seconds: float | None = None
    body: str = ""
    content_type: str = "text/plain"


@dataclass(frozen=True)
class Hang:
    """This share of requests is answered `seconds` late, and only if the toxic has not ended by then."""

    seconds: float
    share: float = 1.0


@dataclass(frozen=True)
class Truncate:
    """Of this share of answers only the first part of the body arrives, then the connection ends."""

    kept: float = 0.5
    share: float = 1.0


Toxic = Latency | Bandwidth | Reset | Blackhole | Corrupt | Slice | SlowClose
HttpToxic = Answer | Hang | Truncate

_KINDS: dict[str, type[Toxic | HttpToxic]] = {
    kind.__name__: kind
    for kind in (Latency, Bandwidth, Reset, Blackhole, Corrupt, Slice, SlowClose, Answer, Hang, Truncate)
}


def document(toxic: Toxic | HttpToxic) -> dict[str, Any]:
    """`toxic` as the fault process reads it. Raises ExperimentError for a figure that cannot be meant."""
    figures = asdict(toxic)
    for name, value in figures.items():
        if isinstance(value, int | float) and not _sensible(name, value):
            raise ExperimentError(
                f"A {type(toxic).__name__} cannot have {name}={value}.", next_step="Correct the experiment."
            )
    return {"kind": type(toxic).__name__, **figures}


def parse(found: dict[str, Any]) -> Toxic | HttpToxic:
    """What `document` wrote."""
    return _KINDS[found["kind"]](**{name: value for name, value in found.items() if name != "kind"})


def checked_ttl(seconds: float) -> float:
    """`seconds`, if a fault may last that long: every one ends by itself."""
    if not 0 < seconds <= LONGEST_TTL_SECONDS:  # false for NaN too
        raise ExperimentError(
            f"A fault cannot last {seconds} s.", next_step=f"Give it a ttl of up to {LONGEST_TTL_SECONDS:g} s."
        )
    return seconds


def _sensible(name: str, value: float) -> bool:
    if not math.isfinite(value):
        return False
    if name in {"share", "kept"}:
        return 0 <= value <= 1
    if name in {"bytes_per_second", "size_bytes"}:
        return 1 <= value <= _MOST
    if name == "status":
        return 200 <= value <= 599
    return 0 <= value <= _MOST
