from __future__ import annotations

import os
import time

from hypothesis import given
from hypothesis import strategies as st

from prodsprints.runtime.lines import LineReader


def lines_of(content: bytes, **bounds: int) -> tuple[list[str], LineReader]:
    reader = LineReader(**{"max_bytes": 1 << 20, **bounds})
    receiving, sending = os.pipe()
    os.write(sending, content)
    os.close(sending)
    try:
        return list(reader.lines(receiving, until=time.monotonic() + 10, pulse=lambda: None)), reader
    finally:
        os.close(receiving)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cc", "Cs"], codec="utf-8"), min_size=1, max_size=40), max_size=8
    )
)
def test_short_lines_come_through_unchanged(lines: list[str]) -> None:
    assert lines_of("\n".join(lines).encode())[0] == lines


@given(st.binary(max_size=4000), st.integers(0, 500), st.integers(1, 100))
def test_no_output_however_strange_exceeds_its_bounds(content: bytes, most: int, longest: int) -> None:
    lines, reader = lines_of(content, max_bytes=most, max_line_bytes=longest)
    assert reader.dropped_bytes == max(0, len(content) - most)
    assert all(len(line) <= longest + 30 and "\0" not in line for line in lines)


def test_colours_and_titles_for_a_terminal_are_left_out() -> None:
    content = b"\x1b]0;mine\x07\x1b[1;31mFAILED\x1b[0m\ttest_a\r\n"
    assert lines_of(content)[0] == ["FAILED\ttest_a"]


def test_a_silent_stream_is_given_up_at_the_deadline() -> None:
    receiving, sending = os.pipe()
    reader = LineReader(max_bytes=100)
    os.write(sending, b"begun")
    assert list(reader.lines(receiving, until=time.monotonic() + 0.05, pulse=lambda: None)) == ["begun"]
    assert reader.interrupted
    os.close(receiving)
    os.close(sending)
