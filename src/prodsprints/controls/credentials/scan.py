"""Secrets in files: where they stand and of which kind, never what they are; for the release's gate and for people."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from prodsprints.controls.credentials.errors import ScanError
from prodsprints.kernel.redaction import Redactor
from prodsprints.runtime import sandbox

_SCANNER = Path(__file__).with_name("scanner.py")
_SOURCES = Path(__file__).parents[3]
_MAX_SHOWN = 200

# These formats are issued by one provider each and hardly occur by chance. Entropy and telling names only suggest.
_CERTAIN = {
    *("AWS Access Key", "Artifactory Credentials", "Azure Storage Account access key", "Discord Bot Token"),
    *("GitHub Token", "GitLab Token", "Mailchimp Access Key", "NPM tokens", "OpenAI Token", "Private Key"),
    *("PyPI Token", "SendGrid API Key", "Slack Token", "Square OAuth Secret", "Stripe Access Key"),
    *("Telegram Bot Token", "Twilio API Key"),
}


@dataclass(frozen=True)
class Secret:
    """One place that holds, or may hold, a secret. `certain` ones leave no reasonable doubt."""

    file: str
    line: int
    kind: str
    certain: bool


@dataclass(frozen=True)
class Skipped:
    """A file that was not scanned, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Scan:
    """What a scan found; `complete` only if it came to its end within the time."""

    secrets: tuple[Secret, ...]
    skipped: tuple[Skipped, ...]
    files: int
    complete: bool


def scan(root: Path, *, timeout_seconds: float = 300.0) -> Scan:
    """Scan the text files below `root` with detect-secrets, in a process of its own without network.

    Binary files are left out; larger ones than 1 MiB, and such that take too long, are named in `skipped`. A line
    that says `pragma: allowlist secret` is allowed. Nothing is ever verified online. Raises ScanError.
    """
    secrets: list[Secret] = []
    skipped: list[Skipped] = []
    files = 0
    finished = False

    def take(line: str) -> None:
        nonlocal files, finished
        try:
            said = json.loads(line)
        except ValueError:  # a warning of the library
            return
        match said:
            case {"file": str(file), "line": int(number), "kind": str(kind), "example": bool(example)}:
                secrets.append(Secret(file, number, kind, kind in _CERTAIN and not example))
            case {"file": str(file), "skipped": str(reason)}:
                skipped.append(Skipped(file, reason))
            case {"files": int(count)}:
                files, finished = count, True

    done = sandbox.run(
        [sys.executable, "-I", "-X", "utf8", str(_SCANNER), str(root)],
        cwd=Path("/"),  # never inside the tree: a scanner has imported modules of what it scanned
        env=sandbox.environment(),
        confinement=sandbox.Confinement(writable=(), readable=(root, Path(sys.prefix), _SOURCES)),
        timeout_seconds=timeout_seconds,
        on_line=take,
    )
    if not finished and not done.timed_out and not done.dropped_bytes:
        raise ScanError(
            f"The scanner for secrets ended with {done.exit_code} before it was done.",
            why=Redactor().text(done.tail[-1]) if done.tail else "",
            next_step="Install ProdSprints anew with its `server` extra (detect-secrets), then try again.",
        )
    return Scan(
        secrets=tuple(
            sorted(set(secrets), key=lambda secret: (not secret.certain, secret.file, secret.line, secret.kind))
        ),
        skipped=tuple(skipped[:_MAX_SHOWN]),
        files=files,
        complete=finished and not done.dropped_bytes,
    )
