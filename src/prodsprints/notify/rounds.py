"""One round of one letter: its channels in order, each through its guard and within its time, until one takes it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prodsprints.guard import CallTimeoutError, GuardError, Rejection
from prodsprints.notify.errors import RefusedError
from prodsprints.notify.message import Letter
from prodsprints.notify.outbox import Outcome, State

_log = logging.getLogger(__name__)

MOST_ROUNDS = 20
"""After so many, about three hours, a letter is dead: a person has to look."""

_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 900.0
_LONGEST_WORDS = 300
_LEAST_SECONDS = 1.0


class Channel(Protocol):
    """One way to reach people. `seconds` is how long it may take for one letter.

    `provider` is whom it calls, by the name that guards know it by; empty for what calls nobody.
    """

    @property
    def name(self) -> str: ...

    @property
    def provider(self) -> str: ...

    @property
    def seconds(self) -> float: ...

    def send(self, letter: Letter, /) -> str:
        """Hand the letter over; what was answered, in words that hold no secret.

        Raises RefusedError if it will never be taken, else a GuardError.
        """


Send = Callable[[Letter], str]
Guarding = Callable[[Channel, Send], Send]
"""Puts the channel's guard around what sends: notify/ is below the room that composes guards."""


@dataclass(frozen=True)
class Tried:
    """One channel, asked once; it ended `ago` seconds before this was written."""

    channel: str
    outcome: Outcome
    words: str
    seconds: float
    ended: float

    def as_json(self) -> dict[str, Any]:
        """For the database, whose clock says when it was."""
        ago = max(0.0, time.monotonic() - self.ended)
        return {
            "channel": self.channel,
            "outcome": self.outcome,
            "words": self.words,
            "seconds": self.seconds,
            "ago": ago,
        }


@dataclass(frozen=True)
class Came:
    """What a round came to."""

    tried: tuple[Tried, ...]
    state: State
    delivered_by: str | None
    reason: str
    next_seconds: float
    refused: tuple[str, ...]


def play(
    letter: Letter, channels: Sequence[Channel], guarding: Guarding, *, rounds: int, refused: Sequence[str]
) -> Came:
    """Ask the channels in order, but those that have refused this letter before; `rounds` were without success."""
    tried = tuple(_ask(letter, (one for one in channels if one.name not in refused), guarding))
    return verdict(tried, [one.name for one in channels], rounds=rounds + 1, refused=refused)


def verdict(tried: tuple[Tried, ...], channels: Sequence[str], *, rounds: int, refused: Sequence[str]) -> Came:
    """What follows from what was `tried` in the round with that number."""
    refusing = tuple(dict.fromkeys((*refused, *(one.channel for one in tried if one.outcome == "refused"))))
    last = tried[-1] if tried else None
    if last is not None and last.outcome == "delivered":
        return Came(tried, "delivered", last.channel, "", 0.0, refusing)
    reasons = "; ".join(f"{one.channel}: {one.words}" for one in tried) or "no channel is left to try"
    if set(channels) <= set(refusing):
        return Came(tried, "dead", None, f"Every channel refused it. {reasons}", 0.0, refusing)
    return _later(tried, reasons, rounds, refusing)


def unreachable(why: str, *, rounds: int, refused: Sequence[str]) -> Came:
    """What follows while nothing says how the audience is reached; somebody may say so yet."""
    return _later((), why, rounds + 1, tuple(refused))


def wait_seconds(rounds: int) -> float:
    """How long after the round with that number the next one begins: 1, 2, 4, … 900 s."""
    return float(min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2.0 ** min(rounds - 1, 30)))


def _later(tried: tuple[Tried, ...], reasons: str, rounds: int, refusing: tuple[str, ...]) -> Came:
    if rounds >= MOST_ROUNDS:
        return Came(tried, "dead", None, f"No channel took it in {rounds} rounds. {reasons}", 0.0, refusing)
    return Came(tried, "waiting", None, reasons, wait_seconds(rounds), refusing)


def _ask(letter: Letter, channels: Iterator[Channel], guarding: Guarding) -> Iterator[Tried]:
    for channel in channels:
        began = time.monotonic()
        outcome, words = _sent(letter, channel, guarding)
        ended = time.monotonic()
        yield Tried(channel.name, outcome, words[:_LONGEST_WORDS], ended - began, ended)
        if outcome == "delivered":
            return


def _sent(letter: Letter, channel: Channel, guarding: Guarding) -> tuple[Outcome, str]:
    try:
        return "delivered", guarding(channel, _within(channel, time.monotonic() + channel.seconds))(letter)
    except RefusedError as error:
        return "refused", error.what
    except Rejection as error:
        return "skipped", f"not asked: {error.what}"
    except CallTimeoutError:  # by whichever clock: the socket's, ours, or its guard's
        return "failed", f"no answer within {channel.seconds:g} s"
    except GuardError as error:
        return "failed", error.what
    except Exception as error:  # a defect of ours or of a library; its text may hold an address with a secret in it
        _log.error("the channel %s failed with %s", channel.name, type(error).__name__)
        return "failed", f"a defect: {type(error).__name__}"


def _within(channel: Channel, until: float) -> Send:
    """`channel.send`, given up when its time is over, whatever it waits for: a name server, an answer in drops.

    What was given up goes on in a thread of its own until its socket's time is over, and may still arrive: it bears the
    same key.
    """

    def send(letter: Letter) -> str:
        came: list[str] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                came.append(channel.send(letter))
            except BaseException as error:  # told to who waits
                failed.append(error)

        thread = threading.Thread(target=work, name=f"notify-{channel.name}", daemon=True)
        thread.start()
        # What its guard waited, for a token say, is part of the time; but what is begun is given a chance.
        thread.join(max(min(_LEAST_SECONDS, channel.seconds), until - time.monotonic()))
        if failed:
            raise failed[0]
        if not came:
            raise CallTimeoutError(f"no answer within {channel.seconds:g} s")
        return came[0]

    return send
