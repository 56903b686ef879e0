"""The pages of a release that went on from the mirror, and of its project, in a real Chromium."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from playwright.sync_api import expect

from prodsprints.controls.integrations import mirror_records
from prodsprints.controls.integrations.mirror import Noted
from prodsprints.kernel import clock
from prodsprints.release import records
from prodsprints.store.database import Database
from web.support_browser import IN_A_BROWSER, Window, no_fault_of
from web.support_workshop import Workshop

pytestmark = IN_A_BROWSER

URL = "https://git.example.com/platform-engineering/shop.git"
SAID = (
    "v2 is 3f9c1e0d2b7a, from the mirror as of 2026-11-29T02:05:26.471Z (3 h ago); the host does not answer: "
    "The Git host hangs. It sent nothing for 20 s."
)


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
def test_a_release_from_the_mirror_says_so_above_its_steps(
    window: Window, workshop: Workshop, database: Database, tenant: UUID
) -> None:
    place = records.ensure_environment(
        database, tenant, project="shop", repository=URL, environment="production", node="workbench"
    )
    release = workshop.release(place, "v2", repository=URL)
    workshop.begin(release)
    degraded = {"integration": "git-host", "said": SAID, "mirror_age_seconds": 10_800.0}
    workshop.step(release, 1, "source", "done", SAID, detail={"degradations": [degraded]})
    now = clock.now()
    noted = Noted(URL, now - timedelta(minutes=4), now - timedelta(hours=3), 48_234_496, "The Git host hangs.")
    mirror_records.note(database, tenant, "workbench", noted)
    page = window.open(f"/releases/{release.id}")
    expect(page.get_by_text("Without the Git host:")).to_be_visible()
    no_fault_of(page)
    page = window.open("/projects/shop")
    expect(page.get_by_text("could not fetch from the Git host")).to_be_visible()
    no_fault_of(page)
    assert not window.complaints
