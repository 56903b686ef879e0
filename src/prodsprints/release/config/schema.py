"""The keys of `prodsprints.yaml`, with their meaning, defaults and bounds. Unknown ones are refused."""

from __future__ import annotations

import ipaddress
import re
import shlex
from itertools import pairwise
from typing import Annotated, Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    WithJsonSchema,
    model_validator,
)

from prodsprints.release.config.units import Seconds, Share
from prodsprints.runtime import sandbox

_SHELL_WORDS = {"&&", "||", "|", ";", "&", ">", ">>", "<"}
_OURS_TO_SET = {"PORT"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def command(value: object) -> tuple[str, ...]:
    """The words of a command. Raises ValueError, in words that go on from the name of the key."""
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError:
            raise ValueError("has a quote that is not closed.") from None
        shell = next((word for word in words if word in _SHELL_WORDS), None)
        if shell:
            raise ValueError(f"is run without a shell, so `{shell}` would be an argument; write sh -c '…'.")
    elif isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        words = list(value)
    else:
        raise ValueError("should be a command: one line of text, or a list of words (numbers in quotes).")
    if isinstance(value, str) and not words:
        raise ValueError("is empty; write a command, or [] for none.")
    if words and not words[0]:
        raise ValueError("has no program to run.")
    if any("\0" in word for word in words):
        raise ValueError("holds a zero byte.")
    return tuple(words)


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError('should be a version specifier in quotes, such as ">=3.11,<3.14".') from None
    return text


def _variables(values: dict[str, str]) -> dict[str, str]:
    for name, value in values.items():
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"cannot hold a variable called {name!r}; use letters, digits and underscores.")
        if name in _OURS_TO_SET or name.upper().startswith("PRODSPRINTS_"):
            raise ValueError(f"cannot set {name}: ProdSprints sets it itself.")
        if sandbox.steers(name):
            raise ValueError(f"cannot set {name}: it would reach the programs that confine the application.")
        if "\0" in value:
            raise ValueError(f"sets {name} to a text with a zero byte.")
    return values


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("should be an IP address, such as 192.0.2.10.") from None


def _steps(weights: tuple[int, ...]) -> tuple[int, ...]:
    if not weights or weights[-1] != 100:
        raise ValueError("should end with 100, when the new version serves everything.")
    if any(later <= earlier for earlier, later in pairwise(weights)):
        raise ValueError("should rise from step to step, such as [1, 5, 25, 100].")
    return weights


def _something(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words:
        raise ValueError("should be a command: without one there is nothing to release.")
    return words


def _version(value: object) -> object:
    if type(value) is not int or value != 1:
        raise ValueError("should be 1, the only version of this format so far.")
    return value


_COMMAND_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

Command = Annotated[tuple[str, ...], BeforeValidator(command), WithJsonSchema(_COMMAND_SCHEMA)]
Weight = Annotated[StrictInt, Field(ge=1, le=100)]
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?(:[0-9]{1,5})?$")]


class _Keys(BaseModel):
    # every mapping of the file: unknown keys are refused, and whoever needs notes of their own starts them with `x-`
    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"patternProperties": {"^x-": {}}})


class Rollout(_Keys):
    """How a new version takes over the traffic."""

    strategy: Literal["canary", "direct"] = Field(
        default="canary",
        description="canary: a growing share, judged against the version that serves; direct: all at once.",
    )
    steps: Annotated[tuple[Weight, ...], AfterValidator(_steps)] = Field(
        default=(1, 5, 25, 100),
        max_length=50,
        description="The new version's share of the traffic in per cent, step by step.",
    )
    step_seconds: Annotated[float, Strict(), Field(ge=1, le=86_400)] = Field(
        default=60, description="The least time that each step takes."
    )
    delta: Annotated[Share, Field(gt=0, le=0.5)] = Field(
        default=Share(0.01), description="A rise of the error rate that is still acceptable."
    )
    minimum_requests: Count = Field(
        default=100, description="How many requests the new version answers before it can be kept."
    )
    timeout: Seconds = Field(default=Seconds(1800), description="When to give up waiting for enough data, and go back.")

    @model_validator(mode="after")
    def _can_finish(self) -> Rollout:
        if self.strategy == "canary" and self.timeout < (len(self.steps) - 1) * self.step_seconds:
            raise ValueError("has a `timeout` shorter than its steps take together.")
        return self


class Database(_Keys):
    """The specification's block of R003."""

    max_connections: Count | None = None
    connection_timeout: Seconds | None = None
    idle_timeout: Seconds | None = None
    health_check_interval: Seconds | None = None


class Registries(_Keys):
    """The specification's block of R004."""

    primary: Host | None = None
    fallback: Annotated[tuple[Host, ...], Field(max_length=20)] | None = None
    cache_ttl: Seconds | None = None
    health_check_interval: Seconds | None = None


class Pipeline(_Keys):
    """The specification's block of R006."""

    max_retries: Annotated[StrictInt, Field(ge=0, le=100)] | None = None
    retry_delay: Seconds | None = None
    timeout: Seconds | None = None
    fallback_runner: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class Alerts(_Keys):
    """The specification's block of R009."""

    cpu_usage: Share | None = None
    memory_usage: Share | None = None
    disk_usage: Share | None = None
    response_time: Seconds | None = None
    error_rate: Share | None = None


class Security(_Keys):
    """The specification's block of S002."""

    sbom_required: StrictBool | None = None
    image_signing: StrictBool | None = None
    vulnerability_threshold: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"] | None = None
    dependency_check: StrictBool | None = None


class Aws(_Keys):
    """The AWS account that a release goes to."""

    account: Annotated[str, Field(pattern=r"^[0-9]{12}$")] = Field(
        description="The number of the account that the worker's credentials have to belong to, in quotes."
    )
    region: Annotated[str, Field(pattern=r"^[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}$")] = Field(
        description="Where to deploy to; the account is checked with that region's STS."
    )
    endpoint: Annotated[str, Field(max_length=300, pattern=r"^https?://[!-~]+$")] | None = Field(
        default=None,
        description="One address for all of AWS's APIs: a private endpoint, or a stand-in on this machine.",
    )
    addresses: (
        Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], Field(min_length=1, max_length=16)] | None
    ) = Field(
        default=None, description="STS's IP addresses, for when no DNS server answers; its certificate is checked."
    )

    @model_validator(mode="after")
    def _pins_have_certificates(self) -> Aws:
        if self.addresses and self.endpoint and not self.endpoint.startswith("https://"):
            raise ValueError("has `addresses` for an endpoint without TLS: nothing would vouch for who answers there.")
        return self


class Providers(_Keys):
    """Where releases go, and who we must be there."""

    aws: Aws | None = Field(
        default=None, description="Checked before anything is built; without it no provider is asked anything."
    )


class Gate(_Keys):
    """What the register must say before a release goes on."""

    require: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.]{1,20}$")], ...], Field(max_length=200)] = (
        Field(default=(), description="What must be proven as well: rows (R001.1), risks (R001) or levels (critical).")
    )


class ReleaseConfig(_Keys):
    """What one environment's releases go by: the file, with that environment's overlay laid over it.

    What is None is left to the audit.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")] | None = Field(
        default=None,
        description="What the application is called: lower-case letters, digits and dashes.",
        examples=["shop"],
    )
    web: Annotated[Command, AfterValidator(_something)] | None = Field(
        default=None,
        description="The command that serves HTTP on $PORT, which is chosen for it.",
        examples=["python -m uvicorn app.main:app --host 127.0.0.1 --port $PORT"],
    )
    health: Annotated[str, Field(pattern=r"^/[!-~]{0,199}$")] | None = Field(
        default=None, description="The path that answers 200 when the application can serve.", examples=["/healthz"]
    )
    test: Command | None = Field(
        default=None, description="The command that runs the tests; [] for none.", examples=["python -m pytest -q"]
    )
    migrate: Command | None = Field(
        default=None,
        description="The command that migrates the database; [] for none.",
        examples=["alembic upgrade head"],
    )
    python: Annotated[str, AfterValidator(_specifier)] | None = Field(
        default=None, description="The Python versions that the application runs on.", examples=[">=3.11"]
    )
    services: Annotated[tuple[Literal["postgres"], ...], Field(max_length=1)] | None = Field(
        default=None, description="What the application needs beside it; [] for nothing.", examples=[["postgres"]]
    )
    environment: Annotated[dict[str, str], Field(max_length=500), AfterValidator(_variables)] = Field(
        {}, description="Environment variables that are no secrets; values are text.", examples=[{"LOG_LEVEL": "info"}]
    )
    rollout: Rollout = Field(default=Rollout(), description="How a new version takes over the traffic.")
    providers: Providers = Field(
        default=Providers(),
        description="The cloud accounts that the worker's credentials have to belong to.",
        examples=[Providers(aws=Aws(account="123456789012", region="eu-central-1"))],
    )
    gate: Gate | None = Field(
        default=None,
        description="Refuse a release where the register has something failing, contradicted, stale or overdue.",
        examples=[Gate(require=("S004.2",))],
    )
    database: Database | None = Field(
        default=None, description="Connections to the database. Accepted, not enforced yet."
    )
    registries: Registries | None = Field(default=None, description="Container registries. Accepted, not enforced yet.")
    pipeline: Pipeline | None = Field(
        default=None, description="Retries of pipeline steps. Accepted, not enforced yet."
    )
    alerts: Alerts | None = Field(default=None, description="Thresholds of alerts. Accepted, not enforced yet.")
    security: Security | None = Field(
        default=None, description="Supply chain requirements. Accepted, not enforced yet."
    )


class File(ReleaseConfig):
    """The whole file: the values for every environment, and the overlays for some."""

    version: Annotated[Literal[1], BeforeValidator(_version)] = Field(description="The version of this format.")
    environments: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")], dict[str, Any] | None] = Field(
        {}, max_length=50, description="What differs in an environment, by its name: the same keys, but `name`."
    )


NOT_ENFORCED_YET = frozenset({"database", "registries", "pipeline", "alerts", "security"})
"""The specification's blocks: read and checked, while the controls that will go by them have not landed."""
