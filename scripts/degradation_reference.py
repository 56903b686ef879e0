"""Writes docs/reference/degradation.md from what is declared, so that it says what the code does."""

from __future__ import annotations

import sys
from pathlib import Path

from prodsprints.controls.integrations.degradation import DECLARED

TARGET = Path(__file__).parent.parent / "docs" / "reference" / "degradation.md"

_PREAMBLE = """# What happens without …

*Made by `scripts/degradation_reference.py` from `prodsprints.controls.integrations.degradation`; a test holds each
line to the code that does it and to the drill or test that shows it.*

Each service that ProdSprints calls can be down. A release that went on without one says so: on its page, in the
terminal, and as `degradations` in `GET /v1/releases/{id}`.
"""


def main() -> int:
    """Write the file or, with `--check`, say whether it is what would be written."""
    if "--check" in sys.argv[1:]:
        if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == render():
            return 0
        print(f"{TARGET} is not what is declared. Run: python scripts/degradation_reference.py", file=sys.stderr)
        return 1
    TARGET.write_text(render(), encoding="utf-8")
    return 0


def render() -> str:
    """The reference as Markdown."""
    parts = [_PREAMBLE]
    for one in DECLARED:
        parts.append(f"## {one.title}\n")
        parts.append("| | |\n| --- | --- |")
        parts.append(f"| name | `{one.name}` |")
        parts.append(f"| used for | {one.used_for} |")
        parts.append(f"| without it | {one.without} |")
        parts.append(f"| critical | {'yes: the release stops' if one.critical else 'no: the release goes on'} |")
        parts.append(f"| where it is said | {one.said} |")
        parts.append(f"| shown by | {', '.join(f'`{shown}`' for shown in one.shown_by)} |\n")
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
