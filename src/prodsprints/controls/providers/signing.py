"""Who we are for AWS, and where it is: credentials, endpoints and signatures, all by botocore, which sends nothing."""

from __future__ import annotations

import functools
import ipaddress
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver
from botocore.session import Session

from prodsprints.controls.providers.errors import NoCredentialsError, UnknownPlaceError

_CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"


@dataclass(frozen=True)
class Service:
    """One API of AWS in one place: its address, the host's name in it, and the region that its signatures name."""

    name: str
    url: str
    host: str
    region: str


@dataclass(frozen=True)
class SignedRequest:
    """A request as it may be sent, within minutes. Its headers hold a signature, and never go to a log."""

    url: str
    headers: Mapping[str, str]
    body: str


class Signer:
    """Finds the credentials as every AWS tool does, once they are needed, and signs with them."""

    def __init__(self, session: Session | None = None, *, on_secret: Callable[..., None] = lambda *_: None) -> None:
        self._session = session or Session()
        self._on_secret = on_secret
        self._lock = threading.Lock()

    def service(self, name: str, region: str, endpoint: str | None = None) -> Service:
        """Where the API `name` is for `region`; at `endpoint` if one is given. Raises UnknownPlaceError."""
        found = _endpoints().construct_endpoint(name, region)
        if found is None:
            raise UnknownPlaceError(
                f"AWS has no region {region!r}.", next_step="Correct `region`; eu-central-1 is the name of one."
            )
        if endpoint is not None and not _acceptable(endpoint, region, found["dnsSuffix"]):
            raise UnknownPlaceError(
                f"{endpoint} is no address that requests signed with your credentials may go to.",
                why="This file is in the repository, and whoever answers there could claim to be any account.",
                next_step=f"Name AWS's own https:// address below {found['dnsSuffix']}, or a stand-in on this machine.",
            )
        url = f"https://{found['hostname']}/" if endpoint is None else endpoint.rstrip("/") + "/"
        signs_as = found.get("credentialScope", {}).get("region", region)
        return Service(name, url, urlsplit(url).hostname or "", signs_as)

    def signed(
        self, service: Service, body: str, *, content_type: str = _CONTENT_TYPE, target: str = ""
    ) -> SignedRequest:
        """A POST of `body`, signed at this moment; `target` is the operation where AWS takes JSON.

        Raises NoCredentialsError.
        """
        headers = {"Content-Type": content_type} | ({"X-Amz-Target": target} if target else {})
        request = AWSRequest("POST", service.url, headers=headers, data=body)
        SigV4Auth(self._credentials(), service.name, service.region).add_auth(request)
        return SignedRequest(service.url, dict(request.headers.items()), body)

    def _credentials(self) -> Any:
        try:
            with self._lock:  # botocore's session is not made for threads
                found = self._session.get_credentials()
                frozen = found.get_frozen_credentials() if found else None
        except (BotoCoreError, OSError, ValueError) as error:
            # botocore's own words name files and profiles; they are not needed to tell the kinds apart
            raise NoCredentialsError(
                "The worker's AWS credentials cannot be read.",
                why=f"botocore says {type(error).__name__}.",
                next_step="Try `aws sts get-caller-identity` as the user and in the environment of the worker.",
            ) from None
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            raise NoCredentialsError(
                "The worker has no AWS credentials.",
                why="Neither its environment nor ~/.aws nor this machine's role has any.",
                next_step="Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, before `prodsprints up`.",
            )
        self._on_secret(frozen.secret_key, frozen.token or "")
        return frozen


@functools.cache
def _endpoints() -> EndpointResolver:
    return EndpointResolver(create_loader().load_data("endpoints"))


def _acceptable(endpoint: str, region: str, suffix: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    if parts.username or parts.password or parts.query or parts.fragment or parts.path not in {"", "/"}:
        return False
    # Not whatever is below the suffix: customers' own programs answer there too (execute-api, elb, s3, compute).
    api, beyond = r"(sts|iam|servicequotas|monitoring)(-fips)?", re.escape(suffix)
    own = rf"{api}(\.{re.escape(region)})?\.{beyond}|[a-z0-9-]+\.{api}\.{re.escape(region)}\.vpce\.{beyond}"
    if parts.scheme == "https" and re.fullmatch(own, host):
        return True
    return parts.scheme in {"http", "https"} and is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
