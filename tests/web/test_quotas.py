"""Quotas over API, page and command line: followed, measured, foreseen, drafted, and sent once by a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4
from xml.etree import ElementTree

import httpx
import pytest

from controls.providers.quotas.support_quotas import daily, followed
from prodsprints.cli.main import main
from prodsprints.controls.providers.dependencies import board
from prodsprints.controls.providers.dependencies.recorder import Recorder
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.quotas import book
from prodsprints.controls.providers.quotas.keeper import QuotaKeeper
from prodsprints.controls.providers.quotas.model import Place, Quota, State
from prodsprints.guard import Guard
from prodsprints.kernel import clock
from prodsprints.kernel.errors import ExitCode
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.store.database import Database
from prodsprints.web import tokens
from prodsprints.web.identity import SESSION_COOKIE
from web.support_browser import IN_A_BROWSER, Window, log_in, no_fault_of
from web.support_governance import form_id, settling, words

AWS = {
    "provider": "aws",
    "account": "123456789012",
    "region": "eu-central-1",
    "service": "vpc",
    "code": "L-DF5E4CA3",
}
SEATS = {"provider": "acme", "account": "team-7", "code": "seats", "limit": 50}

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def browser(serving: str, database: Database, tenant: UUID) -> httpx.Client:
    value = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    return httpx.Client(base_url=serving, cookies={SESSION_COOKIE: value}, headers={"Origin": serving}, trust_env=False)


@pytest.fixture
def type_(
    serving: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Type:
    """The command line at this very server."""
    monkeypatch.setenv("PRODSPRINTS_HOME", str(tmp_path))
    monkeypatch.setenv("PRODSPRINTS_PORT", str(urlsplit(serving).port))
    monkeypatch.setenv("PRODSPRINTS_TOKEN", token)

    def run(*typed: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["quotas", *typed])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code and problem["next_step"], problem
    return str(problem["detail"])


def growing(database: Database, tenant: UUID) -> Quota:
    """One of AWS's, kept by hand here, whose limit is a week off: and its draft, as a worker makes it."""
    from prodsprints.controls.providers.quotas import desks

    values = [50.0 + day for day in range(44)]
    quota = followed(database, tenant, values, limit=100.0, place=Place(**AWS))
    with desks.opened(Path("/nowhere"), Guards()) as at:
        assert QuotaKeeper(database, at).review(tenant, quota.id).is_new
    return quota


# --- the API


def test_what_is_followed_measured_and_foreseen_is_told_whole(writer: httpx.Client, client: httpx.Client) -> None:
    made = writer.post("/v1/quotas", json=SEATS)
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    now = clock.now()
    samples = [{"used": one.used, "at": clock.iso(one.at)} for one in daily([20.0 + day for day in range(20)], now)]
    told = writer.post(f"/v1/quotas/{id}/use", json={"samples": samples}).json()
    assert (told["used"], told["state"], told["limit"]) == (39.0, "due", 50.0)
    assert told["earliest"] <= told["reaches"] and told["seconds_left"] > 0 and told["per_day"] == pytest.approx(1.0)
    whole = client.get(f"/v1/quotas/{id}").json()
    assert len(whole["days"]) == 20 and whole["requests"] == []
    [listed] = client.get("/v1/quotas", params={"provider": "acme"}).json()["items"]
    assert listed["id"] == id
    assert client.get("/v1/quotas", params={"provider": "aws"}).json()["items"] == []


def test_a_draft_is_the_exact_request_and_is_sent_once(
    writer: httpx.Client, database: Database, tenant: UUID, settings: Settings
) -> None:
    quota = growing(database, tenant)
    request = writer.get(f"/v1/quotas/{quota.id}").json()["request"]
    assert request["call"]["headers"]["X-Amz-Target"] == "ServiceQuotasV20190624.RequestServiceQuotaIncrease"
    assert request["call"]["body"]["DesiredValue"] == request["desired"] > 100
    send = f"/v1/quota-requests/{request['id']}/send"
    assert "by now" in refused(writer.post(send, json={"desired": 1.0}), 409, "providers/quota-request")
    answer = writer.post(send, json={"desired": request["desired"]})
    assert answer.json()["state"] == "asked"
    assert "never sent twice" in refused(
        writer.post(send, json={"desired": request["desired"]}), 409, "providers/quota-request"
    )
    refused(writer.post(f"/v1/quota-requests/{request['id']}/drop"), 409, "providers/quota-request")
    settling(settings, database, tenant)()
    said = [entry.statement.predicate for entry in Ledger(database, tenant, Keyring.open(settings.home)).entries()]
    assert "send quota request" in [one.get("action") for one in said]


def test_the_same_request_under_one_key_acts_once(writer: httpx.Client, database: Database, tenant: UUID) -> None:
    quota = growing(database, tenant)
    request = book.requests(database, tenant, quota.id)[0]
    key = {"Idempotency-Key": str(uuid4())}
    answers = [
        writer.post(f"/v1/quota-requests/{request.id}/send", json={"desired": request.desired}, headers=key)
        for _ in range(2)
    ]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (SEATS | {"limit": 0}, "limit"),
        (SEATS | {"limit": -3}, "limit"),
        (SEATS | {"limit": 1e300}, "limit"),
        (SEATS | {"limit": None}, "acme"),
        (SEATS | {"lead_days": 0}, "lead time"),
        (SEATS | {"published": True}, "either"),
        (SEATS | {"limit": None, "published": True}, "profile"),
        (SEATS | {"provider": "gcp", "limit": None, "published": True}, "publishes no limit"),
        (SEATS | {"account": "../etc"}, "account"),
        (AWS | {"account": "12"}, "12 digits"),
        (AWS | {"region": "mars"}, "region"),
        (AWS | {"provider": "azure"}, "subscription"),
        (AWS | {"provider": "gcp"}, "service"),
    ],
)
def test_a_quota_that_cannot_be_is_refused_with_a_next_step(
    writer: httpx.Client, told: dict[str, Any], says: str
) -> None:
    assert says in refused(writer.post("/v1/quotas", json=told), 422, "providers/quota-input")
    assert writer.get("/v1/quotas").json()["items"] == []


def test_numbers_that_are_none_are_refused_before_they_are_read(writer: httpx.Client) -> None:
    id = writer.post("/v1/quotas", json=SEATS).json()["id"]
    for body in ('{"limit": NaN}', '{"limit": Infinity}', '{"limit": "x"}', "{}", '{"limit": 1, "more": 2}'):
        answer = writer.post(f"/v1/quotas/{id}/limit", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, body
    ahead = {"samples": [{"used": 1, "at": "2999-01-01T00:00:00Z"}]}
    assert "yet to come" in refused(writer.post(f"/v1/quotas/{id}/use", json=ahead), 422, "providers/quota-input")
    assert "use" in refused(
        writer.post(f"/v1/quotas/{id}/use", json={"samples": [{"used": -1}]}), 422, "providers/quota-input"
    )


def test_what_nobody_follows_is_not_found(writer: httpx.Client) -> None:
    for path in (f"/v1/quotas/{uuid4()}", f"/v1/quotas/{uuid4()}/chart.svg"):
        refused(writer.get(path), 404, "providers/unknown-quota")
    refused(writer.post(f"/v1/quotas/{uuid4()}/draft"), 404, "providers/unknown-quota")
    refused(writer.post(f"/v1/quota-requests/{uuid4()}/send", json={"desired": 1}), 404, "providers/unknown-quota")
    refused(writer.delete(f"/v1/quotas/{uuid4()}"), 404, "providers/unknown-quota")


def test_a_reader_changes_nothing(client: httpx.Client, database: Database, tenant: UUID) -> None:
    quota = growing(database, tenant)
    request = book.requests(database, tenant, quota.id)[0]
    for answer in (
        client.post("/v1/quotas", json=SEATS),
        client.post(f"/v1/quotas/{quota.id}/limit", json={"limit": 7}),
        client.post(f"/v1/quota-requests/{request.id}/send", json={"desired": request.desired}),
        client.delete(f"/v1/quotas/{quota.id}"),
    ):
        assert answer.status_code == 401
    assert book.request(database, tenant, request.id).state is State.DRAFTED


def test_a_published_limit_comes_from_its_profile(writer: httpx.Client) -> None:
    told = {"provider": "aws-service-quotas", "account": "123456789012", "code": "calls", "published": True}
    made = writer.post("/v1/quotas", json=told).json()
    assert (made["limit"], made["source"], made["kind"]) == (5.0, "published", "rate")


@pytest.mark.parametrize("values", [[], [1.0], [50.0] * 60, [50.0 + day for day in range(44)], [100.0] * 9])
def test_each_chart_is_whole_and_names_no_number_that_is_none(
    client: httpx.Client, database: Database, tenant: UUID, values: list[float]
) -> None:
    quota = followed(database, tenant, values)
    drawn = client.get(f"/v1/quotas/{quota.id}/chart.svg")
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    ElementTree.fromstring(drawn.text)  # noqa: S314  # ours
    assert "nan" not in drawn.text.lower().replace("nano", "") and "inf" not in drawn.text.lower()


# --- the pages


def test_the_page_says_what_to_do_while_nothing_is_followed(client: httpx.Client) -> None:
    page = client.get("/quotas")
    assert page.status_code == 200
    assert "No quota is followed yet" in words(page) and "quotas follow aws" in page.text
    assert 'href="/quotas"' in client.get("/environments").text


def test_a_quota_is_followed_measured_and_forgotten_on_the_page(browser: httpx.Client) -> None:
    made = browser.post("/quotas", data={"id": form_id(browser.get("/quotas")), **SEATS, "limit": "50"})
    assert made.status_code == 303
    at = made.headers["location"]
    used = browser.post(f"{at}/use", data={"id": form_id(browser.get(at)), "used": "1,0"})
    assert used.status_code == 303
    assert "10 of 50" in words(browser.get(at))
    wrong = browser.post(f"{at}/limit", data={"id": form_id(browser.get(at)), "limit": "lots"})
    assert wrong.status_code == 422 and "is no number" in words(wrong)
    assert browser.post(f"{at}/forget").headers["location"] == "/quotas"
    assert browser.get(at).status_code == 404


def test_what_was_typed_wrongly_stays_in_the_form(browser: httpx.Client) -> None:
    answer = browser.post("/quotas", data={"id": form_id(browser.get("/quotas")), **AWS, "account": "12"})
    assert answer.status_code == 422
    assert "12 digits" in words(answer) and 'value="eu-central-1"' in answer.text


def test_the_draft_is_shown_as_it_would_be_sent_and_sent_by_its_button(
    browser: httpx.Client, database: Database, tenant: UUID
) -> None:
    quota = growing(database, tenant)
    page = browser.get(f"/quotas/{quota.id}")
    assert "RequestServiceQuotaIncrease" in page.text and "Send it to aws" in page.text
    request = book.requests(database, tenant, quota.id)[0]
    shown = {"id": form_id(page), "request": str(request.id), "desired": str(request.desired)}
    assert browser.post(f"/quotas/{quota.id}/send", data=shown).status_code == 303
    assert book.request(database, tenant, request.id).state is State.ASKED
    after = browser.get(f"/quotas/{quota.id}")
    assert "Being sent" in words(after) and "sent by ada" in words(after) and "Send it to aws" not in after.text


def test_a_foreign_page_sends_nothing(browser: httpx.Client, database: Database, tenant: UUID) -> None:
    quota = growing(database, tenant)
    request = book.requests(database, tenant, quota.id)[0]
    shown = {"id": str(uuid4()), "request": str(request.id), "desired": str(request.desired)}
    answer = browser.post(f"/quotas/{quota.id}/send", data=shown, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert book.request(database, tenant, request.id).state is State.DRAFTED


def test_what_people_wrote_is_text_on_the_page(writer: httpx.Client, client: httpx.Client) -> None:
    id = writer.post("/v1/quotas", json=SEATS | {"name": "<script>alert(1)</script>", "unit": "<b>"}).json()["id"]
    for path in ("/quotas", f"/quotas/{id}", f"/v1/quotas/{id}/chart.svg"):
        assert "<script>alert" not in client.get(path).text and "<b>" not in client.get(path).text


def test_the_page_of_a_dependency_says_how_long_its_quotas_last(
    client: httpx.Client, database: Database, tenant: UUID
) -> None:
    guard = Guard("acme/team-7")
    guard(lambda: None)()
    board.post(database, f"w-{uuid4().hex}", Recorder().look([guard.snapshot()], 0.0))
    assert "none foreseen" in words(client.get("/dependencies/acme%2Fteam-7"))
    quota = followed(database, tenant, [50.0 + day for day in range(44)])
    page = client.get("/dependencies/acme%2Fteam-7")
    assert f'href="/quotas/{quota.id}"' in page.text and "Quotas last until 20" in words(page)


# --- the command line


def test_from_following_to_sending_on_the_command_line(type_: Type, database: Database, tenant: UUID) -> None:
    code, out, _ = type_("list")
    assert code == 0 and "No quota is followed" in out
    code, out, _ = type_("follow", "acme", "team-7", "seats", "--limit", "50", "--json")
    made = json.loads(out)
    assert code == 0 and made["line"] == "quota"
    assert type_("use", "seats", "12")[0] == 0
    assert "12 of 50" in type_("show", made["id"][:8])[1]
    assert "12 of 80" in type_("set", "seats", "80")[1]
    quota = growing(database, tenant)
    code, out, _ = type_("list", "--exit-code")
    assert code == ExitCode.CHANGES and "drafted" in out
    assert type_("list")[0] == 0
    code, out, _ = type_("send", AWS["code"], "--yes")
    assert code == 0 and '"DesiredValue"' in out
    assert book.requests(database, tenant, quota.id)[0].state is State.ASKED
    code, _, err = type_("send", AWS["code"], "--yes")
    assert code == ExitCode.USAGE and "asked" in err
    assert "Request" in type_("draft", "seats")[1]
    assert type_("drop", "seats")[0] == 0
    assert type_("forget", "seats", "--yes")[0] == 0


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (("show", "nothing"), "No quota is called"),
        (("set", "nothing", "5"), "No quota is called"),
        (("follow", "acme", "t", "c", "--limit", "nan"), "limit"),
        (("follow", "acme", "t", "c", "--limit", "-1"), "limit"),
        (("follow", "acme", "t", "c"), "acme"),
        (("use", "nothing", "x"), "not a valid float"),
    ],
)
def test_bad_input_is_refused_in_words(type_: Type, typed: tuple[str, ...], says: str) -> None:
    code, _, err = type_(*typed)
    assert code == ExitCode.USAGE and says in err


# --- in a browser


@pytest.mark.parametrize(
    "window",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
    ],
    indirect=True,
    ids=["light", "dark", "phone"],
)
@IN_A_BROWSER[0]
@IN_A_BROWSER[1]
def test_axe_finds_nothing_serious_on_the_pages_of_quotas(window: Window, database: Database, tenant: UUID) -> None:
    log_in(window, database, tenant)
    no_fault_of(window.open("/quotas"))
    quota = growing(database, tenant)
    for path in ("/quotas", f"/quotas/{quota.id}"):
        no_fault_of(window.open(path))
