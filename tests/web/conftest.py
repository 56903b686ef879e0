"""A web process on a real database, and somebody who reads, writes or is logged in."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import httpx
import pytest
import uvicorn

from prodsprints.kernel.settings import Settings
from prodsprints.store.database import Database
from prodsprints.web import tokens
from prodsprints.web.app import create_app
from prodsprints.web.site import Site
from support_waiting import eventually
from web.support_browser import chromium, window
from web.support_workshop import Day, Workshop, working_day

__all__ = ["chromium", "window"]

Furnish = Callable[[Site], Site]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tenant_name(database: Database, tenant: UUID) -> str:
    with database.auth() as connection:
        row = connection.execute("select name from tenants where id = %s", [tenant]).fetchone()
    assert row is not None
    return str(row["name"])


@pytest.fixture
def token(database: Database, tenant: UUID) -> str:
    return tokens.mint(database, tenant, actor="ada", purpose="api", seconds=600).value


@pytest.fixture(scope="session")
def ending(database: Database) -> Iterator[list[threading.Thread]]:
    """Servers that were told to stop: each takes a tenth of a second, which no test has to wait for."""
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        thread.join(timeout=10)


@pytest.fixture
def furnish() -> Furnish:
    """What a server's site is made into before it serves; a test module may have one of its own."""
    return lambda site: site


@pytest.fixture
def serving(
    settings: Settings, database: Database, tenant_name: str, ending: list[threading.Thread], furnish: Furnish
) -> Iterator[str]:
    """The address of a real server of the application, on a port of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    here = replace(settings, port=listener.getsockname()[1])
    app = create_app(here, database, reader_tenant=tenant_name)
    app.state.site = furnish(app.state.site)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    eventually(lambda: server.started, every=0.01)
    yield f"http://127.0.0.1:{here.port}"
    server.should_exit = True
    ending.append(thread)


@pytest.fixture
def client(serving: str) -> Iterator[httpx.Client]:
    """A reader without a login."""
    with httpx.Client(base_url=serving, trust_env=False) as client:
        yield client


@pytest.fixture
def writer(serving: str, token: str) -> Iterator[httpx.Client]:
    """Somebody with an API token."""
    with httpx.Client(base_url=serving, trust_env=False, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


@pytest.fixture
def workshop(database: Database, tenant: UUID) -> Workshop:
    return Workshop(database, tenant)


@pytest.fixture
def day(workshop: Workshop) -> Day:
    return working_day(workshop)
