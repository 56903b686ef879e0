"""A gate's answer as a value: shown, stored, and in the end required."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prodsprints.release.gates.errors import GateRefusedError


@dataclass(frozen=True)
class GateFinding:
    """One thing a gate noticed at a place; only those that `block` keep it shut."""

    text: str
    file: str = ""
    line: int = 0
    blocks: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return place + self.text


@dataclass(frozen=True)
class GateResult:
    """What one gate found: `summary` is a sentence, `log` is redacted, `next_step` is there unless it passed."""

    name: str
    passed: bool
    summary: str
    findings: tuple[GateFinding, ...] = ()
    seconds: float = 0.0
    log: tuple[str, ...] = ()
    next_step: str = ""

    @property
    def outcome(self) -> Literal["passed", "warned", "refused"]:
        """Whether it passed without a word, with a warning, or not at all."""
        if not self.passed:
            return "refused"
        return "warned" if self.findings else "passed"


def require(results: Sequence[GateResult]) -> None:
    """Raise GateRefusedError, naming each of them, unless all gates were passed."""
    shut = [result for result in results if not result.passed]
    if not shut:
        return
    raise GateRefusedError(
        f"{'The gate' if len(shut) == 1 else 'The gates'} {', '.join(result.name for result in shut)} refused.",
        why=" ".join(result.summary for result in shut),
        next_step=" ".join(result.next_step for result in shut),
    )
