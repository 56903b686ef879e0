"""Drills written as the drills room would have written them, with evidence that is really signed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid4

from prodsprints.drills import evidence, journal, runs
from prodsprints.drills.arms import Ending, Group, Look, Played, Sample
from prodsprints.drills.catalog import Catalog
from prodsprints.drills.engine import Event, Result
from prodsprints.drills.runs import DrillRun
from prodsprints.drills.stage import Arm
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel import clock
from prodsprints.ledger.log import Entry, Ledger
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.statement import Statement
from prodsprints.register import documents
from prodsprints.register.register import Register
from prodsprints.web.site import Site
from support_storm import ROW, storm

ENTRY = "support_storm:storm"


def with_drills(site: Site, *entries: str) -> Site:
    """A site whose register names `entries` as the drills of the row."""
    known = documents.ours()
    row = next(one for one in known.mitigations if one.id == ROW)
    named = replace(row, drills=entries, lacks=())
    risks = tuple(
        replace(risk, mitigations=tuple(named if one is row else replace(one, drills=()) for one in risk.mitigations))
        for risk in known.risks
    )
    register = Register(known.document, risks)
    catalog = Catalog.of({ROW: entries})
    assessor = type(site.assessor)(site.db, site.keyring, site.witness, catalog, lambda _: register)
    return replace(site, catalog=catalog, assessor=assessor, register_of=lambda _: register)


@dataclass
class Drillroom:
    """Writes what the drills room would have written, and signs it."""

    site: Site
    tenant: UUID

    @property
    def ledger(self) -> Ledger:
        return self.site.ledger(self.tenant)

    def say(self, statement: Statement) -> Entry:
        """One more entry of the log."""
        receipt = self.ledger.append(statement)
        Sequencer(self.site.db, self.site.keyring, self.site.witness).sequence(self.tenant)
        return self.ledger.wait(receipt)

    def asked(self, *, environment: str = "demo", variant: str = storm.variant, scheduled: bool = False) -> DrillRun:
        return runs.request_run(
            self.site.db,
            self.tenant,
            row=ROW,
            variant=variant,
            environment=environment,
            actor="ada",
            id=uuid4(),
            scheduled=scheduled,
        )

    def begin(self, run: DrillRun) -> None:
        with self.site.db.tenant(self.tenant) as connection:
            connection.execute(
                "update drill_runs set status = 'running', worker = 'w1', node = 'test',"
                " started_at = now() - interval '6 seconds' where id = %s",
                [run.id],
            )

    def tell(self, run: DrillRun, *played: Played, first: int = 1, after: float = -1.0, until: float = 99.0) -> int:
        """The events of arms between two moments; returns the number of the next one."""
        events = (event for one in played for event in events_of(one) if after < event.at <= until)
        told = sorted(events, key=lambda one: one.at)
        runs.add_events(self.site.db, self.tenant, run.id, first, told)
        return first + len(told)

    def ended(self, outcome: Outcome = Outcome.HELD, *, environment: str = "demo", reason: str = "") -> DrillRun:
        """A run from its beginning to its end."""
        run = self.asked(environment=environment)
        self.begin(run)
        treatment = arm(Arm.TREATMENT, holds=outcome is not Outcome.FAILED)
        placebo = arm(Arm.PLACEBO, holds=outcome is Outcome.INVALID)
        self.tell(run, treatment, placebo)
        return self.end(run, outcome, treatment, placebo, reason)

    def end(self, run: DrillRun, outcome: Outcome, treatment: Played, placebo: Played, reason: str = "") -> DrillRun:
        drill = self.site.catalog.find(ROW)
        journals = [
            journal.of(drill.entry, drill.experiment, one, node="test", digest=drill.digest)
            for one in (treatment, placebo)
        ]
        result = Result(
            drill.entry,
            drill.experiment,
            drill.digest,
            drill.experiment_sha256,
            self.tenant,
            run.environment,
            "http.server",
            outcome,
            reason or f"The control {outcome}.",
            treatment,
            placebo,
            journals[0],
            journals[1],
            (),
            clock.now() - timedelta(seconds=7),
            clock.now(),
        )
        index = self.say(evidence.statement(result)).index if outcome is not Outcome.NONE else None
        runs.finish(
            self.site.db,
            self.tenant,
            run.id,
            worker="w1",
            outcome=outcome,
            reason=result.reason,
            digest=drill.digest,
            evidence_index=index,
            treatment_journal=journals[0],
            placebo_journal=journals[1],
            measured=treatment.measured,
        )
        found = runs.run(self.site.db, self.tenant, run.id)
        assert found is not None
        return found


def arm(which: Arm, *, holds: bool) -> Played:
    """One arm of the storm as it is played: with `holds` every call is answered, some of them late."""
    dice = random.Random(f"{which}{holds}")  # noqa: S311
    calm = [Sample(1.3 + number * 0.02, True, dice.uniform(0.004, 0.02), "") for number in range(20)]
    stormy = [
        Sample(
            1.9 + number * 0.015,
            holds or dice.random() > 0.8,
            dice.uniform(0.004, 0.02) * (dice.choice((1, 1, 8, 20)) if holds else 1),
            "",
        )
        for number in range(200)
    ]
    lost = sum(not sample.ok for sample in stormy)
    words = "All 200 calls were answered." if holds else f"{lost} of 200 calls were lost: 429."
    looks = [
        Look(Group.STEADY, "calls are answered", True, "All 20 calls were answered.", 1.75, 0.4),
        Look(Group.PROBES, storm.named, holds, words, 4.95, 3.0),
        Look(Group.SEEN, "the provider refused calls", True, "160 requests were answered 429.", 5.0, 0.01),
    ]
    after = [Sample(5.15 + number * 0.02, True, dice.uniform(0.004, 0.02), "") for number in range(20)]
    if which is Arm.TREATMENT:
        looks.append(Look(Group.AFTER, "calls are answered again", True, "All 20 calls were answered.", 5.6, 0.4))
    return Played(
        which,
        Ending.PLAYED,
        clock.now() - timedelta(seconds=6),
        5.8,
        tuple(looks),
        (*calm, *stormy, *(after if which is Arm.TREATMENT else [])),
        {"detect_seconds": 0.012, "calls_lost": lost} if which is Arm.TREATMENT else {},
        1.9,
        5.1,
    )


def events_of(played: Played) -> Iterator[Event]:
    """What the engine tells of an arm."""
    phases = [("import", 0.0), ("stand", 0.4), ("subject", 1.2), ("steady", 1.3), ("inject", 1.8), ("probes", 1.9)]
    if played.arm is Arm.TREATMENT:
        phases.append(("after", 5.1))
    for name, at in (*phases, ("end", 5.7)):
        yield Event(played.arm, at, "phase", {"name": name})
    yield Event(played.arm, 1.9, "fault", {"on": True})
    yield Event(played.arm, 5.1, "fault", {"on": False})
    for look in played.looks:
        data = {"group": look.group, "name": look.name, "holds": look.holds, "words": look.words}
        yield Event(played.arm, look.at, "probe", {**data, "seconds": look.seconds})
    for start in range(0, len(played.samples), 20):
        batch = [[one.at, one.ok, one.seconds, one.label] for one in played.samples[start : start + 20]]
        yield Event(played.arm, batch[-1][0], "samples", {"samples": batch})
    for name, value in played.measured.items():
        yield Event(played.arm, 5.6, "measure", {"name": name, "value": value})
    yield Event(played.arm, 5.75, "end", {"ending": played.ending})
