"""One running release in the worker that runs it: its lease, its steps, its live log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prodsprints.controls.integrations import degradation
from prodsprints.controls.providers.guards import Guards
from prodsprints.kernel.errors import ExitCode, ProdSprintsError
from prodsprints.kernel.redaction import Redactor
from prodsprints.kernel.settings import Settings
from prodsprints.release import events, progress, records, steps
from prodsprints.release.errors import AbortRequestedError
from prodsprints.release.progress import StepStatus
from prodsprints.release.records import Environment, Release
from prodsprints.release.steps import Held
from prodsprints.release.targets import Target
from prodsprints.store.database import Database, one, patient
from prodsprints.store.errors import FencedError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a step ended. `detail` is what later steps and the page read of it; JSON, and without secrets."""

    status: StepStatus
    summary: str
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether the release may go on."""
        return self.status in {"done", "skipped"}


class Run:
    """What a step's body gets: the release, where it goes, and a voice.

    `worker` and `fencing_token` are the lease under which everything here happens; a body that writes anywhere passes
    the token on. Calls to providers go through `guards`. `leave` ends the worker that can no longer hold the lease.
    `workspace` is this release's scratch directory.
    """

    def __init__(
        self,
        *,
        db: Database,
        settings: Settings,
        target: Target,
        guards: Guards,
        release: Release,
        environment: Environment,
        worker: str,
        fencing_token: int,
        leave: Callable[[ProdSprintsError], None],
    ) -> None:
        self.db = db
        self.settings = settings
        self.target = target
        self.guards = guards
        self.release = release
        self.environment = environment
        self.worker = worker
        self.fencing_token = fencing_token
        self.leave = leave
        self.workspace = settings.home / "work" / release.id.hex
        self.redactor = Redactor()
        self._log = events.EventLog(db, release, self.redactor)
        self._degradations: list[dict[str, Any]] = []
        self._step = ""

    def step(self, position: int, name: str, body: Callable[[Run], Outcome]) -> Outcome:
        """Run one step under the lease, unless an earlier attempt finished it already; every error becomes an outcome.

        Raises FencedError when the lease has another owner: then nothing more may be written; and
        DatabaseUnavailableError when nothing more can be.
        """
        if not steps.begin(
            self.db, self._held, position=position, name=name, lines=self._log.adding(name, "began", "begins")
        ):
            return self.outcome(name)
        self._log.written()
        self._step = name
        self._degradations = []
        outcome = self._perform(name, body)
        degraded = {"degradations": self.redactor.value(self._degradations)} if self._degradations else {}
        outcome = replace(outcome, summary=self.redactor.text(outcome.summary), detail={**outcome.detail, **degraded})
        steps.end(
            self.db,
            self._held,
            name=name,
            status=outcome.status,
            summary=outcome.summary,
            detail=outcome.detail,
            lines=self._log.adding(name, "ended", outcome.summary, status=outcome.status),
        )
        self._log.written()
        return outcome

    def say(self, message: str, kind: str = "line", **data: Any) -> None:
        """One line for the live log; visible after the next `flush` or at the end of the step."""
        self._log.add(self._step, kind, message, **data)

    def degraded(self, integration: str, said: str, **more: Any) -> None:
        """Record that this step did without `integration`, as declared: for the release's page, in a sentence."""
        self._degradations.append({"integration": degradation.of(integration).name, "said": said, **more})
        self.say(said, "degraded")

    def found(self, commit: str, label: str) -> None:
        """Record which commit this release is of, once that is known."""
        records.set_commit(self.db, self.release, commit, label)
        self.release = replace(self.release, commit=commit, label=label)

    def flush(self) -> None:
        """Make what was said visible."""
        self._log.flush(self._held)

    def check(self) -> None:
        """Raise AbortRequestedError when somebody wants this release to stop."""
        if _flags(self.db, self)["aborted"]:
            raise AbortRequestedError("Somebody asked for this release to stop.", next_step="Release again when ready.")

    def promote_requested(self) -> bool:
        """Whether somebody wants the canary to go to 100 % without its verdict."""
        return bool(_flags(self.db, self)["promoted"])

    def outcome(self, name: str) -> Outcome:
        """The recorded outcome of an earlier step."""
        for step in progress.steps(self.db, self.release.tenant_id, self.release.id):
            if step.name == name:
                return Outcome(step.status, step.summary, step.detail)
        raise LookupError(f"step {name} has not run")

    def tree(self) -> Path:
        """The exported files of the commit, as the audit step left them."""
        return self.workspace / "tree"

    def _perform(self, name: str, body: Callable[[Run], Outcome]) -> Outcome:
        try:
            return body(self)
        except FencedError:
            raise
        except ProdSprintsError as error:
            for kind, part in (("error", error.what), ("why", error.why), ("next_step", error.next_step)):
                if part:
                    self.say(part, kind)
            status: StepStatus = "refused" if error.exit_code is ExitCode.REFUSED else "failed"
            detail = {"code": error.code, "why": error.why, "next_step": error.next_step}
            return Outcome(status, error.what, self.redactor.value(detail))
        except Exception as error:
            _log.exception("step %s of release %s", name, self.release.id)
            reference = self.release.id.hex[:8]
            message = f"A defect in ProdSprints ended this step ({type(error).__name__}, reference {reference})."
            self.say(message, "error")
            return Outcome("failed", message, {"next_step": "Look for the reference in logs/worker.log and report it."})

    @property
    def _held(self) -> Held:
        return Held(self.release.tenant_id, self.release.id, self.environment.lease, self.worker, self.fencing_token)


@patient
def _flags(db: Database, run: Run) -> dict[str, Any]:
    with db.tenant(run.release.tenant_id) as connection:
        return one(
            connection.execute(
                """
                select abort_requested_at is not null as aborted, promote_requested_at is not null as promoted
                from releases where id = %s
                """,
                [run.release.id],
            ).fetchone()
        )
