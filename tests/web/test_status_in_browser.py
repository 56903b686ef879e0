"""The status page and the page of services in a real Chromium: both colour schemes, on a phone, and on paper."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import expect

from prodsprints.kernel import clock
from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database
from web.support_browser import IN_A_BROWSER, Window, log_in, no_fault_of
from web.support_status import WELL, furnished, saw

pytestmark = IN_A_BROWSER


@pytest.fixture
def full(database: Database, settings: Settings, tenant: UUID) -> UUID:
    furnished(database, settings, tenant, clock.now())
    return tenant


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
def test_axe_finds_nothing_serious_and_nothing_overflows(
    window: Window, full: UUID, database: Database, request: pytest.FixtureRequest
) -> None:
    no_fault_of(window.open("/status"))
    _picture(window, f"status-{request.node.callspec.id}")
    log_in(window, database, full)
    no_fault_of(window.open("/services"))
    _picture(window, f"services-{request.node.callspec.id}")
    page = window.open("/incidents")
    page.get_by_role("link", name="Inner title").first.click()
    expect(page.get_by_role("heading", name="On the status page")).to_be_visible()
    no_fault_of(page)
    _picture(window, f"incident-{request.node.callspec.id}")
    assert not window.complaints


def test_a_screen_reader_hears_each_service_its_state_and_its_history(window: Window, full: UUID) -> None:
    page = window.open("/status")
    expect(page.get_by_role("status")).to_contain_text("Mails and Search are down or degraded")
    bars = page.get_by_role("img", name="Shop: the last 90 days")
    expect(bars).to_be_visible()
    expect(bars.locator("desc")).to_contain_text("Down on")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    assert not page.context.cookies()


@pytest.mark.parametrize("window", [{"java_script_enabled": False}], indirect=True)
def test_without_a_script_it_reads_the_same_and_prints(window: Window, full: UUID) -> None:
    page = window.open("/status")
    expect(page.locator(".overall")).to_contain_text("Mails and Search")
    page.emulate_media(media="print")
    expect(page.locator("svg.history-bars").first).to_be_visible()
    _picture(window, "status-print")


def test_an_open_page_brings_itself_up_to_date(window: Window, full: UUID, database: Database) -> None:
    page = window.open("/status")
    with database.tenant(full) as connection:
        row = connection.execute("select id, seen_at from watched_services where name = 'Search'").fetchone()
    assert row is not None
    saw(database, full, row["id"], clock.now(), *[WELL] * 3, step=0.001)
    search = page.locator("#services li").filter(has=page.get_by_role("heading", name="Search"))
    expect(search.locator(".state")).to_have_text("Works", timeout=20_000)
    assert not window.complaints


def _picture(window: Window, name: str) -> None:
    """For whoever wants to look: set PRODSPRINTS_PICTURES to a directory."""
    to = os.environ.get("PRODSPRINTS_PICTURES")
    if to:
        window.page.screenshot(path=Path(to) / f"{name}.png", full_page=True)
