"""Drills and evidence in a real Chromium: live, by keyboard, without a script, on paper, and held against axe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from playwright.sync_api import expect

from prodsprints.drills import runs
from prodsprints.drills.stage import Arm
from prodsprints.drills.verdict import Outcome
from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database
from prodsprints.web.app import create_app
from prodsprints.web.site import Site
from support_storm import ROW
from web.support_browser import IN_A_BROWSER, Window, log_in, no_fault_of
from web.support_drills import ENTRY, Drillroom, arm, with_drills

pytestmark = IN_A_BROWSER

PAPER = {"width": 704, "height": 1000}


@pytest.fixture
def furnish() -> Callable[[Site], Site]:
    return lambda site: with_drills(site, ENTRY)


@pytest.fixture
def room(settings: Settings, database: Database, tenant: UUID, furnish: Callable[[Site], Site]) -> Iterator[Drillroom]:
    yield Drillroom(furnish(create_app(settings, database).state.site), tenant)
    with database.tenant(tenant) as connection:
        connection.execute("update drill_runs set status = 'ended', outcome = 'none' where status <> 'ended'")


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
def test_axe_finds_nothing_serious_on_the_pages_of_drills_and_evidence(window: Window, room: Drillroom) -> None:
    failed, held = room.ended(Outcome.FAILED), room.ended()
    running = room.asked()
    room.begin(running)
    room.tell(running, arm(Arm.TREATMENT, holds=True), arm(Arm.PLACEBO, holds=False), until=3.0)
    for path in (
        "/drills", f"/drill-runs/{failed.id}", f"/drill-runs/{held.id}", f"/drill-runs/{running.id}",
        f"/journals/{held.placebo_journal}", "/evidence", f"/evidence/{held.evidence_index}", "/evidence/verification",
    ):  # fmt: skip
        no_fault_of(window.open(path))
    assert not window.complaints


def test_the_keyboard_breaks_a_row_and_an_open_page_follows_the_drill_to_its_end(
    window: Window, room: Drillroom, database: Database, tenant: UUID
) -> None:
    log_in(window, database, tenant)
    page = window.open("/drills")
    button = page.get_by_role("button", name=re.compile(f"Break it: {ROW}"))
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#head .state")).to_have_text("Queued")
    asked = runs.run(database, tenant, UUID(page.url.rsplit("/", 1)[-1]))
    assert asked is not None
    room.begin(asked)
    treatment, placebo = arm(Arm.TREATMENT, holds=True), arm(Arm.PLACEBO, holds=False)
    told = room.tell(asked, treatment, placebo, until=3.0)
    expect(page.locator(".arm.treatment .phases [aria-current]")).to_have_text("probes")
    expect(page.locator(".arm.placebo .broken")).to_be_visible()
    room.tell(asked, treatment, placebo, first=told, after=3.0)
    room.end(asked, Outcome.HELD, treatment, placebo, "The control held.")
    expect(page.locator("#head .state")).to_have_text("Held")
    expect(page.locator("#result .moved")).to_contain_text("Proven")
    expect(page.get_by_role("link", name="Signed evidence, entry 2")).to_be_visible()
    expect(page.locator("body")).not_to_have_attribute("data-refresh", re.compile(".*"))
    assert not window.complaints


def test_a_page_that_refreshes_itself_leaves_the_keyboard_where_it_was(
    window: Window, room: Drillroom, database: Database, tenant: UUID
) -> None:
    log_in(window, database, tenant)
    page = window.open("/drills")
    button = page.get_by_role("button", name=re.compile(f"Break it: {ROW}"))
    button.focus()
    room.asked(variant="another")
    expect(page.locator("#runs")).to_contain_text("another")
    expect(button).to_be_focused()


@pytest.mark.parametrize("window", [{"java_script_enabled": False}], indirect=True)
def test_without_a_script_a_row_is_broken_and_its_evidence_found_in_two_clicks(
    window: Window, room: Drillroom, database: Database, tenant: UUID
) -> None:
    held = room.ended()
    log_in(window, database, tenant)
    page = window.open(f"/rows/{ROW}")
    page.locator(f'a[href="/evidence/{held.evidence_index}"]').first.click()
    for shown in ("a double of ours", "Ed25519", "Root at", "With the control"):
        expect(page.get_by_text(shown).first).to_be_visible()
    page.get_by_role("link", name="Placebo: the bare peer").click()
    expect(page.get_by_text("Broke, as it must")).to_be_visible()
    page = window.open("/drills")
    page.get_by_role("button", name=re.compile(f"Break it: {ROW}")).click()
    expect(page.locator("#head .state")).to_have_text("Queued")
    assert page.locator("noscript meta, meta[http-equiv=refresh]").count() == 1


@pytest.mark.parametrize(
    "window", [{"color_scheme": "dark", "viewport": {"width": 704, "height": 1000}}], indirect=True
)
def test_on_paper_everything_is_dark_on_white_and_nothing_is_cut(window: Window, room: Drillroom) -> None:
    held = room.ended()
    window.page.emulate_media(media="print")
    for path in ("/drills", f"/drill-runs/{held.id}", "/evidence", f"/evidence/{held.evidence_index}", "/risks"):
        page = window.open(path)
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") in {
            "rgba(0, 0, 0, 0)",
            "rgb(255, 255, 255)",
        }
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert page.evaluate("document.documentElement.scrollWidth") <= 704, path
        expect(page.locator(".bar")).to_be_hidden()
    page = window.open(f"/drill-runs/{held.id}")
    left, right = (page.locator(f".arm.{which} svg").bounding_box() for which in ("treatment", "placebo"))
    assert left is not None
    assert right is not None
    assert left["x"] + left["width"] <= right["x"]
