"""The pages of governance in a real Chromium: held against axe, used by keyboard and without a script, and printed."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from playwright.sync_api import expect

from prodsprints import incidents
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.log import Ledger
from prodsprints.register import contacts, escalation
from prodsprints.store.database import Database
from web.support_browser import IN_A_BROWSER, Window, log_in, no_fault_of
from web.support_governance import settling

pytestmark = IN_A_BROWSER


@pytest.fixture
def furnished(settings: Settings, database: Database, tenant: UUID) -> tuple[UUID, UUID]:
    """An incident, a report and a contact; the ids of the first two."""
    ledger = Ledger(database, tenant, Keyring.open(settings.home))
    incident = incidents.declare(
        database,
        ledger,
        id=uuid4(),
        known={"R001": ["R001.1"]},
        risk="R001",
        rows=["R001.1"],
        environment="demo",
        title="Throttled for an hour",
        what_happened="All deployments stood still.",
        actor="ada",
        security=True,
    )
    report = escalation.report(database, tenant, id=uuid4(), title="One region", description="Only one.", actor="ada")
    contacts.put(database, tenant, role="platform", name="Ada Lovelace", reach="ada@example.org")
    settling(settings, database, tenant)()
    return incident.id, report.id


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
def test_axe_finds_nothing_serious_on_any_page_of_governance(
    window: Window, furnished: tuple[UUID, UUID], database: Database, tenant: UUID
) -> None:
    log_in(window, database, tenant)
    incident, report = furnished
    for path in (
        "/rows/S001.5", "/import", "/attestations/new?row=S001.5", "/incidents", "/incidents/new?risk=R001",
        f"/incidents/{incident}", "/reports", f"/reports/{report}", "/reviews", "/reviews/new?kind=monthly",
        "/indicators", "/trend", "/contacts",
    ):  # fmt: skip
        no_fault_of(window.open(path))
    assert not window.complaints


@pytest.mark.parametrize("window", [{"java_script_enabled": False}], indirect=True)
def test_without_a_script_a_risk_is_reported_assessed_and_an_incident_closed(
    window: Window, furnished: tuple[UUID, UUID], database: Database, tenant: UUID
) -> None:
    log_in(window, database, tenant)
    page = window.open("/risks/R001")
    page.get_by_role("link", name="Report a risk").click()
    page.get_by_label("What could go wrong").fill("Our DNS provider has one region")
    page.get_by_label("What you saw").fill("Seen during the last maintenance.")
    page.get_by_role("button", name="Report it").click()
    expect(page.locator("[aria-current=step]")).to_contain_text("Assess")
    page.get_by_label("What was found or done").fill("High, likely.")
    page.get_by_role("button", name="Assess: done").click()
    expect(page.locator("[aria-current=step]")).to_contain_text("Plan")
    page = window.open(f"/incidents/{furnished[0]}")
    page.get_by_label("What came of it").fill("Quota raised.")
    page.get_by_role("button", name="Close the incident").click()
    expect(page.locator("#outcome")).to_contain_text("Quota raised.")


def test_the_keyboard_signs_for_a_row(window: Window, database: Database, tenant: UUID) -> None:
    log_in(window, database, tenant)
    page = window.open("/rows/S001.5")
    page.get_by_role("link", name="Sign for it").focus()
    page.keyboard.press("Enter")
    evidence = page.get_by_label("Evidence", exact=False)
    evidence.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.type("Minutes of the audit.")
    page.get_by_role("button", name="Sign").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#sign")).to_contain_text("Minutes of the audit.")
    assert not window.complaints


def test_a_review_on_paper_is_its_agenda_and_room_to_write(
    window: Window, furnished: tuple[UUID, UUID], database: Database, tenant: UUID
) -> None:
    log_in(window, database, tenant)
    page = window.open("/reviews/new?kind=monthly")
    page.emulate_media(media="print")
    expect(page.get_by_text("R001, Throttled for an hour")).to_be_visible()
    expect(page.get_by_role("button", name="It was held")).to_be_hidden()
    expect(page.get_by_role("navigation", name="Reviews")).to_be_hidden()
    room = page.evaluate("parseFloat(getComputedStyle(document.querySelector('.record'), '::after').minHeight)")
    assert room > 100
