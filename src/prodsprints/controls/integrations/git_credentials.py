"""Run by Git when a host asks who we are: answers for the one host that it was started for, and for no other.

The secret comes by reference, through a file or a variable that this process inherits; it is in nobody's arguments.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

PLACE, USERNAME, TOKEN_FILE, TOKEN = (
    f"PRODSPRINTS_GIT_{name}" for name in ("PLACE", "USERNAME", "TOKEN_FILE", "TOKEN")
)


def answer(question: str, environment: Mapping[str, str]) -> str:
    """What Git is told (gitcredentials(7)); nothing unless it asks for our host."""
    asked = dict(line.split("=", 1) for line in question.splitlines() if "=" in line)
    place = f"{asked.get('protocol')}://{asked.get('host')}"
    if place != environment.get(PLACE):
        return ""
    file = environment.get(TOKEN_FILE)
    token = Path(file).read_text(encoding="utf-8").strip() if file else environment.get(TOKEN, "")
    return f"username={environment[USERNAME]}\npassword={token}\n"


if __name__ == "__main__":
    if sys.argv[-1] == "get":
        sys.stdout.write(answer(sys.stdin.read(65_536), os.environ))
