"""Whatever headers a provider sends, its answer means one thing, and never that somebody waits without end."""

from __future__ import annotations

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.guard import Profile, RateLimitError, ServiceUnavailable, profiles
from prodsprints.guard.transports.answers import error_of, is_safe

HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit-remaining", "x"]),
    st.one_of(
        st.text(max_size=30),
        st.integers(-5, 10**25).map(str),
        st.sampled_from(["nan", "inf", "-inf", "1e400", "0;w=21600", "٣", "Thu, 01 Jan 1970 00:00:00 GMT", "0" * 40]),
    ),
)


@given(st.sampled_from(list(profiles().values())), st.integers(100, 599), HEADERS, st.text(max_size=40))
def test_any_answer_is_nothing_or_an_error_with_a_wait_that_is_a_number(
    profile: Profile, status: int, headers: dict[str, str], words: str
) -> None:
    error = error_of(profile, status, headers, host="peer", words=words)
    if error is not None:
        assert isinstance(error, (RateLimitError, ServiceUnavailable)) and status >= 400
        assert error.retry_after is None or (isfinite(error.retry_after) and error.retry_after >= 0)
    assert (status != 429) or isinstance(error, RateLimitError)
    assert (200 <= status < 400) <= (error is None)


@pytest.mark.parametrize(("method", "safe"), [("get", True), ("PUT", True), ("POST", False), ("PATCH", False)])
def test_which_methods_may_be_asked_twice(method: str, safe: bool) -> None:
    assert is_safe(method) is safe
