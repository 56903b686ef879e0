"""A drill as a value: what is broken, with what in front of it, and what must then still be seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from prodsprints.drills.errors import ExperimentError

if TYPE_CHECKING:
    from prodsprints.drills.stage import Stage

P = TypeVar("P")
S = TypeVar("S")

_ROW = re.compile(r"[A-Z]{1,8}[0-9]{1,5}\.[0-9]{1,3}")
_VARIANT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SOURCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[\w-]+\.\w+)?")
_LONGEST_SECONDS = 300.0


class Safety(StrEnum):
    """What a drill may do to the place it runs in, from nothing to damage that has to be repaired."""

    SAFE = "safe"
    OBSERVABLE = "observable"
    REVERSIBLE = "reversible"
    DESTRUCTIVE = "destructive"


class PeerClass(StrEnum):
    """What a drill runs against: the real thing, the real program run locally, or a double of ours."""

    SERVICE = "service"
    ENGINE = "engine"
    DOUBLE = "double"


@dataclass(frozen=True)
class Peer:
    """One program that the subject talks to during the drill."""

    name: str
    version: str
    peer_class: PeerClass


@dataclass(frozen=True)
class Observation:
    """What one look of a probe showed, in a sentence for people."""

    holds: bool
    words: str


def held(words: str) -> Observation:
    """What was promised was seen."""
    return Observation(True, words)


def broke(words: str) -> Observation:
    """What was promised was not seen."""
    return Observation(False, words)


@dataclass(frozen=True)
class Probe(Generic[P, S]):
    """One look at the peers and the subject.

    `look` catches the errors that the peer may answer with and says `broke` of them. Anything else it lets through
    means that the drill itself is broken, which is no verdict: a placebo that cannot be imported proves nothing.
    """

    name: str
    look: Callable[[Stage, P, S], Observation]


@dataclass(frozen=True)
class Experiment(Generic[P, S]):
    """One fault, and how the control and the bare peer stand it.

    `sources` are what the control is: dotted modules (a package stands for all of its modules), and files beside one,
    as `package:schema.sql`. `uses` is further code that only the treatment executes, such as error types: evidence is
    bound to it as well, but it is not what the row claims, so it is not damaged by mutation. `stand` starts the peers
    with the fault device in front of them; `treatment` builds the very object that the release's composition root
    wires, `placebo` the bare peer. `steady` must hold before `inject` begins the fault. Under the fault come `probes`,
    in order, then `seen`: that the peer really was hit. In the placebo arm the probe called `named` must break. `after`
    is looked at in the treatment arm once the fault is over. `limit_seconds` bounds one arm, from its `stand` on;
    `scale` states what was scaled down ("waits are 1/50 of production's").
    """

    row: str
    variant: str
    title: str
    safety: Safety
    fault: str
    sources: tuple[str, ...]
    peers: tuple[Peer, ...]
    stand: Callable[[Stage], AbstractContextManager[P]]
    treatment: Callable[[Stage, P], AbstractContextManager[S]]
    placebo: Callable[[Stage, P], AbstractContextManager[S]]
    steady: tuple[Probe[P, S], ...]
    inject: Callable[[Stage, P], AbstractContextManager[None]]
    seen: Probe[P, S]
    probes: tuple[Probe[P, S], ...]
    named: str
    after: tuple[Probe[P, S], ...] = ()
    limit_seconds: float = 20.0
    scale: str = ""
    uses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for wrong, what in (
            (not _ROW.fullmatch(self.row), f"the row {self.row!r} is no row's id, such as R001.1"),
            (not _VARIANT.fullmatch(self.variant), f"the variant {self.variant!r} is not like this-one"),
            (not (self.title and self.fault), "it has no title, or no words for its fault"),
            (not self.sources, "it names no sources: nothing would be bound to its evidence"),
            (not all(map(_SOURCE.fullmatch, self.bound)), "a source is neither package.module nor package:file.sql"),
            (not self.peers, "it names no peer"),
            (
                not self.steady,
                "it has no steady state, so that a broken system could not be told from a broken control",
            ),
            (self.named not in {probe.name for probe in self.probes}, f"no probe is named {self.named!r}"),
            (not 0 < self.limit_seconds <= _LONGEST_SECONDS, f"limit_seconds is not in 0…{_LONGEST_SECONDS:g}"),
            (len({probe.name for probe in self.looks}) < len(self.looks), "two of its probes have one name"),
        ):
            if wrong:
                raise ExperimentError(
                    f"The experiment {self.row} {self.variant} cannot be run: {what}.", next_step="Correct it there."
                )

    @property
    def bound(self) -> tuple[str, ...]:
        """All code that evidence is bound to, besides the experiment itself."""
        return (*self.sources, *self.uses)

    @property
    def looks(self) -> tuple[Probe[P, S], ...]:
        """Every probe of it."""
        return (*self.steady, *self.probes, self.seen, *self.after)
