"""The dispatcher: looks for lanes that are due, and tells what waits in each, in order, until it is told."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.notify import lanes, rounds
from prodsprints.notify.errors import UnknownAudienceError
from prodsprints.notify.lanes import Lane, Waiting
from prodsprints.notify.rounds import Came, Guarding
from prodsprints.notify.routes import Routes
from prodsprints.store.database import Database
from prodsprints.store.errors import DatabaseUnavailableError

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
_TROUBLE_SECONDS = 2.0
_MOST_LANES = 4
_READ_AT_ONCE = 50
_HOLD_SECONDS = 5.0
_TURN_SECONDS = 1.0


class Dispatcher:
    """Any number may run in a fleet: a lane is held by one of them, under a lease of `owner`, who beats for it.

    A letter is settled on disk after it was handed over. A dispatcher that dies between the two has told it, and the
    next one tells it again, under the same key. Lanes take turns at that, so that it is one letter at most, unless a
    channel takes longer than a second: the other lanes do not wait for that.
    """

    def __init__(self, db: Database, routes: Routes, guarding: Guarding, *, owner: str) -> None:
        self._db = db
        self._routes = routes
        self._guarding = guarding
        self._owner = owner
        self._stop = threading.Event()
        self._free = threading.Event()
        self._turn = threading.Lock()
        self._busy: set[Lane] = set()
        self._pool = ThreadPoolExecutor(_MOST_LANES, thread_name_prefix="notify-lane")
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the letters that are being told; what waits stays in the outbox."""
        self._stop.set()
        self._free.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def look(self) -> None:
        """Begin with each lane that is due, as far as there is room."""
        due = lanes.due(self._db, self._owner)
        random.shuffle(due)  # no lane is always the first, and dispatchers do not all go for the same one
        for lane in due:
            if self._stop.is_set() or len(self._busy) >= _MOST_LANES:
                break
            if lane not in self._busy:
                self._busy.add(lane)
                self._pool.submit(self._tell, lane)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._free.clear()
            try:
                self.look()
                self._free.wait(_LOOK_SECONDS)
            except DatabaseUnavailableError as error:
                _log.warning("%s", error.what)
                self._stop.wait(_TROUBLE_SECONDS)
            except Exception:
                # Whatever it is, notifications wait: a dispatcher that ended without a word would keep them waiting.
                _log.exception("the dispatcher failed, and tries again")
                self._stop.wait(_TROUBLE_SECONDS)

    def _tell(self, lane: Lane) -> None:
        try:
            token = lanes.take(self._db, lane, self._owner)
            if token is not None:
                try:
                    self._drain(lane, token)
                finally:
                    lanes.let_go(self._db, lane, self._owner, token)
        except DatabaseUnavailableError as error:
            _log.warning("%s", error.what)
        except ProdSprintsError as error:
            _log.error("notifications to %s wait: %s", lane.audience, error)
            self._stop.wait(_TROUBLE_SECONDS)
        except Exception:
            _log.exception("notifications to %s wait", lane.audience)
            self._stop.wait(_TROUBLE_SECONDS)
        finally:
            self._busy.discard(lane)
            self._free.set()

    def _drain(self, lane: Lane, token: int) -> None:
        """Tell what waits in `lane`, in order, for a while: a lane with much to tell must not starve the others."""
        until = time.monotonic() + _HOLD_SECONDS
        for one in lanes.waiting(self._db, lane, limit=_READ_AT_ONCE):
            if self._stop.is_set() or time.monotonic() > until:
                return
            with self._in_turn():
                came = self._round(lane, one)
                settled = self._settle(lane, one, came, token)
            if not settled:
                _log.warning("the lane %s has another holder by now", lane.audience)
                return
            if came.state == "waiting":
                return

    def _round(self, lane: Lane, one: Waiting) -> Came:
        try:
            channels = self._routes.to(lane.audience)
        except UnknownAudienceError as error:  # it was known when the message was put
            came = rounds.unreachable(error.what, rounds=one.rounds, refused=one.refused)
        else:
            came = rounds.play(one.letter, channels, self._guarding, rounds=one.rounds, refused=one.refused)
        if came.state != "delivered":
            _log.warning("notification %s to %s is %s: %s", one.letter.id, lane.audience, came.state, came.reason)
        return came

    def _settle(self, lane: Lane, one: Waiting, came: Came, token: int) -> bool:
        return lanes.settle(
            self._db,
            lane,
            one.letter.id,
            came.tried,
            owner=self._owner,
            token=token,
            state=came.state,
            delivered_by=came.delivered_by,
            reason=came.reason,
            next_seconds=came.next_seconds,
            refused=came.refused,
        )

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        ours = self._turn.acquire(timeout=_TURN_SECONDS)
        try:
            yield
        finally:
            if ours:
                self._turn.release()
