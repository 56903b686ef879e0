"""The gate before anything is built: the worker's credentials belong to the account that the commit names."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from prodsprints.controls.integrations.last_good import aged
from prodsprints.controls.providers import account as accounts
from prodsprints.controls.providers.account import Account, Place
from prodsprints.controls.providers.guards import Guards
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.release.config.schema import Aws
from prodsprints.release.gates.result import GateResult


def check(
    stated: Aws, *, home: Path, guards: Guards, degraded: Callable[[str, str], None], learn: Callable[..., None]
) -> GateResult:
    """Ask AWS whose credentials these are. `degraded` hears without what that went on, `learn` which values are secret.

    Raises a ProdSprintsError when AWS does not answer: an old answer would not do.
    """
    place = Place(stated.account, stated.region, stated.endpoint, stated.addresses or ())
    with accounts.opened(place, home=home, guards=guards, say=partial(degraded, "dns"), learn=learn) as account:
        return compare(account, stated.account, degraded)


def compare(account: Account, expected: str, degraded: Callable[[str, str], None]) -> GateResult:
    """Whether the credentials belong to the account with the number `expected`."""
    started = time.monotonic()
    identity = account.identity()
    if identity.account != expected:
        return GateResult(
            passed=False,
            summary=f"The worker's credentials belong to the AWS account {identity.account}, not to {expected}.",
            seconds=time.monotonic() - started,
            next_step="Give the worker that account's credentials (AWS_PROFILE), or correct `providers.aws.account`.",
        )
    return GateResult(
        passed=True,
        summary=f"AWS account {expected}{_called(account, expected, degraded)}, as {identity.arn}.",
        seconds=time.monotonic() - started,
    )


def _called(account: Account, number: str, degraded: Callable[[str, str], None]) -> str:
    try:
        alias = account.alias(number)
    except ProdSprintsError as error:  # a number is enough to go on
        degraded("aws-iam", f"The account's alias is not known: {error.what}")
        return f" (its alias is not known: {error.what.rstrip('.')})"
    if alias.stale:
        degraded("aws-iam", f"The account's alias is the last known one: {aged(alias)}.")
    return f", {aged(alias)}" if alias.value else ""
