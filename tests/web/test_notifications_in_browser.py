"""The pages of notifications in a real Chromium: held against axe, light, dark and small; sent without a script."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from prodsprints.notify import outbox
from prodsprints.notify.message import Message
from prodsprints.store.database import Database
from web.support_browser import IN_A_BROWSER, Window, log_in, no_fault_of

pytestmark = IN_A_BROWSER


@pytest.fixture
def furnished(database: Database, tenant: UUID) -> list[UUID]:
    """A delivered one, a dead one, and one that waits."""
    ids = []
    for state, by, severity in (
        ("delivered", "mail", "critical"),
        ("dead", None, "warning"),
        ("waiting", None, "info"),
    ):
        message = Message.of("#ops", f"The release of shop v3 to production is {state}\nIt erred.", severity=severity)
        id = outbox.add(database, tenant, message, requested_by="release", id=uuid4()).id
        with database.tenant(tenant) as connection:
            connection.execute(
                "insert into notification_attempts (notification_id, number, channel, outcome, words, seconds) values"
                " (%s, 1, 'slack', 'failed', 'no answer within 3 s', 3.0), (%s, 2, 'mail', %s, 'what it said', 0.1)",
                [id, id, "delivered" if by else "refused"],
            )
            if state != "waiting":
                connection.execute(
                    "update notifications set state = %s, delivered_by = %s, ended_at = clock_timestamp(),"
                    " reason = 'mail: what it said' where id = %s",
                    [state, by, id],
                )
        ids.append(id)
    return ids


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
def test_axe_finds_nothing_serious_on_any_page_of_notifications(
    window: Window, furnished: list[UUID], database: Database, tenant: UUID
) -> None:
    log_in(window, database, tenant)
    for path in ("/notifications", "/notifications?state=dead", *(f"/notifications/{id}" for id in furnished)):
        no_fault_of(window.open(path))
    assert not window.complaints
