from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.web import cursors
from prodsprints.web.errors import InvalidRequestError


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_gives_back_its_position_and_fits_into_an_address(moment: datetime, id: UUID) -> None:
    cursor = cursors.encode((moment, id))
    assert cursors.decode(cursor) == (moment, id)
    assert len(cursor) <= cursors.LONGEST
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=80) | st.text(alphabet="abcdefABCDEF0123456789-_", max_size=80))
def test_whatever_else_is_passed_as_a_cursor_is_refused_in_words(text: str) -> None:
    try:
        position = cursors.decode(text)
    except InvalidRequestError as error:
        assert "cursor" in error.what
    else:
        assert cursors.encode(position) == text


def test_a_cursor_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        cursors.decode(cursors.encode((datetime(2026, 1, 1), UUID(int=1))))  # noqa: DTZ001 - the point of the test
