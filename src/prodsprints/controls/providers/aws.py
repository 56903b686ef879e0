"""The calls that we make to AWS, bare: one question, one answer, each failure told apart and nothing tried twice."""

from __future__ import annotations

from math import inf

import httpx

from prodsprints.controls.providers import answers
from prodsprints.controls.providers.answers import LONGEST_BYTES, Identity, Refusal
from prodsprints.controls.providers.errors import ProviderAnswerError, ProviderRefusedError, ProviderUnavailableError
from prodsprints.controls.providers.signing import Service, Signer
from prodsprints.guard import RateLimitError, remaining_seconds
from prodsprints.guard.transports.botocore import THROTTLED

_TOO_MANY_REQUESTS = 429

_NEXT_STEPS = {
    "AccessDenied": "Allow these credentials that call in IAM.",
    "ExpiredToken": "Log in again, or renew the worker's session token.",
    "InvalidClientTokenId": "The access key does not exist: set the right one, and start ProdSprints again.",
    "SignatureDoesNotMatch": "Compare the secret key with its access key, and this machine's clock with the true time.",
}


class Aws:
    """AWS's API for who we are, at `sts` and `iam`. Every error it raises is one of ProdSprints or RateLimitError."""

    def __init__(self, http: httpx.Client, signer: Signer, *, sts: Service, iam: Service) -> None:
        self._http = http
        self._signer = signer
        self._sts = sts
        self._iam = iam

    def identity(self) -> Identity:
        """Whose credentials we have: STS GetCallerIdentity, for which no permission is needed."""
        return answers.identity(self._ask(self._sts, "Action=GetCallerIdentity&Version=2011-06-15"))

    def alias(self) -> str:
        """The account's alias, empty if it has none: IAM ListAccountAliases."""
        return answers.alias(self._ask(self._iam, "Action=ListAccountAliases&Version=2010-05-08"))

    def _ask(self, service: Service, question: str) -> bytes:
        request = self._signer.signed(service, question)
        try:
            with self._http.stream(
                "POST", request.url, content=request.body, headers=request.headers, timeout=self._patience()
            ) as response:
                body = _bounded(service, response)
        except httpx.TransportError as error:
            raise _unavailable(service, str(error) or type(error).__name__) from None
        if response.status_code == httpx.codes.OK:
            return body
        refusal = answers.refusal(body)
        if response.status_code == _TOO_MANY_REQUESTS or refusal.code in THROTTLED:
            raise RateLimitError(
                response.headers.get("Retry-After"),
                what=f"AWS {service.name} throttles these credentials.",
                why=" ".join(part for part in (refusal.code, refusal.message) if part),
            )
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise _unavailable(service, f"It answered {response.status_code} {refusal.code}".strip())
        raise _refused(service, response.status_code, refusal)

    def _patience(self) -> httpx.Timeout:
        """The client's own, but never beyond the attempt that this is part of."""
        left = max(remaining_seconds(), 0.001)
        return self._http.timeout if left == inf else httpx.Timeout(left)


def _bounded(service: Service, response: httpx.Response) -> bytes:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if remaining_seconds() <= 0:
            raise _unavailable(service, "Its answer did not end in time.")
        if len(body) > LONGEST_BYTES:
            raise ProviderAnswerError(
                f"AWS's answer is longer than {LONGEST_BYTES:,} bytes.",
                next_step="Check that nothing between the worker and AWS answers in its place.",
            )
    return body


def _unavailable(service: Service, why: str) -> ProviderUnavailableError:
    return ProviderUnavailableError(
        f"AWS {service.name} at {service.url} does not answer.",
        why=why,
        next_step="Try again; if it stays so, look at AWS's status page and at the worker's way out to the network.",
    )


def _refused(service: Service, status: int, refusal: Refusal) -> ProviderRefusedError:
    said = " ".join(part for part in (refusal.code, refusal.message) if part)
    return ProviderRefusedError(
        f"AWS {service.name} refuses the call.",
        why=f"It answered {status}{f': {said}' if said else ''}.",
        next_step=_NEXT_STEPS.get(refusal.code, "Check the worker's credentials, and what they are allowed."),
    )
