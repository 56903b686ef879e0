"""What AWS answers is told apart, what is signed can be checked, and no secret is in any error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from prodsprints.controls.providers.aws import Aws
from prodsprints.controls.providers.errors import (
    NoCredentialsError,
    ProviderAnswerError,
    ProviderRefusedError,
    ProviderUnavailableError,
    UnknownPlaceError,
)
from prodsprints.controls.providers.signing import Signer
from prodsprints.guard import RateLimitError, ServiceUnavailable
from prodsprints.kernel.errors import ProdSprintsError

SECRET = "a-secret-of-the-tests"
ERROR = "<ErrorResponse><Error><Code>{}</Code><Message>words</Message></Error></ErrorResponse>"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-tests")


@pytest.fixture
def answering() -> Iterator[Callable[..., tuple[Aws, list[dict[str, str]]]]]:
    """AWS, which gives one answer to everything; and the headers of what it was asked."""
    servers = []

    def make(status: int, body: bytes | str = b"", **headers: str) -> tuple[Aws, list[dict[str, str]]]:
        seen: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = self.rfile.read(int(self.headers["Content-Length"]))
                seen.append({**self.headers, "body": question.decode()})
                content = body.encode() if isinstance(body, str) else body
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        signer = Signer()
        sts, iam = (
            signer.service(name, "eu-central-1", f"http://127.0.0.1:{server.server_port}") for name in ("sts", "iam")
        )
        return Aws(httpx.Client(trust_env=False), signer, sts=sts, iam=iam), seen

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, ""), (400, "Throttling"), (400, "RequestLimitExceeded"), (503, "SlowDown"), (403, "ThrottlingException")],
)
def test_throttling_is_known_by_its_status_or_its_code(answering, status: int, code: str) -> None:
    aws, _ = answering(status, ERROR.format(code) if code else "", Retry_After="7")
    with pytest.raises(RateLimitError) as caught:
        aws.identity()
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failing_aws_is_unavailable_and_that_is_no_rate_limit(answering, status: int) -> None:
    aws, _ = answering(status)
    with pytest.raises(ProviderUnavailableError, match=str(status)) as caught:
        aws.identity()
    assert isinstance(caught.value, ServiceUnavailable)
    assert not isinstance(caught.value, RateLimitError)


@pytest.mark.parametrize(
    ("code", "advice"),
    [("AccessDenied", "IAM"), ("ExpiredToken", "Log in"), ("SignatureDoesNotMatch", "clock"), ("Other", "credentials")],
)
def test_a_refusal_says_what_to_do(answering, code: str, advice: str) -> None:
    aws, _ = answering(403, ERROR.format(code))
    with pytest.raises(ProviderRefusedError) as caught:
        aws.alias()
    assert advice in caught.value.next_step
    assert code in caught.value.why


def test_an_answer_without_end_is_cut_off(answering) -> None:
    aws, _ = answering(200, b"x" * 200_000)
    with pytest.raises(ProviderAnswerError, match="longer"):
        aws.identity()


def test_a_closed_port_is_unavailable_and_says_why() -> None:
    signer = Signer()
    here = signer.service("sts", "eu-central-1", "http://127.0.0.1:1")
    with pytest.raises(ProviderUnavailableError, match="refused"):
        Aws(httpx.Client(trust_env=False), signer, sts=here, iam=here).identity()


def test_a_question_is_signed_for_its_service_and_region_and_holds_no_secret(answering) -> None:
    aws, seen = answering(403, ERROR.format("AccessDenied"))
    with pytest.raises(ProviderRefusedError):
        aws.identity()
    (headers,) = seen
    assert "/eu-central-1/sts/aws4_request" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "token-of-the-tests"
    assert headers["body"] == "Action=GetCallerIdentity&Version=2011-06-15"
    assert SECRET not in repr(headers)


@pytest.mark.parametrize("status", [200, 403, 429, 500])
def test_no_error_holds_a_secret(answering, status: int) -> None:
    aws, _ = answering(status, ERROR.format("AccessDenied"))
    with pytest.raises(ProdSprintsError) as caught:
        aws.identity()
    assert SECRET not in repr(vars(caught.value)) and "token-of-the-tests" not in repr(vars(caught.value))


def test_what_is_secret_is_learned_before_anything_is_sent() -> None:
    learned: list[str] = []
    signer = Signer(on_secret=lambda *values: learned.extend(values))
    signer.signed(signer.service("sts", "eu-central-1"), "")
    assert learned == [SECRET, "token-of-the-tests"]


def test_a_worker_without_credentials_is_told_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    signer = Signer()
    with pytest.raises(NoCredentialsError, match="AWS_PROFILE"):
        signer.signed(signer.service("sts", "eu-central-1"), "")


def test_a_profile_that_does_not_exist_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    signer = Signer()
    with pytest.raises(NoCredentialsError, match="ProfileNotFound"):
        signer.signed(signer.service("sts", "eu-central-1"), "")


@pytest.mark.parametrize(
    ("name", "region", "url", "signs_as"),
    [
        ("sts", "eu-central-1", "https://sts.eu-central-1.amazonaws.com/", "eu-central-1"),
        ("iam", "eu-central-1", "https://iam.amazonaws.com/", "us-east-1"),
        ("sts", "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/", "cn-north-1"),
    ],
)
def test_each_service_is_where_aws_has_it(name: str, region: str, url: str, signs_as: str) -> None:
    service = Signer().service(name, region)
    assert (service.url, service.region) == (url, signs_as)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:5000",
        "http://[::1]:5000/",
        "https://localhost:4566",
        "https://vpce-1.sts.eu-central-1.vpce.amazonaws.com",
        "https://sts-fips.eu-central-1.amazonaws.com",
        "https://sts.amazonaws.com",
    ],
)
def test_an_endpoint_is_amazons_or_on_this_machine(endpoint: str) -> None:
    assert Signer().service("sts", "eu-central-1", endpoint).url == endpoint.rstrip("/") + "/"


@pytest.mark.parametrize(
    "endpoint",
    [
        *("http://sts.eu-central-1.amazonaws.com", "https://amazonaws.com.attacker.test", "https://attacker.test"),
        *(
            "https://attackeramazonaws.com",
            "http://169.254.169.254/",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "127.0.0.1",
        ),
        *(
            "http://user:word@127.0.0.1",
            "http://127.0.0.1/path",
            "http://127.0.0.1?x",
            "http://127.0.0.1:port",
            "https://[",
        ),
        *("https://a1b2c3.execute-api.eu-central-1.amazonaws.com", "https://sts.s3.amazonaws.com"),
        *("https://x.vpce-svc-1.eu-central-1.vpce.amazonaws.com", "https://sts.elb.amazonaws.com"),
        *("https://x.amazonaws.com.cn", "http://localhost.attacker.test", "https://x.amazonaws.com@attacker.test"),
    ],
)
def test_signed_requests_go_nowhere_else(endpoint: str) -> None:
    with pytest.raises(UnknownPlaceError):
        Signer().service("sts", "eu-central-1", endpoint)


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(UnknownPlaceError, match="region"):
        Signer().service("sts", "xx-nowhere-1")
