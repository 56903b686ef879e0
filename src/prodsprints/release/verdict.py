"""The canary verdict: reject, keep, or insufficient, as a value with its evidence and a sentence, for the rollout.

Why it is built like this: docs/explanation/verdict.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import exp, isfinite, log
from typing import Any, Literal

from prodsprints.release.errors import VerdictInputError
from prodsprints.release.sequential import DifferenceBound, ExcessErrors

Decision = Literal["reject", "keep", "insufficient"]


def judge(
    ticks: Iterable[Tick], policy: Policy | None = None, *, canary: str = "the canary", stable: str = "the stable arm"
) -> Verdict:
    """The verdict after all of `ticks`: exactly what a Judge that saw them one by one says at the end."""
    judge = Judge(policy, canary=canary, stable=stable)
    for tick in ticks:
        judge.look(tick)
    return judge.verdict


def trail(
    ticks: Iterable[Tick], policy: Policy | None = None, *, canary: str = "the canary", stable: str = "the stable arm"
) -> list[Verdict]:
    """The verdict after each of `ticks`, for the chart."""
    judge = Judge(policy, canary=canary, stable=stable)
    return [judge.look(tick) for tick in ticks]


@dataclass(frozen=True, slots=True)
class Tick:
    """What both arms answered since the tick before.

    `at` is the tick's end in seconds since the rollout began, `weight` the canary's share of the route in per cent.
    Count a request when it is answered, so that its error falls into the same tick.
    """

    at: float
    weight: float
    stable_requests: int
    stable_errors: int
    canary_requests: int
    canary_errors: int

    def __post_init__(self) -> None:
        if not (isfinite(self.at) and self.at >= 0):
            raise _refused(f"a tick's time must be a number of seconds from 0 up, not {self.at!r}")
        if not 0 <= self.weight <= 100:
            raise _refused(f"a canary's weight lies between 0 and 100 %, not at {self.weight!r}")
        _check_counts("stable", self.stable_requests, self.stable_errors)
        _check_counts("canary", self.canary_requests, self.canary_errors)


@dataclass(frozen=True, slots=True)
class Policy:
    """What counts as worse, and how often the verdict may be wrong.

    `alpha_errors`: chance that a canary no worse than the stable arm is ever rejected for its errors. `alpha_rest` is
    set aside for measures still to come, so that adding one will not break the promise of both together (1 %).
    `delta`: a difference in error rate that is still acceptable; `alpha_keep`: chance that a worse one is ever kept.
    """

    alpha_errors: float = 0.007
    alpha_rest: float = 0.003
    delta: float = 0.01
    alpha_keep: float = 0.05
    minimum_requests: int = 100

    def __post_init__(self) -> None:
        for name in ("alpha_errors", "alpha_rest", "delta", "alpha_keep"):
            if not 0 < getattr(self, name) < 1:
                raise _refused(f"{name} must lie between 0 and 1, not at {getattr(self, name)!r}")
        if self.minimum_requests < 0:
            raise _refused(f"minimum_requests must be 0 or more, not {self.minimum_requests!r}")


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm answered over all ticks so far."""

    label: str
    requests: int = 0
    errors: int = 0

    @property
    def rate(self) -> float:
        """Share of its requests answered with an error; 0 while there were none."""
        return self.errors / self.requests if self.requests else 0.0

    def plus(self, requests: int, errors: int) -> Arm:
        return Arm(self.label, self.requests + requests, self.errors + errors)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of the canary at one look. Only "keep" passes; "insufficient" never does.

    `log_e_value` and `log_threshold` are natural logarithms: evidence soon outgrows a float. `bound` is the upper
    limit of (canary − stable) error rate, 1 while nothing was compared.
    """

    decision: Decision
    log_e_value: float
    log_threshold: float
    bound: float
    delta: float
    confidence: float
    minimum_requests: int
    stable: Arm
    canary: Arm
    looks: int
    seconds: float

    @property
    def e_value(self) -> float:
        """The evidence against "no worse", at most 1e300 (beyond that only its logarithm is exact)."""
        return exp(min(self.log_e_value, _LARGEST_LOG))

    @property
    def threshold(self) -> float:
        return exp(self.log_threshold)

    @property
    def sentence(self) -> str:
        """The decision and its reason with figures, for a person."""
        if self.decision == "reject":
            return (
                f"Rejected after {_duration(self.seconds)}: {self._errors}. "
                f"Were {self.canary.label} no worse, evidence this strong would come up, at any look, in at most "
                f"{_one_in(self.e_value)} rollouts."
            )
        if self.decision == "keep":
            return (
                f"Good to keep after {_duration(self.seconds)}: {self._errors}. {self._bound}; "
                f"allowed: {_points(self.delta)}."
            )
        return f"Insufficient data after {_duration(self.seconds)}, which is not a pass: {self._shortage}."

    @property
    def _errors(self) -> str:
        canary, stable = self.canary, self.stable
        return f"{canary.label} erred on {_count(canary, ' requests')}, {stable.label} on {_count(stable)}"

    @property
    def _bound(self) -> str:
        where = (
            f"at most {_points(self.bound)} higher" if self.bound >= 0 else f"{_points(-self.bound)} lower or better"
        )
        return f"Its error rate lies {where} ({100 * self.confidence:g} % confidence, all looks together)"

    @property
    def _shortage(self) -> str:
        if not self.canary.requests:
            return f"{self.canary.label} has answered no request yet"
        if not self.stable.requests:
            return f"{self.stable.label} has answered no request to compare with"
        if self.bound > self.delta:
            return (
                f"{self._errors}; its error rate could still lie {_points(self.bound)} higher "
                f"(allowed: {_points(self.delta)})"
            )
        return (
            f"{self.canary.label} answered {self.canary.requests:,} of the {self.minimum_requests:,} requests asked for"
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values for the record, the API and the page."""
        return {
            "decision": self.decision,
            "sentence": self.sentence,
            "e_value": self.e_value,
            "log10_e_value": self.log_e_value / log(10),
            "threshold": self.threshold,
            "bound": self.bound,
            "delta": self.delta,
            "confidence": self.confidence,
            "minimum_requests": self.minimum_requests,
            "stable": asdict(self.stable),
            "canary": asdict(self.canary),
            "looks": self.looks,
            "seconds": self.seconds,
        }


class Judge:
    """Judges a rollout tick by tick in constant memory; each look costs the same.

    A rejection stands: the rollout stops there, and what traffic still reaches the canary does not argue with it.
    """

    def __init__(
        self, policy: Policy | None = None, *, canary: str = "the canary", stable: str = "the stable arm"
    ) -> None:
        self._policy = policy or Policy()
        self._log_threshold = -log(self._policy.alpha_errors)
        self._excess = ExcessErrors()
        self._difference = DifferenceBound(self._policy.alpha_keep)
        self._stable, self._canary = Arm(stable), Arm(canary)
        self._looks, self._seconds = 0, 0.0
        self.verdict = self._conclude()

    def look(self, tick: Tick) -> Verdict:
        """The verdict including `tick`, also kept as `verdict`."""
        if tick.at < self._seconds:
            raise _refused(f"a tick at {tick.at:g} s came after one at {self._seconds:g} s")
        if self.verdict.decision == "reject":
            return self.verdict
        counts = (tick.stable_requests, tick.stable_errors, tick.canary_requests, tick.canary_errors)
        self._excess.add(*counts)
        self._difference.add(*counts)
        self._stable = self._stable.plus(tick.stable_requests, tick.stable_errors)
        self._canary = self._canary.plus(tick.canary_requests, tick.canary_errors)
        self._looks += 1
        self._seconds = tick.at
        self.verdict = self._conclude()
        return self.verdict

    def _conclude(self) -> Verdict:
        log_e_value, bound = self._excess.log_e_value, self._difference.upper
        return Verdict(
            decision=self._decide(log_e_value, bound),
            log_e_value=log_e_value,
            log_threshold=self._log_threshold,
            bound=bound,
            delta=self._policy.delta,
            confidence=1 - self._policy.alpha_keep,
            minimum_requests=self._policy.minimum_requests,
            stable=self._stable,
            canary=self._canary,
            looks=self._looks,
            seconds=self._seconds,
        )

    def _decide(self, log_e_value: float, bound: float) -> Decision:
        # Under heavy traffic both can hold at once: surely worse, and surely by less than delta. Worse wins.
        if log_e_value >= self._log_threshold:
            return "reject"
        if bound <= self._policy.delta and self._canary.requests >= self._policy.minimum_requests:
            return "keep"
        return "insufficient"


_LARGEST_LOG = 300 * log(10)


def _check_counts(arm: str, requests: int, errors: int) -> None:
    for name, count in (("requests", requests), ("errors", errors)):
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise _refused(f"the {arm} arm's {name} must be a whole number from 0 up, not {count!r}")
    if errors > requests:
        raise _refused(f"the {arm} arm cannot have {errors:,} errors in {requests:,} requests")


def _refused(what: str) -> VerdictInputError:
    return VerdictInputError(
        f"No verdict: {what}.", next_step="Check where the counts and the policy come from; nothing was changed."
    )


def _count(arm: Arm, noun: str = "") -> str:
    return f"{arm.errors:,} of {arm.requests:,}{noun} ({_figures(100 * arm.rate)} %)"


def _points(difference: float) -> str:
    figures = _figures(100 * difference)
    return f"{figures} percentage point" if figures == "1" else f"{figures} percentage points"


def _figures(value: float) -> str:
    """Two significant digits below 10, whole numbers above, no trailing zeros: 0.058, 5.8, 58."""
    if value == 0:
        return "0"
    return f"{value:.0f}" if value >= 10 else f"{float(f'{value:.2g}'):.6f}".rstrip("0").rstrip(".")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def _one_in(e_value: float) -> str:
    if e_value >= 1e6:
        return "one in a million"
    return f"one of {int(e_value):,}"
