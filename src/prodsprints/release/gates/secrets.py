"""The gate that no credential passes: certain finds refuse, likely ones warn."""

from __future__ import annotations

import time
from pathlib import Path

from prodsprints.controls.credentials.scan import Scan, scan
from prodsprints.release.gates.result import GateFinding, GateResult


def check(tree: Path, *, timeout_seconds: float = 300.0) -> GateResult:
    """Scan the exported `tree`. A scan that did not come to its end does not pass: nobody knows what it missed."""
    started = time.monotonic()
    found = scan(tree, timeout_seconds=timeout_seconds)
    certain = sum(secret.certain for secret in found.secrets)
    if certain:
        summary = _count(certain, "secret", "in the commit.")
        step = (
            "Withdraw each of them at its provider first, since it is in the history now; then remove it and commit."
            " For a made-up value end its line with `pragma: allowlist secret`."
        )
    elif not found.complete:
        summary = f"The scan for secrets did not come to its end within {timeout_seconds:.0f} s."
        step = "Move generated and data files out of the commit, then release again."
    else:
        summary, step = _passed(found), ""
    return GateResult(
        passed=not step,
        summary=summary,
        findings=_findings(found),
        seconds=time.monotonic() - started,
        next_step=step,
    )


def _passed(found: Scan) -> str:
    likely = len(found.secrets)
    noted = f"; {_count(likely, 'place', 'may hold one')}" if likely else ""
    left_out = f"; {_count(len(found.skipped), 'file', 'not scanned')}" if found.skipped else ""
    return f"No secret in {_count(found.files, 'file', '').rstrip()}{noted}{left_out}."


def _findings(found: Scan) -> tuple[GateFinding, ...]:
    places = [
        GateFinding(secret.kind if secret.certain else f"{secret.kind}, perhaps", secret.file, secret.line)
        for secret in found.secrets
    ]
    return (*places, *(GateFinding(f"not scanned: {entry.reason}", entry.file) for entry in found.skipped))


def _count(number: int, what: str, rest: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'} {rest}"
