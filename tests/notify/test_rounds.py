"""One round: the channels in order within their time; what is refused is not asked again; no secret in the words."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.guard import CircuitOpenError, RateLimitError, ServiceUnavailable
from prodsprints.notify import rounds
from prodsprints.notify.errors import RefusedError
from prodsprints.notify.message import Letter
from prodsprints.notify.rounds import MOST_ROUNDS, Tried, play, verdict, wait_seconds

LETTER = Letter(uuid4(), "#ops", "info", "subject", "body", datetime(2026, 1, 1, tzinfo=UTC))
ENDS = {
    "ok": None,
    "down": ServiceUnavailable("it is down"),
    "throttled": RateLimitError(5, what="throttled"),
    "never": RefusedError("it will not take this", next_step=""),
    "open": CircuitOpenError("its circuit is open"),
    "defect": ValueError("https://hooks.example.com/topsecret"),
}
OUTCOMES = {"down": "failed", "throttled": "failed", "never": "refused", "open": "skipped", "defect": "failed"}


class Channel:
    """One that ends as its name says."""

    seconds = 1.0
    provider = ""

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, _letter: Letter) -> str:
        end = ENDS[self.name.split("-")[0]]
        if end is not None:
            raise end
        return "taken"


def bare(_: rounds.Channel, send: rounds.Send) -> rounds.Send:
    return send


@given(st.lists(st.sampled_from(sorted(ENDS)), min_size=1, max_size=6), st.integers(0, MOST_ROUNDS - 1))
def test_the_first_channel_that_takes_it_ends_the_round(ends: list[str], before: int) -> None:
    channels = [Channel(f"{end}-{place}") for place, end in enumerate(ends)]
    came = play(LETTER, channels, bare, rounds=before, refused=())
    asked = ends[: ends.index("ok") + 1] if "ok" in ends else ends
    assert [one.outcome for one in came.tried] == [OUTCOMES.get(end, "delivered") for end in asked]
    assert (came.state == "delivered") == ("ok" in ends)
    assert (came.state == "dead") == ("ok" not in ends and (set(ends) == {"never"} or before + 1 == MOST_ROUNDS))
    assert "topsecret" not in repr(came)
    again = play(LETTER, channels, bare, rounds=before, refused=came.refused)
    assert not [one for one in again.tried if one.channel in came.refused]


def test_a_channel_that_does_not_come_back_is_given_up_in_time() -> None:
    class Hanging(Channel):
        seconds = 0.1

        def send(self, _letter: Letter) -> str:
            ended.wait(20)
            return "too late"

    ended = threading.Event()
    began = time.monotonic()
    came = play(LETTER, [Hanging("hangs"), Channel("ok")], bare, rounds=0, refused=())
    took = time.monotonic() - began
    ended.set()
    assert (came.tried[0].outcome, came.tried[0].words) == ("failed", "no answer within 0.1 s")
    assert came.delivered_by == "ok" and took < 10


def test_waits_double_up_to_a_quarter_of_an_hour_and_end_after_hours() -> None:
    assert [wait_seconds(n) for n in (1, 2, 3, 10, 11, 10**9)] == [1, 2, 4, 512, 900, 900]
    assert 2 < sum(map(wait_seconds, range(1, MOST_ROUNDS))) / 3600 < 4


@pytest.mark.parametrize("channels", [(), ("a",)])
def test_without_a_channel_left_it_is_dead_with_a_reason(channels: tuple[str, ...]) -> None:
    assert verdict((), channels, rounds=1, refused=("a",)).state == "dead"
    assert rounds.unreachable("nobody", rounds=0, refused=()).state == "waiting"
    assert rounds.unreachable("nobody", rounds=MOST_ROUNDS - 1, refused=()).state == "dead"


def test_words_are_bounded() -> None:
    tried = tuple(Tried("a", "failed", "x" * 300, 0.0, 0.0) for _ in range(10))
    assert verdict(tried, ("a",), rounds=1, refused=()).state == "waiting"
