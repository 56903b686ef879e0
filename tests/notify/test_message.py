"""Messages: bounded and printable, or refused in words; what happened is always told, made to fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.notify.errors import MessageInputError
from prodsprints.notify.message import LONGEST_BODY, LONGEST_SUBJECT, Message


@pytest.mark.parametrize(
    "text", ["", "   ", "\n\n", "x" * (LONGEST_BODY + 1), "bell \a", "nul \0", "esc \x1b[31m", "\ud800"]
)
def test_a_text_that_is_empty_too_long_or_not_plain_is_refused(text: str) -> None:
    with pytest.raises(MessageInputError) as caught:
        Message.of("#ops", text)
    assert caught.value.next_step


@pytest.mark.parametrize(
    "subject", ["a\r\nBcc: everybody@example.com", "a\nb", "", "x" * (LONGEST_SUBJECT + 1), "\u2028"]
)
def test_a_subject_is_one_line_so_that_no_header_can_be_written_in_it(subject: str) -> None:
    with pytest.raises(MessageInputError):
        Message.of("#ops", "text", subject=subject)


@pytest.mark.parametrize(
    "audience", ["", "ops", "#", "#OPS", "#ops\n", "# ops", "#" + "a" * 41, "everybody@example.com"]
)
def test_what_is_no_audience_is_refused(audience: str) -> None:
    with pytest.raises(MessageInputError, match="audience"):
        Message.of(audience, "text")


def test_the_first_line_is_the_subject_unless_one_is_given() -> None:
    assert (Message.of("#ops", "one\ntwo").subject, Message.of("#ops", "one\ntwo").body) == ("one", "one\ntwo")
    assert (Message.of("#ops", "one").subject, Message.of("#ops", "one").body) == ("one", "")
    assert Message.of("#ops", "one", subject="two").subject == "two"
    long = Message.of("#ops", "word " * 100)
    assert len(long.subject) <= 120 and long.subject.endswith("…") and long.body


@given(st.text(max_size=6_000), st.text(max_size=6_000))
def test_whatever_happened_can_be_told(subject: str, body: str) -> None:
    message = Message.about("#ops", "critical", subject, body)
    assert 1 <= len(message.subject) <= LONGEST_SUBJECT and message.subject.isprintable()
    assert len(message.body) <= LONGEST_BODY


@given(st.text(max_size=300))
def test_a_text_is_taken_as_a_whole_or_refused(text: str) -> None:
    try:
        message = Message.of("#ops", text)
    except MessageInputError:
        return
    assert (message.body or message.subject) == text.replace("\r\n", "\n").replace("\t", " ").strip()
