"""Runs the web process: uvicorn on the configured address, for as long as its supervisor lives."""

from __future__ import annotations

import logging
import os

import uvicorn

from prodsprints.controls.providers.dependencies.telling import Teller
from prodsprints.kernel.settings import Settings
from prodsprints.runtime import lifeline
from prodsprints.store.address import Address
from prodsprints.store.database import Database
from prodsprints.web.app import create_app

_PATIENCE_SECONDS = 2.0
_STOP_SECONDS = 2


def serve(settings: Settings, address: Address) -> None:
    """Serve the API and the pages until SIGTERM, SIGINT or the supervisor's end."""
    db = Database(address, max_connections=8, patience_seconds=_PATIENCE_SECONDS)
    config = uvicorn.Config(
        create_app(settings, db),
        host=settings.host,
        port=settings.port,
        access_log=False,  # a login link's code is part of its path
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,  # live logs never end by themselves; their readers come back
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = uvicorn.Server(config)

    def end() -> None:
        server.should_exit = True

    lifeline.watch(end)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    teller = Teller(db, f"web-{settings.node}-{os.getpid()}")
    teller.start()
    try:
        server.run()
    finally:
        teller.stop()
        db.close()
