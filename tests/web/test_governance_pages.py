"""The forms of governance without a script: what was typed is kept, what is sent twice acts once, readers read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database
from prodsprints.web import tokens
from prodsprints.web.identity import SESSION_COOKIE
from prodsprints.web.pages import navigation
from prodsprints.web.site import Site
from support_storm import ROW, storm
from web.support_drills import ENTRY, with_drills
from web.support_governance import Settle, form_id, in_days, moment, settling, words

PAGES = (
    "/", "/risks", "/risks/R001", "/rows/S001.5", "/import", "/attestations/new", "/attestations/new?row=S001.5",
    "/acceptances/new", "/acceptances/new?risk=R001", "/incidents", "/incidents/new", "/incidents/new?risk=R001",
    "/reports", "/reports/new", "/reviews", "/reviews/new?kind=weekly", "/indicators", "/trend", "/contacts", "/login",
)  # fmt: skip


@pytest.fixture
def furnish() -> Callable[[Site], Site]:
    return lambda site: with_drills(site, ENTRY)


@pytest.fixture
def settle(settings: Settings, database: Database, tenant: UUID) -> Settle:
    return settling(settings, database, tenant)


@pytest.fixture
def browser(serving: str, database: Database, tenant: UUID) -> httpx.Client:
    """Somebody with a session, on our own pages."""
    value = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    cookies = {SESSION_COOKIE: value}
    return httpx.Client(base_url=serving, cookies=cookies, headers={"Origin": serving}, trust_env=False)


def sent(browser: httpx.Client, form: str, to: str, **typed: object) -> httpx.Response:
    """The form at `form`, filled in and sent."""
    return browser.post(to, data={"id": form_id(browser.get(form)), **typed})


def test_every_page_has_the_button_that_reports_a_risk(client: httpx.Client) -> None:
    for path in PAGES:
        page = client.get(path)
        assert page.status_code == 200, path
        assert 'href="/reports/new">Report a risk</a>' in page.text, path
    assert 'href="/reports/new">Report a risk</a>' in client.get("/no/such/page").text


def test_a_reader_sees_no_form_and_where_to_log_in(client: httpx.Client) -> None:
    for path in PAGES:
        text = client.get(path).text
        assert 'method="post"' not in text, path
        if "/new" in path or path == "/import":
            assert "You are reading" in words(client.get(path)), path


@pytest.mark.parametrize(
    ("section", "entry"), [("incidents", "risks"), ("import", "risks"), ("contacts", "reviews"), ("drills", "drills")]
)
def test_a_page_belongs_to_one_entry_of_the_bar(section: str, entry: str) -> None:
    assert navigation.entry(section) == entry
    assert any(place.section == section for place in navigation.below(section) or navigation.BAR)


def test_the_line_below_the_bar_says_where_one_is(client: httpx.Client) -> None:
    page = client.get("/incidents").text
    assert '<a href="/incidents" aria-current="page">Incidents</a>' in page
    assert '<a href="/risks" aria-current="true">Risks</a>' in page
    assert 'class="below"' not in client.get("/releases").text


def test_a_signature_leads_to_the_row_which_shows_its_words_and_how_long_it_counts(
    browser: httpx.Client, settle: Settle
) -> None:
    form = "/attestations/new?row=S001.5"
    typed = {"row": "S001.5", "environment": "demo", "evidence": "Minutes <b>of</b> the audit.", "until": in_days(30)}
    answer = sent(browser, form, "/attestations", **typed)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rows/S001.5?environment=demo#sign")
    waiting = browser.get("/rows/S001.5")
    assert "On its way into the log Minutes <b>of</b> the audit." in words(waiting)
    assert "<b>of</b>" not in waiting.text
    settle()
    shown = words(browser.get("/rows/S001.5"))
    assert "Regular security audits and penetration tests Attested" in shown
    assert f"Counts Minutes <b>of</b> the audit. ada, just now , until {in_days(30)}" in shown


def test_what_was_typed_stays_when_it_cannot_be_meant(browser: httpx.Client) -> None:
    typed = {"row": "S001.5", "environment": "demo", "evidence": "Minutes & more.", "until": "2036-13-01"}
    page = sent(browser, "/attestations/new?row=S001.5", "/attestations", **typed)
    assert page.status_code == 422
    assert 'role="alert"' in page.text
    assert "Minutes &amp; more.</textarea>" in page.text
    assert 'value="2036-13-01"' in page.text
    corrected = typed | {"id": form_id(page), "until": in_days(3)}
    assert browser.post("/attestations", data=corrected).status_code == 303


@pytest.mark.parametrize(
    ("form", "to", "typed", "kept"),
    [
        ("/acceptances/new?risk=B001", "/acceptances", {"risk": "B001", "reason": "Cheap.", "until": ""}, "Cheap."),
        (
            "/incidents/new?risk=R001",
            "/incidents",
            {"risk": "R001", "rows": ["R001.2"], "title": "", "what_happened": "It stood still."},
            "It stood still.",
        ),
        ("/reports/new", "/reports", {"title": "t" * 121, "description": "Only one region."}, "Only one region."),
        ("/reviews/new", "/reviews", {"kind": "monthly", "attendees": "", "decisions": "Go on."}, "Go on."),
        ("/import", "/import", {"markdown": "# Shopping\n\n- milk\n"}, "# Shopping\n\n- milk\n"),
    ],
)
def test_each_form_keeps_what_was_typed(
    browser: httpx.Client, form: str, to: str, typed: dict[str, object], kept: str
) -> None:
    page = sent(browser, form, to, environment="demo", **typed)
    assert page.status_code == 422, page.text
    assert 'role="alert"' in page.text
    assert kept in page.text
    if "rows" in typed:
        assert 'value="R001.2" checked' in page.text


def test_a_form_that_is_sent_twice_acts_once_and_with_other_words_asks(browser: httpx.Client) -> None:
    id = form_id(browser.get("/reports/new"))
    typed = {"id": id, "title": "One region", "description": "Only one."}
    first, second = (browser.post("/reports", data=typed) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    other = browser.post("/reports", data=typed | {"title": "Another"})
    assert other.status_code == 422
    assert "This form was sent before, with other words." in words(other)
    assert 'value="Another"' in other.text
    assert form_id(other) != id
    assert len(browser.get("/v1/reports").json()["items"]) == 1


def test_an_acceptance_shows_on_the_risk_and_in_the_list(browser: httpx.Client, settle: Settle) -> None:
    typed = {"risk": "B001", "environment": "demo", "reason": "The market decides.", "until": in_days(30)}
    answer = sent(browser, "/acceptances/new?risk=B001", "/acceptances", **typed)
    assert answer.headers["location"] == "/risks/B001?environment=demo#acceptance"
    settle()
    shown = words(browser.get("/risks/B001"))
    assert "Treatment Accept" in shown
    assert "Holds The market decides. ada" in shown
    assert "Critical accepted" in words(browser.get("/risks"))


def test_an_incident_goes_from_declared_to_linked_to_closed(browser: httpx.Client, settle: Settle) -> None:
    told = {"risk": "R001", "environment": "demo", "title": "Throttled", "what_happened": "It\nstood still."}
    page = sent(browser, "/incidents/new?risk=R001", "/incidents", rows=[ROW, "R001.2"], security="yes", **told)
    address = page.headers["location"]
    settle()
    shown = words(browser.get(address))
    assert "Throttled Contradicts" in shown
    assert "Contradicts R001.1 R001.2" in shown
    assert "security" in shown
    assert "R001.2 is contradicted by an incident" in words(browser.get("/"))
    drill = f"{ROW} {storm.variant}"
    assert f'<option value="{drill}">' in browser.get(address).text
    assert sent(browser, address, f"{address}/link", drill=drill).status_code == 303
    unknown = sent(browser, address, f"{address}/link", drill=f"{ROW} nothing")
    assert unknown.status_code == 422
    assert "No drill of R001.1 is called" in words(unknown)
    empty = sent(browser, address, f"{address}/close", outcome="")
    assert "The outcome is empty." in words(empty)
    assert sent(browser, address, f"{address}/close", outcome="Quota raised.").status_code == 303
    settle()
    shown = words(browser.get(address))
    assert f"It stands until {storm.variant}, changed since it was declared, is held." in shown
    assert "Quota raised. Closed just now by ada." in shown
    assert "Throttled security R001 R001.1, R001.2 demo Contradicts closed" in words(browser.get("/incidents"))
    assert "Throttled" in words(browser.get("/risks/R001"))
    assert "Throttled" in words(browser.get("/rows/R001.2"))
    assert "Throttled" not in words(browser.get("/rows/R001.3"))


def test_an_overdue_report_comes_first_and_names_to_whom_it_goes(
    browser: httpx.Client, database: Database, tenant: UUID
) -> None:
    for title in ("Old", "New"):
        answer = sent(browser, "/reports/new", "/reports", title=title, description="Seen.")
        if title == "Old":
            old = answer.headers["location"]
            with database.tenant(tenant) as connection:
                late = timedelta(days=3)
                connection.execute("update risk_report_steps set created_at = now() - %s", [late])
                connection.execute("update risk_reports set created_at = now() - %s", [late])
    listed = words(browser.get("/reports"))
    assert "1 overdue" in listed
    assert listed.index("Old Assess") < listed.index("New Assess")
    assert "to the platform lead" in listed
    assert "It is now a matter for the platform lead" in words(browser.get(old))
    assert sent(browser, old, f"{old}/advance", stage="assess", note="High, likely.").status_code == 303
    again = sent(browser, old, f"{old}/advance", stage="assess", note="Twice.")
    assert again.status_code == 422
    assert "does not wait for" in words(again)
    assert "Twice.</textarea>" in again.text
    assert "Plan Waited for" in words(browser.get(old))


def test_a_review_that_was_recorded_moves_the_calendar_and_is_read_as_it_was(
    browser: httpx.Client, settle: Settle
) -> None:
    assert "Overdue since 2024-02-01" in words(browser.get("/reviews"))
    typed = {"kind": "monthly", "environment": "demo", "attendees": "Ada, Bob", "decisions": "R001:\nraise it."}
    assert sent(browser, "/reviews/new?kind=monthly", "/reviews", **typed).status_code == 303
    settle()
    shown = words(browser.get("/reviews"))
    assert "Overdue" not in shown
    assert "R001: raise it. With Ada, Bob. It was due on 2024-02-01. Recorded just now by ada." in shown
    assert "no review is overdue" in words(browser.get("/risks"))
    wrong = sent(browser, "/reviews/new", "/reviews", **(typed | {"kind": "dayly"}))
    assert wrong.status_code == 422
    assert "There is no 'dayly' review" in words(wrong)


def test_contacts_are_named_for_who_is_logged_in_only(browser: httpx.Client, client: httpx.Client) -> None:
    assert browser.post("/contacts/legal", data={"name": "Grace", "reach": "grace@example.org"}).status_code == 303
    assert "Grace Address or number grace@example.org" in words(browser.get("/contacts"))
    reader = words(client.get("/contacts"))
    assert "Grace" not in reader
    assert "g…@…" in reader
    assert browser.post("/contacts/press", data={"name": "Bob", "reach": "12345"}).status_code == 404


def test_a_contact_is_tested_with_a_code_that_is_shown_once(browser: httpx.Client) -> None:
    browser.post("/contacts/legal", data={"name": "Grace", "reach": "grace@example.org"})
    page = browser.post("/contacts/legal/test")
    code = re.search(r'code-shown mono">(\w+)<', page.text)
    assert code
    assert code[1] not in browser.get("/contacts").text
    wrong = browser.post("/contacts/legal/confirm", data={"code": "nonsense"})
    assert wrong.status_code == 422
    assert "That is not the code that was sent." in words(wrong)
    assert browser.post("/contacts/legal/confirm", data={"code": code[1]}).headers["location"] == "/contacts#legal"
    assert "Legal Counsel Reached" in words(browser.get("/contacts"))
    kept = browser.post("/contacts/legal", data={"name": "", "reach": "typed@example.org"})
    assert kept.status_code == 422
    assert 'value="typed@example.org"' in kept.text
    assert browser.post("/contacts/legal/remove").status_code == 303
    assert "Legal Counsel Nobody" in words(browser.get("/contacts"))


def test_a_foreign_page_cannot_say_anything_in_ones_name(browser: httpx.Client) -> None:
    for to in ("/attestations", "/acceptances", "/incidents", "/reports", "/reviews", "/import", "/contacts/legal"):
        answer = browser.post(to, data={"id": form_id(browser.get("/reports/new"))}, headers={"Origin": "http://evil"})
        assert answer.status_code == 403, to


def test_the_trend_shows_the_day_and_the_row_that_moved(browser: httpx.Client, settle: Settle) -> None:
    assert "No row changed its status" in words(browser.get("/trend"))
    told = {"row": "S001.5", "evidence": "Minutes.", "expires_at": moment(30)}
    assert browser.post("/v1/attestations", json=told).status_code == 201
    settle()
    page = browser.get("/trend?days=14")
    assert "S001.5 Unproven Attested A person signed for it." in words(page)
    assert 'class="trend-chart"' in page.text
    assert "<style" not in page.text
    assert "0 proven, 1 attested" in page.text


def test_indicators_without_data_say_so_and_draw_nothing(client: httpx.Client) -> None:
    page = client.get("/indicators")
    assert "Customers lost in a month Executive Team – No data" in words(page)
    assert page.text.count('class="sparkline"') == 2
    assert "<style" not in page.text
