"""botocore's clients through a guard, against moto's server and a server that answers as AWS in trouble does."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from guard.transports.support_server import Answer, answering
from prodsprints.guard import (
    CallTimeoutError,
    CircuitBreaker,
    CircuitOpenError,
    Guard,
    RateLimitError,
    Retry,
    ServiceUnavailable,
)
from prodsprints.guard.errors import GuardInputError
from prodsprints.guard.transports.botocore import config_for, guarded
from support_ports import free_block
from support_waiting import eventually

XML = {"Content-Type": "text/xml"}
THROTTLING = b"<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
EC2_ERROR = b"<Response><Errors><Error><Code>InternalError</Code><Message>oops</Message></Error></Errors></Response>"
IDENTITY = (
    b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    b"<Arn>arn:aws:iam::123456789012:user/a</Arn><UserId>A</UserId><Account>123456789012</Account>"
    b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
THROTTLED, ANSWERED, BROKEN = Answer(400, THROTTLING, XML), Answer(200, IDENTITY, XML), Answer(500, b"", XML)


def guard_of(**options: Any) -> Guard:
    settings: dict[str, Any] = {"retry": Retry(wait=lambda _: 0.0), "deadline_seconds": 20, "freeze_seconds": 0.01}
    return Guard("aws", **(settings | options))


def client_of(name: str, url: str, **options: Any) -> Any:
    return botocore.session.Session().create_client(
        name,
        region_name="eu-central-1",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="a-secret-of-the-tests",
        **options,
    )


def sts(guard: Guard, url: str) -> Any:
    return guarded(client_of("sts", url, config=config_for(guard)), guard)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    port = free_block(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: listening(port))
        yield url
    finally:
        process.kill()
        process.wait()


def test_a_guarded_client_works_as_before(moto: str) -> None:
    guard = guard_of(deadline_seconds=60)
    assert sts(guard, moto).get_caller_identity()["Account"] == "123456789012"
    ec2 = guarded(client_of("ec2", moto, config=config_for(guard)), guard)
    made = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"]
    assert len(made) == 1 and len(ec2.describe_instances()["Reservations"]) == 1
    with pytest.raises(ClientError, match="InvalidInstanceID"):
        ec2.describe_instances(InstanceIds=["i-0000000000000dead"])
    assert guard._layers.breaker.failures_in_a_row == 0


def test_a_throttled_call_is_made_again_and_freezes_the_key() -> None:
    with answering([THROTTLED, Answer(400, THROTTLING, XML | {"Retry-After": "1"}), ANSWERED]) as server:
        guard = guard_of()
        assert sts(guard, server.url).get_caller_identity()["Account"] == "123456789012"
    assert server.times[2] - server.times[1] >= 1.0
    assert (guard.snapshot().throttled, guard.snapshot().retries, guard.snapshot().circuit) == (2, 2, "closed")


def test_botocore_s_own_retries_are_off_whatever_it_was_built_with() -> None:
    with answering([BROKEN]) as server:
        guard = guard_of(retry=Retry.never())
        client = client_of("sts", server.url, config=Config(connect_timeout=1, read_timeout=1))
        with pytest.raises(ServiceUnavailable, match="AWS answers 500 to STS GetCallerIdentity"):
            guarded(client, guard).get_caller_identity()
        assert len(server.seen) == 1


def test_a_call_that_changes_something_is_not_made_again_unless_a_token_makes_it_safe() -> None:
    with answering([Answer(500, EC2_ERROR, XML)]) as server:
        guard = guard_of()
        ec2 = guarded(client_of("ec2", server.url, config=config_for(guard)), guard)
        with pytest.raises(ServiceUnavailable, match="may have been done"):
            ec2.create_tags(Resources=["i-1"], Tags=[{"Key": "a", "Value": "b"}])
        assert len(server.seen) == 1
        with pytest.raises(ServiceUnavailable):
            ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)
        tokens = {part for _, body in server.seen[1:] for part in body.split(b"&") if part.startswith(b"ClientToken=")}
        assert len(server.seen) > 2 and len(tokens) == 1


def test_who_cannot_be_reached_is_unavailable_and_opens_the_breaker() -> None:
    guard = guard_of(breaker=CircuitBreaker(failure_threshold=2))
    client = sts(guard, f"http://127.0.0.1:{free_block(1)}")
    with pytest.raises(CircuitOpenError):
        client.get_caller_identity()
    with pytest.raises(CircuitOpenError):
        client.get_caller_identity()
    assert guard.snapshot().trips == 1


def test_a_call_that_hangs_ends_in_time() -> None:
    with answering([Answer(wait_seconds=30)]) as server:
        began = time.monotonic()
        with pytest.raises(CallTimeoutError):
            sts(guard_of(timeout_seconds=0.2, deadline_seconds=0.5), server.url).get_caller_identity()
        assert time.monotonic() - began < 10


def test_a_retry_after_of_a_year_is_raised_at_once() -> None:
    with answering([Answer(429, THROTTLING, XML | {"Retry-After": "31536000"})]) as server:
        with pytest.raises(RateLimitError) as caught:
            sts(guard_of(), server.url).get_caller_identity()
        assert caught.value.retry_after == 31_536_000 and len(server.seen) == 1


def test_a_body_from_a_file_is_sent_whole_each_time() -> None:
    with answering([Answer(503, b"", XML), Answer(200, b"", XML)]) as server:
        guard = guard_of(retry=Retry(wait=lambda _: 0.0, retry=lambda _: True))
        s3 = guarded(client_of("s3", server.url, config=config_for(guard, s3={"addressing_style": "path"})), guard)
        with pytest.raises(ServiceUnavailable):  # PutObject has no token: nobody knows whether it was done
            s3.put_object(Bucket="b", Key="k", Body=io.BytesIO(b"whole"))
    with answering([Answer(429, b"", XML), Answer(200, b"", XML)]) as server:
        s3 = guarded(client_of("s3", server.url, config=config_for(guard, s3={"addressing_style": "path"})), guard)
        s3.put_object(Bucket="b", Key="k", Body=io.BytesIO(b"whole"))
        assert [b"whole" in body for _, body in server.seen] == [True, True]


@pytest.mark.parametrize(
    "config",
    [Config(), Config(connect_timeout=1, read_timeout=60), Config(connect_timeout=60, read_timeout=1)],
    ids=["default", "read", "connect"],
)
def test_a_client_that_waits_longer_than_its_guard_is_refused(config: Config) -> None:
    with pytest.raises(GuardInputError, match=r"config_for\(guard\)"):
        guarded(client_of("sts", "http://127.0.0.1:9", config=config), guard_of())


def test_the_adaptive_mode_and_a_second_guard_are_refused() -> None:
    guard = guard_of()
    adaptive = Config(connect_timeout=1, read_timeout=1, retries={"mode": "adaptive"})
    with pytest.raises(GuardInputError, match="adaptive"):
        guarded(client_of("sts", "http://127.0.0.1:9", config=adaptive), guard)
    client = sts(guard, "http://127.0.0.1:9")
    with pytest.raises(GuardInputError, match="has a guard already"):
        guarded(client, guard)


def test_no_secret_and_no_address_is_in_an_error() -> None:
    client = sts(guard_of(retry=Retry.never()), f"http://127.0.0.1:{free_block(1)}")
    with pytest.raises(ServiceUnavailable) as caught:
        client.get_caller_identity()
    assert "a-secret-of-the-tests" not in str(caught.value) and "Signature" not in str(caught.value)
