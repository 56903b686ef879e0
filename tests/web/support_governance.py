"""What the tests of governance share: pages as words, forms as a browser sends them, and a log that goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from uuid import UUID

import httpx

from prodsprints.kernel import clock
from prodsprints.kernel.settings import Settings
from prodsprints.ledger.keyring import Keyring
from prodsprints.ledger.sequencer import Sequencer
from prodsprints.ledger.witness import Witness
from prodsprints.store.database import Database

Settle = Callable[[], None]


def settling(settings: Settings, database: Database, tenant: UUID) -> Settle:
    """What gives everything that was said its place in the log, as a worker does."""
    return lambda: Sequencer(database, Keyring.open(settings.home), Witness.open(settings)).sequence(tenant) and None


def words(page: httpx.Response) -> str:
    """A page's text, without its marks."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def form_id(page: httpx.Response) -> str:
    """The id of the (first) form on a page."""
    return page.text.split('name="id" value="')[1].split('"')[0]


def in_days(days: int) -> str:
    """A day as a form sends it."""
    return str(clock.now().date() + timedelta(days=days))


def moment(days: float) -> str:
    """A moment as a program sends it."""
    return clock.iso(clock.now() + timedelta(days=days))
