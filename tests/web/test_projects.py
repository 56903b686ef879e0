"""Projects over the API and on the pages: how one goes, and how it comes back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from playwright.sync_api import expect

from prodsprints.controls.backups import soft_delete
from prodsprints.store.database import Database
from prodsprints.web import actions, tokens
from prodsprints.web.identity import SESSION_COOKIE
from web.support_browser import IN_A_BROWSER, Window, log_in, no_fault_of
from web.support_workshop import Day, Workshop


def in_a_browser(test: Callable[..., None]) -> Callable[..., None]:
    for mark in IN_A_BROWSER:
        test = mark(test)
    return test


@pytest.fixture
def browser(serving: str, database: Database, tenant: UUID) -> httpx.Client:
    """Somebody with a session, on our own pages."""
    value = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    cookies = {SESSION_COOKIE: value}
    return httpx.Client(base_url=serving, cookies=cookies, headers={"Origin": serving}, trust_env=False)


@pytest.fixture
def served(workshop: Workshop) -> UUID:
    """The project `shop`, serving its first release."""
    release = workshop.release(workshop.environment(), "v1")
    workshop.finish(release, "released", "Healthy.")
    return release.id


def test_the_pages_and_the_api_delete_through_the_control_that_is_drilled() -> None:
    assert actions.SoftDelete is soft_delete.SoftDelete


def test_a_deleted_project_answers_nowhere_and_comes_back_whole(
    client: httpx.Client, writer: httpx.Client, served: UUID
) -> None:
    paths = ("/v1/projects", "/v1/environments", "/v1/releases")
    before = {path: client.get(path).json()["items"] for path in paths}
    environment = before["/v1/environments"][0]["id"]
    deleted = writer.delete("/v1/projects/shop").json()
    assert (deleted["name"], deleted["deleted_by"], deleted["withdrawn"]) == ("shop", "ada", False)
    assert all(client.get(path).json()["items"] == [] for path in paths)
    for path in (f"/v1/releases/{served}", f"/v1/releases/{served}/events", f"/v1/environments/{environment}"):
        assert client.get(path).status_code == 404
    assert client.get("/v1/projects", params={"deleted": "true"}).json()["items"] == [deleted]
    answer = writer.post("/v1/projects/shop/undelete")
    assert answer.status_code == 202
    [restoring] = answer.json()["releases"]
    assert (restoring["kind"], restoring["label"], restoring["status"]) == ("rollback", "v1", "queued")
    assert answer.json()["project"] == before["/v1/projects"][0]
    after = {path: client.get(path).json()["items"] for path in paths}
    assert after == {**before, "/v1/releases": [restoring, *before["/v1/releases"]]}
    assert client.get("/v1/projects", params={"deleted": "true"}).json()["items"] == []


def test_deleting_and_undeleting_again_are_answered_alike(writer: httpx.Client, served: UUID) -> None:
    assert writer.delete("/v1/projects/shop").json() == writer.delete("/v1/projects/shop").json()
    first = writer.post("/v1/projects/shop/undelete").json()
    assert writer.post("/v1/projects/shop/undelete").json() == first


@pytest.mark.parametrize("name", ["none", "%00", "Shop", "a" * 41])
def test_a_project_that_never_was_is_neither_deleted_nor_brought_back(writer: httpx.Client, name: str) -> None:
    for answer in (writer.delete(f"/v1/projects/{name}"), writer.post(f"/v1/projects/{name}/undelete")):
        assert answer.status_code == (404 if name == "none" else 422)
        assert answer.json()["next_step"]


def test_a_project_is_not_deleted_under_a_running_release(writer: httpx.Client, day: Day) -> None:
    answer = writer.delete("/v1/projects/shop")
    assert answer.status_code == 409
    assert answer.json()["code"] == "backups/release-under-way"
    assert "prodsprints abort" in answer.json()["next_step"]


def test_who_only_reads_deletes_nothing(client: httpx.Client, served: UUID) -> None:
    assert client.delete("/v1/projects/shop").status_code == 401
    assert client.post("/v1/projects/shop/undelete").status_code == 401
    assert "<form" not in client.get("/projects/shop/delete").text


def test_a_release_to_a_deleted_project_is_told_how_to_bring_it_back(
    writer: httpx.Client, served: UUID, tmp_path: Path
) -> None:
    for arguments in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    writer.delete("/v1/projects/shop")
    answer = writer.post("/v1/releases", json={"path": str(tmp_path), "project": "shop"})
    assert answer.status_code == 409
    assert answer.json()["code"] == "backups/project-deleted"
    assert "prodsprints project undelete shop" in answer.json()["next_step"]


def test_a_project_is_deleted_on_a_page_that_asks_and_brought_back_on_another(
    browser: httpx.Client, served: UUID
) -> None:
    assert 'href="/projects/shop/delete"' in browser.get("/projects/shop").text
    asking = browser.get("/projects/shop/delete").text
    assert "Delete shop?" in asking
    assert "127.0.0.1:20001" in asking
    assert 'action="/projects/shop/delete"' in asking
    assert browser.post("/projects/shop/delete").headers["location"] == "/projects#deleted"
    assert browser.get("/projects/shop").status_code == 404
    listed = browser.get("/projects").text
    assert "by ada; kept at least until" in listed
    assert "It still answers" in listed
    assert browser.post("/projects/shop/undelete").headers["location"] == "/projects/shop"
    assert '<span class="tag">rollback</span>' in browser.get("/projects/shop").text
    assert "Bring back" not in browser.get("/projects").text


def test_another_site_cannot_have_a_project_deleted(browser: httpx.Client, served: UUID) -> None:
    answer = browser.post("/projects/shop/delete", headers={"Origin": "http://elsewhere.test"})
    assert answer.status_code == 403
    assert browser.get("/projects/shop").status_code == 200


@in_a_browser
@pytest.mark.parametrize("window", [{"java_script_enabled": False}], indirect=True)
def test_a_project_goes_and_comes_back_in_a_browser_without_a_script(
    window: Window, served: UUID, database: Database, tenant: UUID
) -> None:
    log_in(window, database, tenant)
    page = window.open("/projects/shop")
    page.get_by_role("link", name="Delete shop").click()
    page.get_by_role("button", name="Delete shop").click()
    expect(page.get_by_role("heading", name="Deleted")).to_be_visible()
    page.get_by_role("button", name="Bring back shop").click()
    expect(page.get_by_role("heading", name="shop", level=1)).to_be_visible()


@in_a_browser
def test_the_page_of_what_was_deleted_is_without_fault(
    window: Window, served: UUID, database: Database, tenant: UUID
) -> None:
    log_in(window, database, tenant)
    no_fault_of(window.open("/projects/shop/delete"))
    window.page.get_by_role("button", name="Delete shop").click()
    expect(window.page.get_by_role("heading", name="Deleted")).to_be_visible()
    no_fault_of(window.page)
    assert not window.complaints
