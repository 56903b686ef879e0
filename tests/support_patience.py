"""A small control for the drills of tests that need one: a client that tries again."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

ATTEMPTS = 8
WAIT_SECONDS = 0.01


def fetch(url: str) -> int:
    """The status of the first answer that is no 429, or the last one's."""
    for _ in range(ATTEMPTS):
        status = fetch_once(url)
        if status != 429:
            break
        time.sleep(WAIT_SECONDS)
    return status


def fetch_once(url: str) -> int:
    """One attempt."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - on loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
