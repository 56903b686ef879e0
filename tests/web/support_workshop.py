"""A project as it looks in the middle of a working day, written as the release room would have written it."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from prodsprints.kernel import clock
from prodsprints.kernel.redaction import Redactor
from prodsprints.release import progress, records
from prodsprints.release.events import EventLog
from prodsprints.release.records import Environment, Release, Status
from prodsprints.release.steps import Held
from prodsprints.release.verdict import Judge, Policy, Tick
from prodsprints.store import leases
from prodsprints.store.database import Database


@dataclass
class Workshop:
    """Writes what the release room would have written."""

    db: Database
    tenant: UUID

    def environment(self, project: str = "shop", name: str = "production") -> Environment:
        return records.ensure_environment(
            self.db, self.tenant, project=project, repository=f"/home/ada/{project}", environment=name, node="workbench"
        )

    def release(self, environment: Environment, label: str = "v1", **more: Any) -> Release:
        commit = hashlib.sha1(label.encode(), usedforsecurity=False).hexdigest()
        return records.add(
            self.db,
            environment,
            **{
                "id": uuid4(),
                "kind": "release",
                "repository": environment.repository,
                "commit": commit,
                "label": label,
                "requested_by": "ada",
                "digest": f"sha256:{commit}{commit[:24]}",
                **more,
            },
        )

    def begin(self, release: Release) -> None:
        with self.db.dispatch() as connection:
            connection.execute(
                "update releases set status = 'running', worker = 'w1', started_at = now() where id = %s", [release.id]
            )

    def step(
        self,
        release: Release,
        position: int,
        name: str,
        status: str,
        summary: str = "",
        *,
        seconds: float = 1,
        **more: Any,
    ) -> None:
        with self.db.tenant(self.tenant) as connection:
            connection.execute(
                """
                insert into release_steps
                  (release_id, name, position, status, summary, detail, attempt, started_at, finished_at)
                values
                  (%(release)s, %(name)s, %(position)s, %(status)s, %(summary)s, %(detail)s, %(attempt)s,
                   now() - make_interval(secs => %(seconds)s), case when %(status)s <> 'running' then now() end)
                """,
                {
                    "release": release.id,
                    "name": name,
                    "position": position,
                    "status": status,
                    "summary": summary,
                    "detail": Jsonb(more.get("detail", {})),
                    "attempt": more.get("attempt", 1),
                    "seconds": seconds,
                },
            )

    def say(self, release: Release, *lines: tuple[str, str, str], **data: Any) -> None:
        log = EventLog(self.db, release, Redactor())
        for step, kind, message in lines:
            log.add(step, kind, message, **data)
        resource = f"environment:{release.environment_id}"
        with self.db.tenant(self.tenant) as connection:
            lease = leases.acquire(connection, self.tenant, resource, "w1")
        assert lease is not None
        log.flush(Held(self.tenant, release.id, resource, "w1", lease.fencing_token))
        with self.db.tenant(self.tenant) as connection:
            leases.release(connection, self.tenant, resource, "w1", lease.fencing_token)

    def canary(self, release: Release, *, seconds: int, error_rate: float, stable: str = "v1") -> dict[str, Any]:
        """Ticks of a canary that goes 1 → 5 → 25 % until it is rejected; returns what its rollout would record."""
        source = random.Random(3)  # noqa: S311
        judge = Judge(Policy(delta=0.01), canary=release.label, stable=stable)
        for second in range(1, seconds + 1):
            weight = (1, 5, 25)[min(2, second * 3 // (seconds + 1))]
            canary = max(1, round(320 * weight / 100))
            errors = sum(source.random() < error_rate for _ in range(canary))
            tick = Tick(float(second), weight, 320 - canary, int(source.random() < 0.06), canary, errors)
            progress.add_tick(self.db, self.tenant, release.id, second, tick, fencing_token=None)
            if judge.look(tick).decision == "reject":
                break
        figures = judge.verdict.as_json()
        self.say(release, ("rollout", "tick", f"{weight} %: {judge.verdict.decision}"), **figures)
        return figures

    def finish(self, release: Release, status: Status, reason: str = "", figures: dict[str, Any] | None = None) -> None:
        records.finish(
            self.db,
            release,
            status=status,
            reason=reason,
            figures=figures or {},
            serves=status == "released",
            fencing_token=None,
            port=20001,
        )

    def age(self, release: Release, *, minutes: float, took_seconds: float) -> None:
        """As if it had been asked for that long ago."""
        began = clock.now() - timedelta(minutes=minutes)
        with self.db.tenant(self.tenant) as connection:
            connection.execute(
                """
                update releases set created_at = %s, started_at = %s,
                       finished_at = case when finished_at is null then null else %s::timestamptz end where id = %s
                """,
                [began, began + timedelta(seconds=0.4), began + timedelta(seconds=took_seconds), release.id],
            )


@dataclass(frozen=True)
class Day:
    """A project after a kept release, a rejected one, and with one under way."""

    environment: Environment
    kept: Release
    rejected: Release
    running: Release


def working_day(workshop: Workshop) -> Day:
    production = workshop.environment()
    first = workshop.release(production, "v1")
    workshop.finish(first, "released", "Healthy. Nothing served here before, so there was nothing to compare it with.")
    workshop.age(first, minutes=190, took_seconds=41)
    kept = workshop.release(production, "v2")
    _before_rollout(workshop, kept)
    figures = workshop.canary(kept, seconds=60, error_rate=0.0006)
    _end(workshop, kept, "released", figures, "keep")
    workshop.age(kept, minutes=64, took_seconds=96)
    rejected = workshop.release(production, "v3")
    _before_rollout(workshop, rejected)
    figures = workshop.canary(rejected, seconds=34, error_rate=0.05, stable="v2")
    _end(workshop, rejected, "rolled_back", figures, "reject")
    workshop.age(rejected, minutes=12, took_seconds=58)
    staging = workshop.environment("shop", "staging")
    running = workshop.release(staging, "v4")
    workshop.begin(running)
    _before_rollout(workshop, running)
    workshop.canary(running, seconds=22, error_rate=0.001, stable="v3")
    workshop.step(running, 7, "rollout", "running", seconds=22.4)
    workshop.age(running, minutes=0.9, took_seconds=0)
    api = workshop.environment("billing-api", "production")
    refused = workshop.release(api, "0e9c1f4a77d2")
    workshop.step(refused, 1, "audit", "done", "django: python -m gunicorn billing.wsgi; 14 findings", seconds=0.4)
    workshop.step(
        refused,
        2,
        "tests",
        "refused",
        "2 of 214 tests failed.",
        seconds=18.2,
        detail={"why": "tests/test_invoice.py::test_rounding and one more.", "next_step": "Correct them."},
    )
    workshop.finish(refused, "refused", "2 of 214 tests failed.")
    workshop.age(refused, minutes=31, took_seconds=19)
    return Day(production, kept, rejected, running)


def another_tenant(db: Database) -> UUID:
    with db.dispatch() as connection:
        name = f"t-{uuid4().hex[:12]}"
        row = connection.execute("insert into tenants (name) values (%s) returning id", [name]).fetchone()
    assert row is not None
    return UUID(str(row["id"]))


_FINDINGS = [
    ("framework", "fastapi", "app/main.py", 4, ""),
    ("app", "app.main:app", "app/main.py", 11, ""),
    ("health", "/healthz", "app/main.py", 23, ""),
    (
        "process",
        "web: uvicorn app.main:app --port $PORT",
        "Procfile",
        1,
        "The Procfile wins over the code.",
    ),
    ("migrations", "alembic", "migrations/env.py", 1, ""),
    ("database", "PostgreSQL", "requirements.txt", 3, "psycopg is a dependency, and DATABASE_URL is read."),
    ("python", ">=3.11", "pyproject.toml", 6, ""),
]


def _before_rollout(workshop: Workshop, release: Release) -> None:
    findings = [
        {"key": key, "value": value, "file": file, "line": line, "confidence": 0.9, "note": note}
        for key, value, file, line, note in _FINDINGS
    ]
    steps: tuple[tuple[str, str, float, dict[str, Any]], ...] = (
        ("audit", "fastapi: python -m uvicorn app.main:app; 7 findings", 0.3, {"findings": findings}),
        ("tests", "38 tests passed.", 6.8, {}),
        ("secrets", "No credential in 41 files.", 1.1, {}),
        ("image", "Image sha256:6b1f0c9d2e44…", 9.4, {}),
        ("sbom", "23 components, CycloneDX 1.6.", 0.2, {}),
        ("migrate", "Migrated with `alembic upgrade head` in 1.2 s.", 1.4, {}),
    )
    for position, (name, summary, seconds, detail) in enumerate(steps, start=1):
        workshop.step(
            release,
            position,
            name,
            "done",
            summary,
            seconds=seconds,
            detail=detail,
            attempt=2 if name == "image" else 1,
        )
        workshop.say(release, (name, "began", name))
        if name == "audit":
            workshop.say(
                release,
                *((name, "finding", f"{file}:{line}: {key}: {value}") for key, value, file, line, _ in _FINDINGS),
            )
        if name == "tests":
            workshop.say(release, *((name, "line", f"tests/test_cart.py::test_total_{n} PASSED") for n in range(8)))
        workshop.say(release, (name, "ended", summary))
    workshop.say(
        release,
        ("rollout", "began", "rollout"),
        ("rollout", "line", f"{release.label} is healthy."),
        ("rollout", "route", f"{release.label} gets 1 % of the traffic (confirmed in 38 ms)."),
    )


def _end(workshop: Workshop, release: Release, status: Status, figures: dict[str, Any], decision: str) -> None:
    sentence = figures["sentence"]
    workshop.step(release, 7, "rollout", "done", sentence, seconds=figures["seconds"], detail={"decision": decision})
    if decision == "keep":
        workshop.step(release, 8, "keep", "done", f"{release.label} serves every request.", seconds=3.2)
    else:
        workshop.say(release, ("roll back", "route", "v2 serves every request again."))
        workshop.step(release, 9, "roll back", "done", "v2 serves every request again.", seconds=0.6)
    workshop.step(release, 10, "record", "done", f"{release.label}: {status.replace('_', ' ')}.", seconds=0.1)
    more = {"rollback_seconds": 0.213} if decision == "reject" else {}
    workshop.finish(release, status, sentence, {**figures, "decision": decision, **more})
