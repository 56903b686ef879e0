from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from prodsprints.release import records
from prodsprints.store.database import Database
from prodsprints.web import tokens
from prodsprints.web.identity import SESSION_COOKIE
from web.support_workshop import Day, Workshop


@pytest.fixture
def browser(serving: str, database: Database, tenant: object) -> httpx.Client:
    """Somebody with a session, on our own pages."""
    value = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    cookies = {SESSION_COOKIE: value}
    return httpx.Client(base_url=serving, cookies=cookies, headers={"Origin": serving}, trust_env=False)


def words(page: httpx.Response) -> str:
    """A page's text, without its marks."""
    import re

    return " ".join(re.sub(r"<[^>]+>", "", page.text).split())


def test_the_first_page_counts_claims_and_says_what_is_unproven(client: httpx.Client) -> None:
    page = client.get("/")
    assert "Claimed 116 · Proven here 0 · Failing 0 · Overdue review 1 (since 2024-02-01)" in words(page)
    assert "30 of 30 critical rows unproven" in words(page)
    assert "Release your first repository" in page.text
    assert "prodsprints audit ~/app" in page.text
    assert page.text.count('href="/risks/') >= 24


def test_the_first_page_shows_releases_and_environments_as_they_are(client: httpx.Client, day: Day) -> None:
    text = words(client.get("/"))
    assert "See why shop v3 was rolled back" in text
    assert "Watch shop v4 go to staging" in text
    assert "127.0.0.1:20001" in text
    assert "Serves v2" in text


def test_no_page_of_a_risk_calls_a_row_proven(client: httpx.Client) -> None:
    register = client.get("/v1/register").json()
    for risk in register["risks"]:
        page = client.get(f"/risks/{risk['id']}")
        assert page.status_code == 200
        rows = page.text.partition('<ol class="mitigations">')[2]
        assert rows.count("claimed: ") == rows.count("Unproven") == len(risk["mitigations"])
        assert "Proven" not in rows
    assert "0 proven here" in words(client.get("/risks"))


def test_a_rejected_release_says_why_in_figures_and_shows_its_steps_and_findings(
    client: httpx.Client, day: Day
) -> None:
    page = client.get(f"/releases/{day.rejected.id}")
    text = words(page)
    assert "Rolled back" in text
    assert day.rejected.label in text
    assert "Rejected after" in text
    assert "app/main.py:4" in text
    assert 'class="canary-chart"' in page.text
    assert "<style" not in page.text
    assert "<code>alembic upgrade head</code>" in page.text


def test_what_a_repository_says_is_shown_as_text_and_never_as_markup(client: httpx.Client, workshop: Workshop) -> None:
    release = workshop.release(workshop.environment(), '<img src=x onerror="alert(1)">')
    hostile = "<script>alert(1)</script> `<b>code</b>`"
    workshop.step(release, 1, "audit", "failed", hostile, detail={"why": hostile, "findings": [{"value": hostile}]})
    workshop.say(release, ("audit", "line", hostile))
    workshop.finish(release, "failed", hostile)
    for path in (
        "/",
        "/releases",
        f"/releases/{release.id}",
        "/projects/shop",
        f"/environments/{release.environment_id}",
    ):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<b>code" not in page


def test_every_page_answers_with_and_without_data(client: httpx.Client, workshop: Workshop) -> None:
    paths = ["/", "/risks", "/risks/B003", "/releases", "/environments", "/projects", "/login", "/login/some-code"]
    for path in paths:
        assert client.get(path).status_code == 200, path
    release = workshop.release(workshop.environment())
    paths += [f"/releases/{release.id}", f"/environments/{release.environment_id}", "/projects/shop"]
    for path in paths:
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize("path", ["/nothing", "/risks/R999", "/releases/not-an-id", "/projects/none", "/login/a/b"])
def test_an_unknown_page_says_so_as_a_page(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "<nav" in page.text


def test_a_long_log_is_read_in_parts_without_a_script(client: httpx.Client, workshop: Workshop) -> None:
    release = workshop.release(workshop.environment())
    workshop.say(release, *(("tests", "line", f"line {number}") for number in range(1, 521)))
    first = client.get(f"/releases/{release.id}").text
    assert "line 500<" in first
    assert "line 501<" not in first
    assert 'href="?after=500#log-title"' in first
    assert "line 520<" in client.get(f"/releases/{release.id}", params={"after": 500}).text


def test_the_list_of_releases_goes_on_page_by_page(client: httpx.Client, workshop: Workshop) -> None:
    environment = workshop.environment()
    for number in range(51):
        workshop.release(environment, f"n{number}")
    page = client.get("/releases").text
    assert ">shop n1<" in page
    assert ">shop n0<" not in page
    earlier = page.split('href="/releases?cursor=')[1].split('"')[0]
    assert ">shop n0<" in client.get("/releases", params={"cursor": earlier}).text


def test_a_reader_sees_no_button_that_would_be_refused(client: httpx.Client, day: Day) -> None:
    assert "<form" not in client.get(f"/releases/{day.running.id}").text
    assert "<form" not in client.get(f"/environments/{day.environment.id}").text


def test_the_buttons_are_forms_that_do_what_they_say(
    browser: httpx.Client, day: Day, database: Database, tenant: object
) -> None:
    address = f"/releases/{day.running.id}"
    assert f'action="{address}/promote"' in browser.get(address).text
    assert browser.post(f"{address}/promote").headers["location"] == address
    assert "Promoted by hand" in words(browser.get(address))
    assert browser.post(f"{address}/abort").status_code == 303
    release = records.get(database, tenant, day.running.id)
    assert release is not None
    assert release.abort_requested_at
    assert release.promote_requested_at


def test_a_rollback_button_clicked_twice_is_one_rollback(browser: httpx.Client, day: Day) -> None:
    page = browser.get(f"/environments/{day.environment.id}").text
    assert "Roll back to v1" in page
    id = page.split('name="id" value="')[1].split('"')[0]
    places = [browser.post(f"/environments/{day.environment.id}/rollback", data={"id": id}) for _ in range(2)]
    assert {place.headers["location"] for place in places} == {f"/releases/{id}"}
    assert browser.get(f"/releases/{id}").text.count("back to") >= 1


def test_an_action_that_fails_is_explained_on_a_page(browser: httpx.Client, day: Day) -> None:
    page = browser.post(f"/releases/{day.kept.id}/abort")
    assert page.status_code == 409
    assert "has ended already" in page.text


def test_the_web_process_loads_neither_the_engine_nor_an_orm() -> None:
    script = (
        "import sys, prodsprints.web.server; "
        "print([name for name in ('dbos', 'sqlalchemy', 'alembic', 'numpy', 'aiohttp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_reference_of_the_api_is_what_the_api_is() -> None:
    script = Path(__file__).parents[2] / "scripts" / "api_reference.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_risks_of_one_cell_of_the_map_are_listed_alone(client: httpx.Client) -> None:
    page = client.get("/risks?level=critical&probability=3")
    assert 'href="/risks/R002?environment=demo"' in page.text
    assert 'href="/risks/R001?environment=demo"' not in page.text
    assert "Critical, possible today" in page.text
