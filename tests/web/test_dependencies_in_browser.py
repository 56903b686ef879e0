"""Dependencies in a real browser: they age and recover while one looks, and a keyboard freezes one."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from playwright.sync_api import expect

from prodsprints.store.database import Database
from web.support_browser import IN_A_BROWSER, Window, log_in, no_fault_of
from web.support_sightings import Providers, day
from web.test_dependencies import place

pytestmark = IN_A_BROWSER


@pytest.fixture
def providers(database: Database) -> Iterator[Providers]:
    one = Providers(database)
    yield one
    one.take_down()


def test_a_page_that_is_open_follows_what_happens(window: Window, providers: Providers) -> None:
    world = day(providers)["slack"]
    page = window.open(place(world.guard.name))
    expect(page.locator("#head .state")).to_have_text("Open")
    world.clock.seconds += 61
    world.call(["answer"])
    providers.tell(world)
    expect(page.locator("#head .state")).to_have_text("Closed")
    providers.age(40)
    expect(page.locator("#head .state")).to_have_text("Not heard of")
    assert window.complaints == []


def test_a_keyboard_freezes_and_thaws(window: Window, providers: Providers, database: Database, tenant: UUID) -> None:
    world = day(providers)["github"]
    log_in(window, database, tenant)
    page = window.open(place(world.guard.name))
    page.get_by_text("Freeze", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("1 hour")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#head .tag")).to_contain_text("frozen for")
    expect(page.locator("#counts")).to_contain_text("ada froze main for 1 h")
    page.get_by_text("Thaw", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#head .tag")).to_have_count(0)
    assert window.complaints == []


@pytest.mark.parametrize(
    "window",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"color_scheme": "dark", "viewport": {"width": 375, "height": 740}},
    ],
    indirect=True,
    ids=["light", "dark", "narrow"],
)
def test_no_page_is_hard_to_use(window: Window, providers: Providers, database: Database, tenant: UUID) -> None:
    worlds = day(providers)
    no_fault_of(window.open("/dependencies"))
    log_in(window, database, tenant)
    no_fault_of(window.open(place(worlds["slack"].guard.name)))
    window.page.get_by_text("Freeze", exact=True).click()
    no_fault_of(window.page)
