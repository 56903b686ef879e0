"""What the drills of one variant have shown so far: the little that a status needs of any number of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from prodsprints.register.testimony import Unusable, Verdict

PASSES_OWED = 3
"""How many passes a failure outlives, whatever is changed in the meantime."""

_DAY_SECONDS = 86_400
_TALLIES_KEPT = 4
_NONCES_KEPT = 4


@dataclass(frozen=True, slots=True)
class Mark:
    """One piece of evidence: its index in the log, and when it was made."""

    index: int
    at: float


class Tally(NamedTuple):
    """The counts of one control digest.

    A pass counts once a day, a failure always. `inherited` are the failures of earlier digests, which count until this
    one has passed on `PASSES_OWED` days.
    """

    digest: str
    passes: int = 0
    failures: int = 0
    inherited: int = 0
    last_day: int = 0

    @property
    def counted_failures(self) -> int:
        """The failures that speak against this digest."""
        return self.failures + (self.inherited if self.passes < PASSES_OWED else 0)


class Drilled(NamedTuple):
    """One variant of one row in one environment.

    `owed_passes` is how many passes have to come before the last failure is over, `owed_days` on how many days before
    the control is credited again: a repair shows soon, and trying until it passes gains nothing. `recent` are the
    indices of the last passes, and `nonces` tell a verdict that is brought up again. `tried` are all experiments that
    were ever run, so that one which is taken up again is not taken for a changed one. A tuple, since a start makes one
    for every row.
    """

    digest: str = ""
    peer_class: str = ""
    held: Mark | None = None
    failed: Mark | None = None
    invalid: Mark | None = None
    why_invalid: str = ""
    owed_passes: int = 0
    owed_days: int = 0
    recent: tuple[int, ...] = ()
    nonces: tuple[str, ...] = ()
    tallies: tuple[Tally, ...] = ()
    tried: tuple[str, ...] = ()

    @property
    def is_failing(self) -> bool:
        """A failure is not over yet."""
        return self.owed_passes > 0

    def passed_since(self, index: int) -> bool:
        """It passed as often after the entry at `index` as a failure is owed."""
        return len(self.recent) == PASSES_OWED and self.recent[0] > index

    def tally(self, digest: str) -> Tally:
        """The counts that speak for a control of `digest`; empty ones if it never was drilled."""
        for tally in self.tallies:
            if tally.digest == digest:
                return tally
        return Tally(digest, inherited=sum(tally.failures for tally in self.tallies))

    def after(self, verdict: Verdict | Unusable) -> Drilled:
        """With one more verdict; the same when it is one of the last, once more."""
        if verdict.nonce in self.nonces:
            return self
        mark = Mark(verdict.index, verdict.at)
        known = self._replace(nonces=(*self.nonces, verdict.nonce)[-_NONCES_KEPT:])
        if isinstance(verdict, Unusable):
            return known._replace(invalid=mark, why_invalid=verdict.why)
        if verdict.experiment not in known.tried:
            known = known._replace(tried=(*known.tried, verdict.experiment))
        if verdict.outcome == "invalid":
            why = "its placebo held too, so the drill proves nothing."
            return known._replace(invalid=mark, why_invalid=why)
        if verdict.outcome == "failed":
            return known._after_failure(verdict, mark)
        if any(bad and verdict.at < bad.at for bad in (self.failed, self.invalid)):
            return known  # made before what it would have to make good: brought up again, or by a clock that went back
        return known._after_pass(verdict, mark)

    def _after_failure(self, verdict: Verdict, mark: Mark) -> Drilled:
        tally = self.tally(verdict.digest)
        return self._replace(
            digest=verdict.digest,
            peer_class=verdict.peer_class,
            failed=mark,
            invalid=None,
            why_invalid="",
            owed_passes=PASSES_OWED,
            owed_days=PASSES_OWED,
            tallies=self._with(tally._replace(failures=tally.failures + 1)),
        )

    def _after_pass(self, verdict: Verdict, mark: Mark) -> Drilled:
        tally = self.tally(verdict.digest)
        day = int(verdict.at // _DAY_SECONDS)
        counts = day > tally.last_day
        # what is owed is owed by one digest: whoever changes the control again starts again
        started_again = verdict.digest != self.digest
        owed_passes = PASSES_OWED if started_again and self.owed_passes else self.owed_passes
        owed_days = PASSES_OWED if started_again and self.owed_days else self.owed_days
        return self._replace(
            digest=verdict.digest,
            peer_class=verdict.peer_class,
            held=mark if self.held is None or mark.at >= self.held.at else self.held,
            invalid=None,
            why_invalid="",
            owed_passes=max(0, owed_passes - 1),
            owed_days=max(0, owed_days - counts),
            recent=(*self.recent, verdict.index)[-PASSES_OWED:],
            tallies=self._with(tally._replace(passes=tally.passes + 1, last_day=day) if counts else tally),
        )

    def _with(self, tally: Tally) -> tuple[Tally, ...]:
        others = tuple(other for other in self.tallies if other.digest != tally.digest)
        return (*others, tally)[-_TALLIES_KEPT:]
