"""The how-to page runs as written, from its first block to its last."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "guard-a-call.md"


async def from_the_mirror(name: str) -> dict[str, str]:
    return {"name": name}


def test_every_block_of_the_page_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"from_the_mirror": from_the_mirror}
    for block in blocks:
        exec(block, names)  # noqa: S102 - the page's code is what is tested
    assert len(blocks) == 5
    assert names["forge"].snapshot().circuit == "closed"
