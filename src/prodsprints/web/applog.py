"""What the application that serves an environment writes, piece by piece, through the node agent."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prodsprints.release.records import Environment
from prodsprints.runtime.errors import NotFoundError
from prodsprints.runtime.values import Arm
from prodsprints.web.errors import InvalidRequestError, NothingServesError
from prodsprints.web.site import Site

_CURSOR = re.compile(r"(?:(?P<instance>[0-9A-Za-z_-]{1,100})\.)?(?P<offset>-?[0-9]{1,15})")
_LIMIT_BYTES = 65_536


@dataclass(frozen=True)
class LogPart:
    """A piece of the output of the version called `label`; `next` continues after it."""

    label: str
    text: str
    next: str
    dropped_lines: int


def read(here: Site, environment: Environment, *, after: str | None, limit: int = _LIMIT_BYTES) -> LogPart:
    """The output after `after`: a `next` of an earlier part, or an offset in bytes (negative: from the end).

    When another version serves by now, its output from its start. Raises NothingServesError, AgentUnreachable.
    """
    asked_instance, offset = _parse(after)
    arm = _serving(here, environment)
    if asked_instance not in {None, arm.instance}:
        offset = 0
    part = here.agent.log(arm.instance, offset=offset, limit=limit)
    return LogPart(arm.label, part.text, f"{arm.instance}.{part.next}", part.dropped_lines)


def _parse(after: str | None) -> tuple[str | None, int]:
    if after is None:
        return None, 0
    found = _CURSOR.fullmatch(after)
    if found is None:
        raise InvalidRequestError(
            "`after` was not made by this API.", next_step="Pass `next` of the part before, or leave it out."
        )
    return found["instance"], int(found["offset"])


def _serving(here: Site, environment: Environment) -> Arm:
    try:
        arms = here.agent.route(environment.key).arms
    except NotFoundError:
        arms = ()
    if not arms:
        raise NothingServesError(
            f"Nothing serves {environment.project}/{environment.name}, so there is no output to read.",
            next_step="Release to it first: `prodsprints release`.",
        )
    return max(arms, key=lambda arm: arm.weight)
