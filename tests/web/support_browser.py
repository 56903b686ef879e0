"""A real Chromium for the tests of the pages, and its windows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from prodsprints.store.database import Database
from prodsprints.web import tokens

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
_QUIET = [
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(_CHROMIUM is None and not os.environ.get("CI"), reason="browser: no Chromium on this machine"),
]


@pytest.fixture(scope="module")  # its event loop would be in the way of other modules
def chromium() -> Iterator[Browser]:
    assert _CHROMIUM, "in CI the tests marked `browser` are mandatory: install Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, chromium_sandbox=os.geteuid() != 0, args=_QUIET)
        yield browser
        browser.close()


class Window:
    """A browser window that remembers what its console complained about."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.address = address
        self.page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.complaints: list[str] = []
        self.page.on("console", lambda message: message.type in {"error", "warning"} and self._note(message.text))
        self.page.on("pageerror", lambda error: self._note(str(error)))

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        return self.page

    def _note(self, complaint: str) -> None:
        self.complaints.append(f"{self.page.url}: {complaint}")


@pytest.fixture
def window(chromium: Browser, serving: str, request: pytest.FixtureRequest) -> Iterator[Window]:
    options: dict[str, Any] = getattr(request, "param", {})
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    yield Window(context, serving)
    context.close()


def log_in(window: Window, database: Database, tenant: UUID) -> None:
    code = tokens.mint(database, tenant, actor="ada", purpose="login", seconds=60).value
    window.open(f"/login/{code}").get_by_role("button", name="Log in here").click()
    expect(window.page.get_by_role("button", name="Log out")).to_be_visible()


def no_fault_of(page: Page) -> None:
    """What axe calls serious, and what reaches out of the window."""
    found = Axe().run(page).response["violations"]
    serious = [
        (violation["id"], [node["html"] for node in violation["nodes"]][:3])
        for violation in found
        if violation["impact"] in {"serious", "critical"}
    ]
    assert not serious, (page.url, serious)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, page.url
