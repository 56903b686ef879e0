from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database
from prodsprints.web import tokens


def test_a_token_speaks_for_its_actor_and_its_tenant_only_for_its_purpose(database: Database, tenant: UUID) -> None:
    value = tokens.mint(database, tenant, actor="ada", purpose="api", seconds=60).value
    assert tokens.look_up(database, value, {"api"}) == tokens.Bearer(tenant, "ada")
    assert tokens.look_up(database, value, {"session", "login"}) is None
    assert tokens.look_up(database, value + "x", {"api"}) is None


def test_a_token_that_is_over_speaks_for_nobody(database: Database, tenant: UUID) -> None:
    value = tokens.mint(database, tenant, actor="ada", purpose="api", seconds=-1).value
    assert tokens.look_up(database, value, {"api"}) is None


def test_the_database_never_holds_a_token_itself(database: Database, tenant: UUID) -> None:
    value = tokens.mint(database, tenant, actor="ada", purpose="api", seconds=60).value
    with database.tenant(tenant) as connection:
        rows = connection.execute("select tokens::text as everything from tokens").fetchall()
    assert rows
    assert not any(value in row["everything"] or value.encode().hex() in row["everything"] for row in rows)


def test_a_token_is_not_shown_by_its_own_repr(database: Database, tenant: UUID) -> None:
    token = tokens.mint(database, tenant, actor="ada", purpose="api", seconds=60)
    assert token.value not in repr(token)


def test_of_many_who_spend_one_login_link_at_once_one_gets_in(database: Database, tenant: UUID) -> None:
    code = tokens.mint(database, tenant, actor="ada", purpose="login", seconds=60).value
    with ThreadPoolExecutor(6) as pool:
        spent = list(pool.map(lambda _: tokens.spend_login(database, code), range(6)))
    assert sum(one is not None for one in spent) == 1


def test_a_revoked_session_is_over(database: Database, tenant: UUID) -> None:
    value = tokens.mint(database, tenant, actor="ada", purpose="session", seconds=60).value
    tokens.revoke(database, value)
    assert tokens.look_up(database, value, {"session"}) is None


def test_the_machines_own_token_is_private_and_stays_while_it_is_good(
    database: Database, settings: Settings, tenant: UUID, tmp_path: Path
) -> None:
    here = replace(settings, home=tmp_path)
    path = tokens.ensure_api_token(database, here, tenant, actor="ada")
    first = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert tokens.ensure_api_token(database, here, tenant, actor="ada").read_text() == first
    path.write_text("prodsprints_api_of-another-database\n")
    assert tokens.ensure_api_token(database, here, tenant, actor="ada").read_text() not in {first, ""}
