"""Where a provider is asked about quotas: what each adapter can do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec, Protocol, TypeVar
from uuid import UUID

from prodsprints.controls.providers.errors import ProviderAnswerError, ProviderUnavailableError
from prodsprints.controls.providers.guards import Guards, Policy
from prodsprints.controls.providers.quotas.model import Call, Place, Placed, Quota, Reading
from prodsprints.guard import CallTimeoutError, Profile, RateLimitError, Retry, retry_if_exception_type

P = ParamSpec("P")
T = TypeVar("T")

# What was not throttled is not made again here: a request that may have arrived is looked for before it is sent. And a
# refusal, such as of a permission, says nothing of how the provider fares.
_POLICY = Policy(
    retry=Retry(retry=retry_if_exception_type(RateLimitError)),
    failures=(ProviderUnavailableError, ProviderAnswerError, CallTimeoutError),
)


class Desk(Protocol):
    """One provider's API for quotas, called through a guard. What it raises is ProdSprints' or the guard's."""

    def call(self, place: Place, desired: float, reason: str, id: UUID) -> Call:
        """The request to raise the limit to `desired`, exactly as it is sent; nothing is sent."""
        ...

    def check(self, place: Place) -> None:
        """Raises QuotaInputError where the provider can have no such quota."""
        ...

    def read(self, place: Place, since: datetime, now: datetime) -> Reading:
        """The limit, and the use since then as far as the provider tells it."""
        ...

    def pending(self, place: Place, call: Call) -> Placed | None:
        """The request for this quota that the provider has already and did not answer yet."""
        ...

    def send(self, place: Place, call: Call) -> Placed:
        """Send it, once."""
        ...

    def follow(self, quota: Quota, placed_id: str) -> Placed:
        """What became of it."""
        ...


def within(guards: Guards, provider: str | Profile, account: str, ask: Callable[P, T]) -> Callable[P, T]:
    """`ask`, within the guard of what `account` may ask of the provider; only its present answer will do."""
    return guards.guard(provider, account=account, policy=_POLICY)(critical=True)(ask)
