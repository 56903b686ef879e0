"""The desks as a worker opens them: each behind a guard by its provider's profile, with the worker's credentials."""

from __future__ import annotations

import os
import stat
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

import httpx

from prodsprints.controls.dns import names
from prodsprints.controls.providers import account as accounts
from prodsprints.controls.providers.account import Place as AwsPlace
from prodsprints.controls.providers.errors import NoCredentialsError
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.quotas.aws import AwsDesk
from prodsprints.controls.providers.quotas.azure import MANAGEMENT, AzureDesk
from prodsprints.controls.providers.quotas.desk import Desk
from prodsprints.controls.providers.quotas.gcp import QUOTAS, GcpDesk
from prodsprints.controls.providers.signing import Signer

_ATTEMPT_SECONDS = 10.0
_KNOWN_SECONDS = 600.0  # whose credentials these are is asked that often
_LONGEST_TOKEN = 16_384


@contextmanager
def opened(
    home: Path, guards: Guards, *, endpoint: str | None = None, learn: Callable[..., None] = lambda *_: None
) -> Iterator[Mapping[str, Desk]]:
    """The desks by provider. `endpoint` stands for all of AWS's APIs, as AWS_ENDPOINT_URL does for other tools.

    Nothing is asked and no credentials are looked for until a quota of that provider is read.
    """
    with ExitStack() as stack:
        yield {
            "aws": AwsDesk(
                stack.enter_context(_client("servicequotas.amazonaws.com")),
                Signer(on_secret=learn),
                guards,
                account=_Whose(home, guards, endpoint, learn),
                endpoint=endpoint,
            ),
            "gcp": GcpDesk(
                stack.enter_context(_client(httpx.URL(QUOTAS).host)),
                guards,
                token=lambda: token(home, "gcp-token", "gcloud auth print-access-token", learn),
                contact=lambda: _kept(home, "gcp-contact"),
            ),
            "azure": AzureDesk(
                stack.enter_context(_client(httpx.URL(MANAGEMENT).host)),
                guards,
                token=lambda: token(home, "azure-token", "az account get-access-token", learn),
            ),
        }


def token(home: Path, name: str, tool: str, learn: Callable[..., None]) -> str:
    """The access token that something of the operator's keeps fresh in <home>/secrets. Raises NoCredentialsError."""
    file = home / "secrets" / name
    found = _kept(home, name)
    if not found:
        raise NoCredentialsError(
            f"There is no access token in {file}.",
            next_step=f"Have a timer write one there, readable by the worker alone, such as by `{tool}`.",
        )
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise NoCredentialsError(f"{file} is open to others.", next_step=f"chmod 600 {file}, and renew the token.")
    learn(found)
    return found


class _Whose:
    """Which account the credentials belong to, in the region where it is asked: STS's answer, for ten minutes."""

    def __init__(self, home: Path, guards: Guards, endpoint: str | None, learn: Callable[..., None]) -> None:
        self._home = home
        self._guards = guards
        self._endpoint = endpoint
        self._learn = learn
        self._known: dict[str, tuple[float, str]] = {}

    def __call__(self, region: str) -> str:
        at, known = self._known.get(region, (0.0, ""))
        if not known or monotonic() - at > _KNOWN_SECONDS:
            place = AwsPlace("", region, self._endpoint)
            with accounts.opened(place, home=self._home, guards=self._guards, learn=self._learn) as account:
                known = account.identity().account
            self._known[region] = monotonic(), known
        return known


def _client(host: str) -> httpx.Client:
    transport = names.transport(
        names.of_this_process(),
        {},
        trust=httpx.create_ssl_context(),
        proxy=accounts.way_out(host, urllib.request.getproxies()),
    )
    return httpx.Client(transport=transport, timeout=_ATTEMPT_SECONDS)


def _kept(home: Path, name: str) -> str:
    try:
        with (home / "secrets" / name).open("rb") as stream:
            found = stream.read(_LONGEST_TOKEN + 1)
    except OSError:
        return ""
    text = found.decode(errors="replace").strip()
    return text if len(found) <= _LONGEST_TOKEN and text.isascii() and text.isprintable() and " " not in text else ""


def aws_endpoint() -> str | None:
    """Where the worker's environment says that AWS is, as botocore reads it."""
    return os.environ.get("AWS_ENDPOINT_URL") or None
