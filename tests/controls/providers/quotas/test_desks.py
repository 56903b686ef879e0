"""Each provider's desk against a double that answers in its published shapes: asked, read, sent, and told apart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controls.providers.quotas.support_quotas import Answering, Api, Told, api, followed
from prodsprints.controls.providers.errors import (
    NoCredentialsError,
    ProviderAnswerError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.quotas import book, desks, exchange
from prodsprints.controls.providers.quotas.aws import AwsDesk
from prodsprints.controls.providers.quotas.azure import AzureDesk
from prodsprints.controls.providers.quotas.errors import QuotaInputError
from prodsprints.controls.providers.quotas.gcp import GcpDesk
from prodsprints.controls.providers.quotas.keeper import QuotaKeeper
from prodsprints.controls.providers.quotas.model import Kind, Place, State
from prodsprints.controls.providers.signing import Signer
from prodsprints.guard import RateLimitError
from prodsprints.kernel import clock
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.store.database import Database

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=14)
ID = UUID(int=7)
ACCOUNT = "123456789012"
AWS = Place("aws", ACCOUNT, "eu-central-1", "vpc", "L-DF5E4CA3")
GCP = Place("gcp", "shop-production", "europe-west3", "compute.googleapis.com", "CPUS-per-project-region")
AZURE = Place("azure", "0b1f6471-1bf0-4dda-aec3-cb9272f09590", "westeurope", "Microsoft.Compute", "standardFSv2Family")
SECRET = "a-token-of-the-tests"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


class Hurried:
    """Time that passes a thousand times as fast: what is throttled is tried again at once."""

    def now(self) -> float:
        return time.monotonic() * 1_000

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 1_000)

    async def asleep(self, seconds: float) -> None:
        raise NotImplementedError


@contextmanager
def aws(answer: Answering, *, account: str = ACCOUNT) -> Iterator[tuple[AwsDesk, Api]]:
    with api(answer) as double, httpx.Client(trust_env=False, timeout=5) as http:
        yield AwsDesk(http, Signer(), Guards(clock=Hurried()), account=lambda _: account, endpoint=double.url), double


@contextmanager
def gcp(answer: Answering, *, contact: str = "ops@example.test") -> Iterator[tuple[GcpDesk, Api]]:
    with api(answer) as double, httpx.Client(trust_env=False, timeout=5) as http:
        yield (
            GcpDesk(
                http,
                Guards(clock=Hurried()),
                token=lambda: SECRET,
                contact=lambda: contact,
                quotas=double.url,
                monitoring=double.url,
            ),
            double,
        )


@contextmanager
def azure(answer: Answering) -> Iterator[tuple[AzureDesk, Api]]:
    with api(answer) as double, httpx.Client(trust_env=False, timeout=5) as http:
        yield AzureDesk(http, Guards(clock=Hurried()), token=lambda: SECRET, management=double.url), double


def operation(told: Told) -> str:
    return told.headers.get("X-Amz-Target", "").rpartition(".")[2]


def aws_quota(**more: Any) -> dict[str, Any]:
    return {
        "Quota": {
            "ServiceCode": "vpc",
            "QuotaCode": "L-DF5E4CA3",
            "QuotaName": "Network interfaces per Region",
            "Value": 5000.0,
            "Unit": "None",
            "Adjustable": True,
            **more,
        }
    }


USAGE = {
    "MetricNamespace": "AWS/Usage",
    "MetricName": "ResourceCount",
    "MetricDimensions": {"Service": "VPC"},
    "MetricStatisticRecommendation": "Maximum",
}


# --- AWS


def test_aws_tells_limit_and_use(database: Database) -> None:
    points = [{"Timestamp": NOW.timestamp() - back * 3600, "Maximum": 100.0 - back} for back in range(3)]

    def answer(told: Told) -> tuple[int, Any]:
        return 200, aws_quota(UsageMetric=USAGE) if operation(told) == "GetServiceQuota" else {"Datapoints": points}

    with aws(answer) as (desk, double):
        reading = desk.read(AWS, SINCE, NOW)
    assert (reading.limit, reading.kind, reading.unit, reading.adjustable) == (5000.0, Kind.RESOURCE, "", True)
    assert sorted(sample.used for sample in reading.samples) == [98.0, 99.0, 100.0]
    asked = double.asked[1]
    assert "/eu-central-1/monitoring/aws4_request" in asked.headers["Authorization"]
    assert asked.body["Dimensions"] == [{"Name": "Service", "Value": "VPC"}]
    assert (asked.body["Period"], asked.body["Statistics"]) == (3600, ["Maximum"])


def test_a_rate_of_aws_is_a_sum_over_its_own_period(database: Database) -> None:
    usage = {**USAGE, "MetricStatisticRecommendation": "Sum", "MetricName": "CallCount"}

    def answer(told: Told) -> tuple[int, Any]:
        if operation(told) == "GetServiceQuota":
            return 200, aws_quota(UsageMetric=usage, Period={"PeriodValue": 1, "PeriodUnit": "SECOND"})
        return 200, {"Datapoints": [{"Timestamp": NOW.timestamp() - 60, "Sum": 1200.0}]}

    with aws(answer) as (desk, double):
        reading = desk.read(AWS, SINCE, NOW)
    assert reading.kind is Kind.RATE
    assert [sample.used for sample in reading.samples] == [20.0]  # a second, of 1,200 in a minute
    body = double.asked[1].body
    assert body["Period"] == 60
    assert (body["EndTime"] - body["StartTime"]) / 60 <= 1440  # as many points as one answer holds


def test_a_quota_whose_use_aws_does_not_tell_says_so() -> None:
    with aws(lambda _: (200, aws_quota())) as (desk, _):
        reading = desk.read(AWS, SINCE, NOW)
    assert reading.samples == () and "by hand" in reading.note


def test_points_that_cannot_be_are_left_out() -> None:
    ahead = NOW.timestamp() + 86_400
    points: list[Any] = [{"Timestamp": ahead, "Maximum": 1.0}, {"Timestamp": NOW.timestamp(), "Maximum": -1.0}, 3, {}]
    points += [{"Timestamp": "x", "Maximum": 1.0}, {"Timestamp": NOW.timestamp(), "Maximum": "NaN"}]

    def answer(told: Told) -> tuple[int, Any]:
        return 200, aws_quota(UsageMetric=USAGE) if operation(told) == "GetServiceQuota" else {"Datapoints": points}

    with aws(answer) as (desk, _):
        assert desk.read(AWS, SINCE, NOW).samples == ()


def test_what_aws_is_asked_for_is_its_request_and_is_found_again() -> None:
    made = {"Id": "r-1", "Status": "PENDING", "QuotaCode": AWS.code}

    def answer(told: Told) -> tuple[int, Any]:
        if operation(told) == "ListRequestedServiceQuotaChangeHistoryByQuota":
            return 200, {"RequestedQuotas": [{**made, "Id": "r-0", "Status": "DENIED"}, made]}
        return 200, {"RequestedQuota": {**made, "Status": "APPROVED"} if "RequestId" in told.body else made}

    with aws(answer) as (desk, double):
        call = desk.call(AWS, 14_000, "because", ID)
        assert call.body == {"ServiceCode": "vpc", "QuotaCode": "L-DF5E4CA3", "DesiredValue": 14_000}
        assert (desk.send(AWS, call).state, desk.send(AWS, call).id) == (State.SENT, "r-1")
        assert double.asked[0].body == call.body
        assert double.asked[0].headers["X-Amz-Target"] == call.headers["X-Amz-Target"]
        found = desk.pending(AWS, call)
        assert found is not None and found.id == "r-1"


@pytest.mark.parametrize(
    ("status", "state"),
    [("PENDING", State.SENT), ("CASE_OPENED", State.SENT), ("APPROVED", State.GRANTED), ("DENIED", State.DENIED),
     ("CASE_CLOSED", State.DENIED), ("NOT_APPROVED", State.DENIED), ("INVALID_REQUEST", State.DENIED)],
)  # fmt: skip
def test_each_status_of_aws_is_known(database: Database, tenant: UUID, status: str, state: State) -> None:
    quota = followed(database, tenant, limit=None, place=AWS)
    with aws(lambda _: (200, {"RequestedQuota": {"Id": "r-1", "Status": status}})) as (desk, _):
        assert desk.follow(quota, "r-1").state is state


def test_credentials_of_another_account_speak_for_nobody_else() -> None:
    with aws(lambda _: (200, aws_quota()), account="999999999999") as (desk, double):
        with pytest.raises(ProviderRefusedError, match="999999999999"):
            desk.read(AWS, SINCE, NOW)
        assert double.asked == []


@pytest.mark.parametrize(
    "place",
    [
        Place("aws", "12", "eu-central-1", "vpc", "L-1"),
        Place("aws", ACCOUNT, "nowhere", "vpc", "L-1"),
        Place("aws", ACCOUNT, "eu-central-1", "", "L-1"),
        Place("aws", ACCOUNT, "eu-central-1", "vpc", "1"),
    ],
)
def test_a_quota_that_aws_cannot_have_is_refused(place: Place) -> None:
    with aws(lambda _: (200, {})) as (desk, _), pytest.raises(QuotaInputError, match="is not"):
        desk.check(place)


# --- every provider alike


READS = {"aws": (aws, AWS), "gcp": (gcp, GCP), "azure": (azure, AZURE)}


@pytest.mark.parametrize("provider", READS)
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>log in</html>", ProviderAnswerError),
        (200, b"[" * 100_000, ProviderAnswerError),
        (200, b'"text"', ProviderAnswerError),
        (200, b"x" * 2_000_000, ProviderAnswerError),
        (200, {}, ProviderAnswerError),
        (500, b"", ProviderUnavailableError),
        (503, {"message": "later"}, ProviderUnavailableError),
        (429, {}, RateLimitError),
        (403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no\x00pe"}}, ProviderRefusedError),
        (404, b"", ProviderRefusedError),
    ],
)
def test_every_failure_of_a_provider_is_told_apart_without_a_secret(
    provider: str, status: int, body: Any, kind: type[ProdSprintsError]
) -> None:
    open_desk, place = READS[provider]
    with open_desk(lambda _: (status, body)) as (desk, _), pytest.raises(kind) as caught:
        desk.read(place, SINCE, NOW)
    assert caught.value.next_step
    assert SECRET not in repr(vars(caught.value)) and "\x00" not in str(caught.value)


@pytest.mark.parametrize("limit", [0, -1, "NaN", "1e999", None, True, "many"])
@pytest.mark.parametrize("provider", READS)
def test_a_provider_that_states_no_limit_is_not_believed(provider: str, limit: Any) -> None:
    open_desk, place = READS[provider]
    whole = {
        **aws_quota(Value=limit),
        "dimensionsInfos": [{"details": {"value": limit}}],
        "properties": {"limit": {"value": limit}},
    }
    with (
        open_desk(lambda _: (200, whole)) as (desk, _),
        pytest.raises(ProviderAnswerError, match="not what its API promises"),
    ):
        desk.read(place, SINCE, NOW)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["Quota", "Value", "error", "code", "properties", "limit", "value", "name", "dimensionsInfos"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(anything, st.sampled_from([("Quota", "Value"), ("properties", "limit", "value"), ("error", "code")]))
@settings(max_examples=150)
def test_whatever_an_answer_holds_is_read_or_is_none(answer: Any, path: tuple[str, ...]) -> None:
    found = exchange.number(answer, *path)
    assert found is None or abs(found) <= 1e15
    assert len(exchange.text(answer, *path)) <= 200
    assert all(isinstance(one, dict) for one in exchange.items(answer, *path))


# --- Google


def info(**more: Any) -> dict[str, Any]:
    return {
        "quotaId": GCP.code,
        "metric": "compute.googleapis.com/cpus",
        "quotaDisplayName": "CPUs",
        "metricUnit": "1",
        "dimensionsInfos": [
            {"dimensions": {"region": "us-central1"}, "details": {"value": "72"}},
            {"dimensions": {"region": "europe-west3"}, "details": {"value": "48"}},
            {"details": {"value": "24"}, "applicableLocations": ["asia-east1"]},
        ],
        "quotaIncreaseEligibility": {"isEligible": True},
        **more,
    }


def test_google_tells_the_limit_of_the_region_and_its_use() -> None:
    point = {"interval": {"endTime": "2026-11-29T11:00:00Z"}, "value": {"int64Value": "31"}}

    def answer(told: Told) -> tuple[int, Any]:
        return 200, {"timeSeries": [{"points": [point]}]} if "timeSeries" in told.path else info()

    with gcp(answer) as (desk, double):
        reading = desk.read(GCP, SINCE, NOW)
    assert (reading.limit, reading.name, reading.unit, reading.kind) == (48.0, "CPUs", "", Kind.RESOURCE)
    assert [sample.used for sample in reading.samples] == [31.0]
    assert double.asked[0].headers["Authorization"] == f"Bearer {SECRET}"
    question = parse_qs(urlsplit(double.asked[1].path).query)
    assert 'metric.label.quota_metric="compute.googleapis.com/cpus"' in question["filter"][0]
    assert 'resource.label.location="europe-west3"' in question["filter"][0]


def test_a_rate_of_google_is_counted_by_its_own_period() -> None:
    point = {"interval": {"endTime": "2026-11-29T11:00:00Z"}, "value": {"int64Value": "6000"}}

    def answer(told: Told) -> tuple[int, Any]:
        return 200, {"timeSeries": [{"points": [point]}]} if "timeSeries" in told.path else info(
            refreshInterval="minute"
        )

    with gcp(answer) as (desk, _):
        reading = desk.read(GCP, SINCE, NOW)
    assert reading.kind is Kind.RATE
    assert [sample.used for sample in reading.samples] == [100.0]  # a minute, of 6,000 an hour


def test_google_is_sent_a_preference_under_the_requests_own_id() -> None:
    preference = {"name": "projects/1/locations/global/quotaPreferences/prodsprints-7", "reconciling": True}
    preference |= {"quotaConfig": {"preferredValue": "96"}, "dimensions": {"region": "europe-west3"}}

    def answer(told: Told) -> tuple[int, Any]:
        return 200, preference if told.method == "POST" else {"quotaPreferences": [preference]}

    with gcp(answer) as (desk, double):
        call = desk.call(GCP, 96.0, "because", ID)
        assert desk.send(GCP, call).state is State.SENT
        assert desk.pending(GCP, call) is not None
    assert f"quotaPreferenceId=prodsprints-{ID}" in double.asked[0].path
    assert double.asked[0].body == {
        "service": "compute.googleapis.com",
        "quotaId": GCP.code,
        "quotaConfig": {"preferredValue": "96"},
        "justification": "because",
        "dimensions": {"region": "europe-west3"},
        "contactEmail": "ops@example.test",
    }


@pytest.mark.parametrize(
    ("granted", "reconciling", "state"),
    [(None, False, State.SENT), ("48", True, State.SENT), ("96", False, State.GRANTED), ("48", False, State.DENIED)],
)
def test_what_google_grants_is_known(
    database: Database, tenant: UUID, granted: str | None, reconciling: bool, state: State
) -> None:
    config = {"preferredValue": "96"} | ({"grantedValue": granted} if granted else {})
    preference = {"name": "projects/1/x", "quotaConfig": config, "reconciling": reconciling}
    quota = followed(database, tenant, limit=None, place=GCP)
    with gcp(lambda _: (200, preference)) as (desk, _):
        assert desk.follow(quota, "projects/1/x").state is state


def test_google_takes_no_increase_without_a_contact_and_says_so_before_it_is_asked() -> None:
    with gcp(lambda _: (200, {}), contact="") as (desk, double):
        with pytest.raises(ProviderRefusedError, match="address"):
            desk.send(GCP, desk.call(GCP, 96.0, "because", ID))
        assert double.asked == []


# --- Azure


def test_azure_tells_limit_and_use() -> None:
    def answer(told: Told) -> tuple[int, Any]:
        if "/usages/" in told.path:
            return 200, {"properties": {"usages": {"value": 10}}}
        return 200, {
            "name": AZURE.code,
            "properties": {
                "limit": {"limitObjectType": "LimitValue", "value": 100},
                "unit": "Count",
                "name": {"value": AZURE.code, "localizedValue": "Standard FSv2 Family vCPUs"},
                "isQuotaApplicable": True,
            },
        }

    with azure(answer) as (desk, double):
        reading = desk.read(AZURE, SINCE, NOW)
    assert (reading.limit, reading.name, reading.samples[0].used) == (100.0, "Standard FSv2 Family vCPUs", 10.0)
    scope = f"/subscriptions/{AZURE.account}/providers/Microsoft.Compute/locations/westeurope"
    assert double.asked[0].path == f"{scope}/providers/Microsoft.Quota/quotas/{AZURE.code}?api-version=2025-03-01"


def test_azure_is_sent_the_limit_and_followed_by_its_request() -> None:
    request = {
        "name": "r-1",
        "properties": {"provisioningState": "InProgress", "value": [{"name": {"value": AZURE.code}}]},
    }

    def answer(told: Told) -> tuple[int, Any]:
        if told.method == "PUT":
            return 202, {"name": AZURE.code, "properties": {"limit": {"value": 100}}}
        return 200, {"value": [request]}

    with azure(answer) as (desk, double):
        call = desk.call(AZURE, 250.0, "because", ID)
        sent = desk.send(AZURE, call)
    assert double.asked[0].body == {
        "properties": {"limit": {"limitObjectType": "LimitValue", "value": 250}, "name": {"value": AZURE.code}}
    }
    assert (sent.id, sent.state) == ("r-1", State.SENT)


@pytest.mark.parametrize(
    ("status", "state"),
    [("Accepted", State.SENT), ("InProgress", State.SENT), ("Succeeded", State.GRANTED), ("Failed", State.DENIED),
     ("Invalid", State.DENIED)],
)  # fmt: skip
def test_each_state_of_azure_is_known(database: Database, tenant: UUID, status: str, state: State) -> None:
    quota = followed(database, tenant, limit=None, place=AZURE)
    with azure(lambda _: (200, {"name": "r-1", "properties": {"provisioningState": status}})) as (desk, _):
        assert desk.follow(quota, "r-1").state is state


# --- the worker's own


def test_a_token_is_read_from_a_file_that_is_closed_to_others(tmp_path: Path) -> None:
    learned: list[str] = []
    file = tmp_path / "secrets" / "gcp-token"
    file.parent.mkdir()
    with pytest.raises(NoCredentialsError, match="gcp-token"):
        desks.token(tmp_path, "gcp-token", "gcloud", learned.extend)
    file.write_text(SECRET + "\n")
    file.chmod(0o644)
    with pytest.raises(NoCredentialsError, match="open to others") as caught:
        desks.token(tmp_path, "gcp-token", "gcloud", learned.extend)
    assert SECRET not in str(caught.value)
    file.chmod(0o600)
    assert desks.token(tmp_path, "gcp-token", "gcloud", lambda *values: learned.extend(values)) == SECRET
    assert learned == [SECRET]
    file.write_text("two\nlines")
    with pytest.raises(NoCredentialsError):
        desks.token(tmp_path, "gcp-token", "gcloud", learned.extend)


def test_a_provider_that_fails_is_noted_and_what_is_known_stays(database: Database, tenant: UUID) -> None:
    quota = followed(database, tenant, [100.0 + day for day in range(30)], limit=None, place=AWS)
    book.set_limit(database, tenant, quota.id, 150.0)
    with aws(lambda _: (500, b"")) as (desk, _):
        review = QuotaKeeper(database, {"aws": desk}).review(tenant, quota.id)
    assert "does not answer" in review.quota.trouble
    assert review.quota.limit == 150.0 and review.forecast is not None and review.forecast.used == 129.0


def test_a_request_that_aws_has_from_another_hand_is_taken_for_ours(database: Database, tenant: UUID) -> None:
    quota = followed(database, tenant, [100.0 + day for day in range(30)], limit=None, place=AWS)
    book.set_limit(database, tenant, quota.id, 135.0)
    theirs = {"Id": "r-9", "Status": "CASE_OPENED"}

    def answer(told: Told) -> tuple[int, Any]:
        return 200, aws_quota(Value=135.0) if operation(told) == "GetServiceQuota" else {"RequestedQuotas": [theirs]}

    with aws(answer) as (desk, double):
        keeper = QuotaKeeper(database, {"aws": desk})
        request = keeper.review(tenant, quota.id).request
        assert request is not None and request.call is not None
        book.ask(database, tenant, request.id, desired=request.desired, actor="ada")
        sent = keeper.deliver(tenant, request.id)
    assert (sent.state, sent.provider_id, sent.provider_status) == (State.SENT, "r-9", "CASE_OPENED")
    assert "RequestServiceQuotaIncrease" not in [operation(told) for told in double.asked]
    assert clock.now() - sent.sent_at < timedelta(minutes=1)
