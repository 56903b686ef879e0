"""What the API takes and gives about drills, as it stands in the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, computed_field

from prodsprints.drills.arms import Ending
from prodsprints.drills.experiment import PeerClass, Safety
from prodsprints.drills.stage import Arm
from prodsprints.web.api.values import Request, Value

EnvironmentName = Annotated[str, Field(min_length=1, max_length=120)]


class Peer(Value):
    """One program that the subject talks to during a drill; a `double` is ours, and not the real thing."""

    name: str
    version: str
    peer_class: PeerClass


class DrillRun(Value):
    """One run of a drill: queued, then played with both arms, then judged."""

    id: UUID
    row: str
    variant: str
    environment: str
    requested_by: str
    scheduled: bool
    status: Literal["queued", "running", "ended"]
    outcome: Literal["held", "failed", "invalid", "none"] | None = Field(
        description="`invalid`: the placebo held too. `none`: the drill itself did not work. Null until it has ended."
    )
    reason: str = Field(description="Why it ended as it did, in a sentence.")
    evidence_index: int | None = Field(description="The entry of the log that holds its signed evidence.")
    treatment_journal: str | None = Field(description="SHA-256 of the journal of the arm with the control.")
    placebo_journal: str | None
    measured: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status == "ended"


class Drill(Value):
    """One experiment that a row names. One that cannot be loaded says so in `trouble` and has nothing else."""

    row: str
    variant: str | None = None
    title: str | None = None
    fault: str | None = Field(default=None, description="What is broken, in words.")
    safety: Safety | None = None
    peers: list[Peer] = Field(default_factory=list)
    scale: str = Field(default="", description="What was scaled down.")
    limit_seconds: float | None = Field(default=None, description="How long one arm may take.")
    digest: str | None = Field(default=None, description="The control digest of now; evidence of another one is stale.")
    last: DrillRun | None = Field(default=None, description="Its newest run in the environment that was asked for.")
    trouble: str = ""


class Look(Value):
    """One probe that was looked at, `at` seconds after its arm began, and what it showed."""

    group: str
    name: str
    holds: bool
    words: str
    at: float
    seconds: float


class ArmInFull(Value):
    """One arm so far; `ending` is null while it is played, `broken` says why it gives no verdict."""

    arm: Arm
    phase: str
    ending: Ending | None
    broken: str
    seconds: float
    fault_began: float | None
    fault_ended: float | None
    calls: int
    calls_broken: int
    looks: list[Look]


class DrillRunInFull(DrillRun):
    """A run with what both of its arms have shown so far."""

    arms: list[ArmInFull]


class DrillEvent(Value):
    """One event of a run, `at` seconds after its arm began; `arm` is empty where it is of the run."""

    seq: int
    arm: str
    at: float
    kind: str
    data: dict[str, Any]


class NewDrillRun(Request):
    """Where to break what."""

    environment: EnvironmentName = "demo"
    variant: Annotated[str, Field(min_length=1, max_length=60)] | None = Field(
        None, description="Default: the row's first drill."
    )
