"""A gate's answer as a value, for the step that asks it and for the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GateFinding:
    """One thing a gate noticed, at a place if it has one."""

    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return place + self.text


@dataclass(frozen=True)
class GateResult:
    """What one gate found: `summary` is a sentence, `next_step` is there unless it passed."""

    passed: bool
    summary: str
    seconds: float
    findings: tuple[GateFinding, ...] = ()
    next_step: str = ""
