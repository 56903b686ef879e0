"""How a Git host is reached: through its guard, at addresses that were looked at, with its own credential only."""

from __future__ import annotations

import ipaddress
import os
import shlex
import sys
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from prodsprints.controls.dns import names
from prodsprints.controls.dns.errors import NameNotFoundError, NoServerAnswersError
from prodsprints.controls.dns.resolver import Resolves
from prodsprints.controls.integrations import git_credentials, git_hosts
from prodsprints.controls.integrations.git_address import Address, check_addresses
from prodsprints.controls.integrations.git_errors import BadAddressError, HostUnavailableError, HostUnreachableError
from prodsprints.controls.integrations.git_process import Way
from prodsprints.controls.providers.guards import Guards, Policy
from prodsprints.guard import Guard, Profile, Retry, full_jitter, retry_if_exception_type, stop_after_attempt

T = TypeVar("T")

_GIT = Profile("git", "Git host", deadline_seconds=1_800.0, timeout_seconds=900.0, concurrency=8)


def patience(*, retry_wait_seconds: float = 2.0, recovery_seconds: float = 30.0) -> Policy:
    """What broke off on the way is tried again twice; a host that failed five times in a row is left alone."""
    return Policy(
        retry=Retry(
            stop=stop_after_attempt(3),
            wait=full_jitter(initial=retry_wait_seconds / 2, max=retry_wait_seconds),
            retry=retry_if_exception_type(HostUnreachableError),
        ),
        recovery_timeout=recovery_seconds,
        failures=(HostUnavailableError,),
    )


POLICY = patience()
_THROUGH = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Host:
    """One Git host to one tenant: its `way` (looked up anew for each attempt) and its guard."""

    way: Callable[[], Way]
    guard: Guard
    mirror_max_age: timedelta | None = None

    def guarded(self, call: Callable[[], T]) -> T:
        """`call`, through the guard."""
        return self.guard(call)()


def allowed(home: Path, tenant: str, address: Address) -> git_hosts.Host | None:
    """What `home` says of the host to `tenant`, None for nothing. Raises BadAddressError, HostsFileError."""
    stated = git_hosts.read(home).of(address.place, tenant)
    if address.scheme != "https" and not (stated and stated.plain_http):
        raise BadAddressError(
            "A remote repository is fetched by https:// only.",
            why="Whoever is on the way could answer in the host's place.",
            next_step="Give its https:// address; a host without one has to be named in git-hosts.yaml, with "
            "`plain_http: true`.",
        )
    with suppress(ValueError):  # a name is looked up when it is asked, and looked at then
        check_addresses(address.host, [str(ipaddress.ip_address(address.host))], named=stated is not None)
    return stated


def host_of(
    home: Path,
    tenant: str,
    guards: Guards,
    *,
    learn: Callable[..., None] = lambda *_: None,
    resolver: Callable[[], Resolves] = names.of_this_process,
    policy: Policy = POLICY,
) -> Callable[[Address], Host]:
    """Hosts as `tenant` may reach them by what stands in `home`; `learn` hears which values are secret.

    Each has one guard, so that all releases leave alone one that is down.
    """

    def found(address: Address) -> Host:
        stated = allowed(home, tenant, address)
        return Host(
            lambda: _way(address, stated, resolver, learn),
            guards.guard(_GIT, account=address.place, policy=policy),
            stated.mirror_max_age if stated else None,
        )

    return found


def _way(
    address: Address, stated: git_hosts.Host | None, resolver: Callable[[], Resolves], learn: Callable[..., None]
) -> Way:
    options, environment = _identity(address, stated, learn)
    if "SSL_CERT_FILE" in os.environ:
        environment["GIT_SSL_CAINFO"] = os.environ["SSL_CERT_FILE"]
    if _proxied(address):  # it resolves names itself
        environment |= {name: value for name, value in os.environ.items() if name.upper() in _THROUGH}
    else:
        options += _address(address, resolver, named=stated is not None)
    return Way(address.scheme, options, environment)


def _address(address: Address, resolver: Callable[[], Resolves], *, named: bool) -> tuple[str, ...]:
    """The option that holds Git to the addresses which were looked at: no second answer of DNS counts."""
    try:
        found = resolver().resolve(address.host).addresses
    except NameNotFoundError as error:
        raise HostUnavailableError(error.what, why=error.why, next_step=error.next_step) from None
    except NoServerAnswersError as error:
        raise HostUnreachableError(error.what, why=error.why, next_step=error.next_step) from None
    check_addresses(address.host, found, named=named)
    if address.host in found:
        return ()  # it is an address
    listed = ",".join(f"[{one}]" if ":" in one else one for one in found)
    return ("-c", f"http.curloptResolve={address.host}:{address.port}:{listed}")


def _identity(
    address: Address, stated: git_hosts.Host | None, learn: Callable[..., None]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The options and variables by which Git finds the credential, if one is stated for this host."""
    token = git_hosts.token(address.place, stated) if stated else None
    if stated is None or token is None:
        return (), {}
    learn(token)
    helper = f"!{shlex.quote(sys.executable)} -I -m {git_credentials.__name__}"
    reference = (
        {git_credentials.TOKEN_FILE: str(stated.token_file)} if stated.token_file else {git_credentials.TOKEN: token}
    )
    return ("-c", f"credential.helper={helper}"), {
        git_credentials.PLACE: f"{address.scheme}://{address.place}",
        git_credentials.USERNAME: stated.username,
        **reference,
    }


def _proxied(address: Address, proxies: Mapping[str, str] | None = None) -> bool:
    stated = urllib.request.getproxies() if proxies is None else proxies
    through = stated.get(address.scheme) or stated.get("all")
    return bool(through) and not urllib.request.proxy_bypass(address.place)
