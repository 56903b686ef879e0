"""Importing a risk document: what is understood of it, on the page and over the API, and what stays of a bad one."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest

from prodsprints.kernel.settings import Settings
from prodsprints.register import documents
from prodsprints.store.database import Database
from prodsprints.web import tokens
from prodsprints.web.identity import SESSION_COOKIE
from web.support_governance import Settle, form_id, settling, words

OWN = """# Risks of the shop

## Risks

#### X001: The till stands still
- **Impact**: High
- **Probability**: Medium (40%)
- **Description**: Nobody can pay.
- **Impact if Occurs**: No sales.

**Mitigation Strategies:**
- ✅ A second till in the cellar
- 🔄 Cash is taken meanwhile
"""


@pytest.fixture
def settle(settings: Settings, database: Database, tenant: UUID) -> Settle:
    return settling(settings, database, tenant)


@pytest.fixture
def browser(serving: str, database: Database, tenant: UUID) -> httpx.Client:
    value = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    cookies = {SESSION_COOKIE: value}
    return httpx.Client(base_url=serving, cookies=cookies, headers={"Origin": serving}, trust_env=False)


def exported(client: httpx.Client) -> str:
    return client.get("/v1/register/export", params={"format": "markdown"}).text


def test_our_own_document_comes_back_joined_row_by_row_and_none_is_proven(browser: httpx.Client) -> None:
    page = browser.get("/import")
    assert "No document of your own was imported yet" in words(page)
    text = exported(browser)
    answer = browser.post("/import", data={"id": form_id(page)}, files={"file": ("RISKS.md", text.encode())})
    assert (answer.status_code, answer.headers["location"]) == (303, "/import#came")
    shown = words(browser.get("/import"))
    assert "What was understood of version 1" in shown
    assert "Risks 24 Mitigations 117 Claimed as implemented 116 Joined to our controls 117 of 117" in shown
    assert "by ada" in shown
    assert exported(browser) == text
    assert browser.get("/v1/register").json()["summary"]["proven"] == 0
    assert browser.get("/v1/evidence").status_code == 200


def test_a_document_of_ones_own_is_the_register_within_a_moment(browser: httpx.Client, settle: Settle) -> None:
    answer = browser.post("/import", data={"id": form_id(browser.get("/import")), "markdown": OWN})
    assert answer.status_code == 303, answer.text
    settle()
    shown = words(browser.get("/risks"))
    assert "1 risk with 2 mitigations: 1 claimed as implemented, 1 ongoing, 0 proven here" in shown
    assert "The till stands still" in words(browser.get("/risks/X001"))
    assert "Joined to our controls 0 of 2" in words(browser.get("/import"))
    assert browser.get("/attestations/new?row=X001.1").status_code == 200


def test_what_is_unclear_is_named_with_its_line(browser: httpx.Client) -> None:
    browser.post("/import", data={"id": form_id(browser.get("/import")), "markdown": OWN})
    assert "1 warning line 5: no heading gives a category" in words(browser.get("/import"))


@pytest.mark.parametrize("text", ["# Shopping\n\n- milk\n", "", "<script>alert(1)</script>", "\x00"])
def test_what_is_no_risk_document_is_refused_and_kept_to_be_corrected(browser: httpx.Client, text: str) -> None:
    page = browser.post("/import", data={"id": form_id(browser.get("/import")), "markdown": text})
    assert page.status_code == 422
    assert 'role="alert"' in page.text
    assert "<script>alert" not in page.text
    assert browser.get("/v1/register").json()["summary"]["risks"] == 24


def test_a_file_that_is_no_text_is_refused_in_words(browser: httpx.Client) -> None:
    id = form_id(browser.get("/import"))
    page = browser.post("/import", data={"id": id}, files={"file": ("RISKS.md", bytes(range(256)) * 40)})
    assert page.status_code == 422
    assert 'role="alert"' in page.text


def test_the_same_import_over_the_api_is_one_version(browser: httpx.Client, database: Database, tenant: UUID) -> None:
    for _ in range(2):
        answer = browser.post("/v1/register/import", json={"markdown": OWN})
        assert answer.status_code == 201
        assert answer.json()["version"] == 1
    assert len(documents.versions(database, tenant)) == 1
