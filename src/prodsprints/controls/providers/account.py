"""Which AWS account we are in, asked through a guard: for the release, before anything is built."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from prodsprints.controls.dns import names
from prodsprints.controls.dns.resolver import Resolver
from prodsprints.controls.integrations.last_good import LastGood
from prodsprints.controls.providers.answers import Identity
from prodsprints.controls.providers.aws import Aws
from prodsprints.controls.providers.errors import UnknownPlaceError
from prodsprints.controls.providers.guards import Guards, Policy
from prodsprints.controls.providers.signing import Signer, is_loopback
from prodsprints.guard import Answer, RateLimitError, Retry, ServiceUnavailable, retry_if_exception_type

_ATTEMPT_SECONDS = 10.0
# Wrong credentials are no failure of AWS's: they must not keep everybody else's calls from it.
_THROTTLED_ONLY = Policy(
    retry=Retry(retry=retry_if_exception_type(RateLimitError)), failures=(ServiceUnavailable, TimeoutError)
)


@dataclass(frozen=True)
class Place:
    """The account that is expected, and where to ask: `addresses` are those of STS, for when DNS is gone."""

    account: str
    region: str
    endpoint: str | None = None
    addresses: tuple[str, ...] = ()


class Account:
    """The account that the worker's credentials belong to.

    Throttled calls are made again, at most four times, after what AWS asks for and a random wait on top of it; what
    fails otherwise is not.
    """

    def __init__(self, aws: Aws, last_good: LastGood, guards: Guards, *, quota: str) -> None:
        """`quota` names what the calls draw on: the account and the region."""
        sts = guards.guard("aws-sts", account=quota, policy=_THROTTLED_ONLY)
        iam = guards.guard("aws-iam", account=quota, policy=_THROTTLED_ONLY)
        self._aws = aws
        self._last_good = last_good
        self._identity = sts(critical=True)(aws.identity)
        self._alias = iam(fallback=last_good.fallback())(self._alias_now)

    def identity(self) -> Identity:
        """Whose credentials these are: AWS's present answer, or an error."""
        return self._identity()

    def alias(self, account: str) -> Answer[str]:
        """The alias of `account`, which has to be ours, empty if it has none; while IAM fails, the last known one."""
        return self._alias(account)

    def _alias_now(self, account: str) -> Answer[str]:
        return self._last_good.keep(account, self._aws.alias())


@contextmanager
def opened(
    place: Place,
    *,
    home: Path,
    guards: Guards,
    say: Callable[[str], None] = lambda _: None,
    learn: Callable[..., None] = lambda *_: None,
    resolver: Resolver | None = None,
    trust: ssl.SSLContext | None = None,
) -> Iterator[Account]:
    """The account as releases ask for it. `say` hears how it is reached if that is unusual, `learn` what is secret.

    Raises UnknownPlaceError, BadPinError.
    """
    signer = Signer(on_secret=learn)
    sts, iam = (signer.service(name, place.region, place.endpoint) for name in ("sts", "iam"))
    transport = names.transport(
        resolver or names.of_this_process(),
        {sts.host: place.addresses} if place.addresses else {},
        trust=trust or httpx.create_ssl_context(),
        mark=say,
        proxy=way_out(sts.host, urllib.request.getproxies()),
    )
    with httpx.Client(transport=transport, timeout=_ATTEMPT_SECONDS) as http:
        aws, last_good = Aws(http, signer, sts=sts, iam=iam), LastGood(home / "providers" / "aliases")
        quota = f"{place.account} {place.region}"
        yield Account(aws, last_good, guards, quota=f"{quota} {sts.host}" if place.endpoint else quota)


def way_out(host: str, proxies: Mapping[str, str]) -> httpx.Proxy | None:
    """The proxy that this machine is configured with for HTTPS to `host`, as `urllib.request.getproxies` names them.

    Raises UnknownPlaceError for what can be no proxy.
    """
    stated = proxies.get("https") or proxies.get("all")
    if not stated or is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    try:
        proxy = httpx.Proxy(stated if "://" in stated else f"http://{stated}")
    except (ValueError, httpx.InvalidURL):
        proxy = None
    if proxy is None or not proxy.url.host:
        raise UnknownPlaceError(
            "The proxy for HTTPS is no address that we understand.",
            next_step="Correct HTTPS_PROXY, such as http://proxy:3128, and start ProdSprints again.",
        )
    return proxy
