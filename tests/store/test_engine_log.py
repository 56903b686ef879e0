"""What the durable engine writes into a worker's log."""

from __future__ import annotations

import logging
import traceback

from prodsprints.store.engine import without_traceback


def _said(message: str) -> str:
    record = logging.LogRecord("dbos", logging.WARNING, __file__, 1, message, (), None)
    assert without_traceback(record)
    return record.getMessage()


def test_a_database_that_is_away_is_one_line_in_the_log() -> None:
    try:
        try:
            raise OSError("connection refused")
        except OSError as cause:
            raise RuntimeError("the database 100%s is away") from cause
    except RuntimeError:
        said = _said(f"Exception polling schedules: {traceback.format_exc()}")
    assert said == "Exception polling schedules: RuntimeError: the database 100%s is away"


def test_any_other_warning_is_kept_as_it_is() -> None:
    assert _said("Exception listing queues: (OperationalError) refused") == (
        "Exception listing queues: (OperationalError) refused"
    )
