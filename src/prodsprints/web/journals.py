"""A drill's journal for people: Chaos Toolkit's parts of it in their order, each activity with what it showed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prodsprints.drills.journal import Journal
from prodsprints.web import words


@dataclass(frozen=True)
class Activity:
    """One probe or action, and what it showed."""

    name: str
    kind: str
    said: str
    word: str
    tone: str
    took: str


@dataclass(frozen=True)
class Part:
    """One part of the journal."""

    id: str
    title: str
    activities: tuple[Activity, ...]
    nothing: str


@dataclass(frozen=True)
class Readable:
    """A journal as its page shows it."""

    title: str
    description: str
    word: str
    tone: str
    facts: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]


def readable(journal: Journal) -> Readable:
    """`journal`, part by part. Ours always has all of them; only what was reached is in them."""
    document = journal.document()
    experiment, more = document["experiment"], document["x-prodsprints"]
    word, tone = _standing(document)
    before, after = document["steady_states"]["before"], document["steady_states"]["after"]
    return Readable(
        title=experiment["title"],
        description=words.sentence(experiment["description"]),
        word=word,
        tone=tone,
        facts=tuple(_facts(document, more)),
        parts=(
            _part("before", "Steady state before", before["probes"], "It came to no probe."),
            _part("method", "Method: the fault, and what was seen under it", document["run"], "It came to no fault."),
            _part("rollbacks", "Rollbacks", document["rollbacks"], "There was nothing to put back."),
            _part("after", "Steady state after", after["probes"], "Nothing was looked at afterwards."),
        ),
    )


def _part(id: str, title: str, activities: Iterable[Mapping[str, Any]], nothing: str) -> Part:
    return Part(id, title, tuple(_activities(activities)), nothing)


def _standing(document: Mapping[str, Any]) -> tuple[str, str]:
    if document["status"] == "aborted":
        return "Broken off", "warn"
    if document["status"] == "failed":
        return "Broken before the fault", "bad"
    if document["x-prodsprints"]["arm"] == "placebo":
        return ("Broke, as it must", "good") if document["deviated"] else ("Held, which proves nothing", "bad")
    return ("Broke", "bad") if document["deviated"] else ("Held", "good")


def _facts(document: Mapping[str, Any], more: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Arm", "with the control" if more["arm"] == "treatment" else "placebo: the bare peer"
    yield "Began", document["start"]
    yield "Took", words.duration(document["duration"])
    yield "Calls", f"{more['samples_in_all']:,}"
    for name, value in more["measured"].items():
        yield name.replace("_", " ").capitalize(), f"{value:g}"
    if more["broken"]:
        yield "No verdict", words.sentence(more["broken"])
    yield "On", document["platform"]


def _activities(found: Iterable[Mapping[str, Any]]) -> Iterator[Activity]:
    for one in found:
        activity = one["activity"]
        is_probe = activity["type"] == "probe"
        held = one["status"] == "succeeded"
        yield Activity(
            name=activity["name"],
            kind=activity["type"],
            said=str(one["output"] or "") if is_probe else "",
            word=("Held" if held else "Broke") if is_probe else "Done",
            tone=("good" if held else "bad") if is_probe else "warn",
            took=words.duration(one["duration"]) if is_probe else str(one["start"])[11:23],
        )
