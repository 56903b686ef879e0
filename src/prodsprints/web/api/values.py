"""What the API takes and gives, as it stands in the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, computed_field

from prodsprints.release.progress import StepStatus
from prodsprints.release.records import ENDED, Kind, Status

T = TypeVar("T")


class Value(BaseModel):
    """Read from the record of the same name."""

    model_config = ConfigDict(from_attributes=True)


class Request(BaseModel):
    """A request's body; an unknown member is a mistake and is refused."""

    model_config = ConfigDict(extra="forbid")


class Page(BaseModel, Generic[T]):
    """One page of a listing; `next` is the cursor of the page after it, null on the last one."""

    items: list[T]
    next: str | None = None


class Health(Value):
    """Whether the parts of the platform answer."""

    version: str
    database: Literal["up", "down"]
    node: Literal["up", "down"]
    workers: int = Field(description="Workers that are there and beating.")


class Mirror(Value):
    """What one node keeps of a remote repository, to go on from while its host is down."""

    node: str
    size_bytes: int
    fetched_at: datetime | None = Field(description="When the host was last heard.")
    failed_at: datetime | None = Field(description="When it last was not.")
    failure: str = Field(description="Why not.")
    failing: bool = Field(description="Whether the host did not answer when it was last asked.")


class Project(Value):
    """A project: a repository under a name. What is said of its deletion is null while it lives."""

    name: str
    repository: str
    environments: list[str]
    mirrors: list[Mirror] = Field([], description="Of a remote repository: what the nodes keep of it.")
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    kept_until: Annotated[datetime | None, Field(description="Until when it can be brought back for certain.")] = None
    withdrawn: Annotated[bool | None, Field(description="Whether its addresses have fallen silent.")] = None


class Environment(Value):
    """Where releases of one project hold."""

    id: UUID
    project: str
    name: str
    repository: str
    node: str
    port: int | None = Field(description="Its port on 127.0.0.1 of its node; null before its first release was kept.")
    address: str | None = Field(description="Where it answers.")
    current_release_id: UUID | None
    current_label: str | None = Field(description="The label of what it serves.")
    withdrawn: bool = Field(description="Nothing answers since its project was deleted, until a release is kept.")


class Release(Value):
    """One attempt to make a commit what an environment serves, or to go back to what it served."""

    id: UUID
    project: str
    environment: str
    environment_id: UUID
    number: int
    kind: Kind
    status: Status
    repository: str
    commit: str = Field(description="Empty until the step `source` has found it in a remote repository.")
    label: str
    digest: str | None
    requested_by: str
    node: str
    options: dict[str, Any]
    reason: str = Field(description="Why it ended as it did, in a sentence.")
    figures: dict[str, Any]
    abort_requested_at: datetime | None
    promote_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED


class Undeleted(Value):
    """A project that is back, and the releases by which it serves again what it served."""

    project: Project
    releases: list[Release]


class Step(Value):
    """One named, timed step of a release; `attempt` counts how often it was begun."""

    name: str
    position: int
    attempt: int
    status: StepStatus
    summary: str
    detail: dict[str, Any]
    started_at: datetime
    finished_at: datetime | None


class Degraded(Value):
    """A service that a release went on without, as declared in docs/reference/degradation.md."""

    step: str
    integration: str
    said: str = Field(description="What was done instead, and why.")
    mirror_age_seconds: float | None = Field(None, description="How old the mirror was that a commit was taken from.")


class ReleaseInFull(Release):
    """A release with its steps and what its canary has shown so far."""

    steps: list[Step]
    degradations: list[Degraded] = Field(description="What it went on without.")
    verdict: dict[str, Any] | None = Field(description="The latest verdict with its evidence; null without a canary.")


class Event(Value):
    """One line of a release's live log."""

    seq: int
    at: datetime
    step: str
    kind: str
    message: str
    data: dict[str, Any]


class Tick(Value):
    """What both arms answered since the tick before; `at` is in seconds since the rollout began."""

    at: float
    weight: float
    stable_requests: int
    stable_errors: int
    canary_requests: int
    canary_errors: int


class LogPart(Value):
    """A piece of what the serving application wrote; `next` continues after it."""

    label: str
    text: str
    next: str
    dropped_lines: int


class Lease(Value):
    """A lock that was taken away."""

    owner: str
    fencing_token: int
    expires_at: datetime


class Unlocked(Value):
    """What an unlock took away; null when nobody held the lock."""

    lease: Lease | None


class LoginLink(Value):
    """A link that logs one person in, once."""

    url: str
    expires_at: datetime


_Text = Annotated[str, Field(min_length=1, max_length=200)]


class NewRelease(Request):
    """Which commit of which repository goes where."""

    path: Annotated[
        str,
        Field(min_length=1, max_length=4096, description="The repository's absolute path, or its https:// address."),
    ]
    ref: _Text | None = Field(
        None, description="A tag, branch or commit; default: HEAD of a clean tree, or a remote one's default branch."
    )
    environment: _Text | None = Field(None, description="Default: production.")
    project: _Text | None = Field(
        None, description="Default: `name` in prodsprints.yaml, else the directory's name; a remote one's is its own."
    )
    strategy: Literal["canary", "direct"] | None = None


class Unlock(Request):
    """How to unlock."""

    force: bool = Field(False, description="Take the lock away from a worker that is alive, too.")
