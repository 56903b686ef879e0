from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.web import cursors
from prodsprints.web.errors import InvalidRequestError


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_cursor_gives_back_its_moment_and_fits_into_an_address(moment) -> None:
    cursor = cursors.encode(moment)
    assert cursors.decode(cursor) == moment
    assert len(cursor) <= cursors.LONGEST
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=80) | st.text(alphabet="abcdefABCDEF0123456789-_", max_size=80))
def test_whatever_else_is_passed_as_a_cursor_is_refused_in_words(text: str) -> None:
    try:
        moment = cursors.decode(text)
    except InvalidRequestError as error:
        assert "cursor" in error.what
    else:
        assert cursors.encode(moment) == text


def test_a_cursor_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        cursors.decode("MjAyNi0wMS0wMVQwMDowMDowMA")
