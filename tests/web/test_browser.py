"""The pages in a real Chromium: both colour schemes, by keyboard, without a script, and held against axe."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from playwright.sync_api import expect

from prodsprints.store.database import Database
from web.support_browser import IN_A_BROWSER, Window, log_in, no_fault_of
from web.support_workshop import Day, Workshop

pytestmark = IN_A_BROWSER


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
def test_axe_finds_nothing_serious_the_console_is_silent_and_nothing_overflows(window: Window, day: Day) -> None:
    paths = (
        "/", "/risks", "/risks/R001", "/rows/R001.1", "/releases", f"/releases/{day.rejected.id}",
        f"/releases/{day.running.id}", "/environments", f"/environments/{day.environment.id}", "/projects", "/login",
    )  # fmt: skip
    for path in paths:
        page = window.open(path)
        no_fault_of(page)
    assert not window.complaints


def test_the_first_screen_has_the_count_the_next_actions_and_the_heat_map(window: Window, day: Day) -> None:
    page = window.open("/")
    for shown in (
        page.get_by_role("heading", level=1),
        page.get_by_text("What to do next"),
        page.locator("svg.heatmap"),
    ):
        box = shown.bounding_box()
        assert box is not None
        assert box["y"] < 420
    expect(page.locator("svg.heatmap a")).to_have_count(24)


def test_the_keyboard_reaches_a_risk_from_the_first_page_and_shows_where_it_is(window: Window) -> None:
    page = window.open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "/risks/S003":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement.querySelector('rect')).strokeWidth")
    assert outline == "2.5px"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("S003")
    assert not window.complaints


def test_the_keyboard_can_abort_a_release(window: Window, day: Day, database: Database, tenant: UUID) -> None:
    log_in(window, database, tenant)
    page = window.open(f"/releases/{day.running.id}")
    page.locator("#confirm-abort > summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Abort this release")).to_be_focused()
    focused = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert focused == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_text("asked for this release to stop")).to_be_visible()
    assert not window.complaints


@pytest.mark.parametrize("window", [{"java_script_enabled": False}], indirect=True)
def test_without_a_script_everything_can_be_read_and_done(
    window: Window, day: Day, database: Database, tenant: UUID
) -> None:
    log_in(window, database, tenant)
    page = window.open("/")
    page.get_by_role("link", name=re.compile("See why shop v3")).click()
    expect(page.locator(".sentence")).to_contain_text("Rejected after")
    expect(page.locator("svg.canary-chart")).to_be_visible()
    expect(page.locator("#log")).to_contain_text("38 tests passed.")
    page.get_by_text("7 findings", exact=True).click()
    expect(page.get_by_text("app/main.py:11", exact=True)).to_be_visible()
    page = window.open(f"/releases/{day.running.id}")
    page.locator("#confirm-promote > summary").click()
    page.get_by_role("button", name="Give v4 all traffic").click()
    expect(page.get_by_text("Promoted by hand")).to_be_visible()


def test_an_open_page_follows_the_release_to_its_end(window: Window, workshop: Workshop) -> None:
    release = workshop.release(workshop.environment())
    workshop.begin(release)
    workshop.say(release, ("audit", "began", "audit"))
    page = window.open(f"/releases/{release.id}")
    expect(page.locator("#head .state")).to_have_text("Running")
    workshop.step(release, 1, "audit", "done", "fastapi")
    workshop.say(release, ("audit", "line", "a line that was not there"), ("audit", "ended", "fastapi"))
    expect(page.locator("#log")).to_contain_text("a line that was not there")
    expect(page.locator("#steps")).to_contain_text("fastapi")
    workshop.canary(release, seconds=5, error_rate=0)
    expect(page.locator("svg.canary-chart")).to_be_visible()
    workshop.finish(release, "released", "Good to keep.")
    expect(page.locator("#head .state")).to_have_text("Released")
    expect(page.locator("#head")).to_contain_text("Good to keep.")
    assert page.locator("#log li").count() == 4
    assert not window.complaints


@pytest.mark.parametrize("window", [{"color_scheme": "light"}], indirect=True)
def test_the_chosen_colours_are_remembered_and_there_before_the_page_is_drawn(window: Window) -> None:
    page = window.open("/")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Switch between light and dark").click()
    dark = page.evaluate(ground)
    assert dark != light
    assert window.open("/risks").evaluate(ground) == dark
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(ground) == light
    assert not window.complaints
