"""Writes docs/reference/providers.md from the profiles that we ship; run by `make docs`."""

from __future__ import annotations

import os
from pathlib import Path

from prodsprints.guard import Profile, profiles

TARGET = Path(__file__).parent.parent / "docs" / "reference" / "providers.md"

_PREAMBLE = """# Providers

*Made by `scripts/providers_reference.py` from `src/prodsprints/guard/profiles.toml`.*

`Guard.for_provider("github")` builds a guard with the times and the published limit of a provider. A number stands here
only where the provider publishes one, with its page and the day on which we read it; providers change theirs without
asking.
"""

_OWN = """## Your own

`providers.toml` in `PRODSPRINTS_HOME` changes what it names and adds what is new. It is read when a guard is built; an
unknown key, a limit that is not above 0, a burst below 1 or a number that is none is refused with file and key.

```toml
[github.limit]          # our organisation's app has more
requests = 15000        # no more than so many …
per_seconds = 3600      # … in any window of so many seconds
burst = 1500            # so many of them at once; a tenth if nothing is said

[forge]                 # a provider that we do not know
timeout_seconds = 5     # one attempt; 10 if nothing is said
deadline_seconds = 20   # a call with all its attempts; 30
concurrency = 20        # calls at a time; 100
[forge.limit]
rate = 2                # or a bucket: filled by so many a second …
burst = 10              # … up to so many; 1
counted_per = "token"
```

| key | what it says | if nothing is said |
| --- | --- | --- |
| `title`, `unpublished` | words for people | |
| `deadline_seconds`, `timeout_seconds`, `concurrency` | as above | 30, 10, 100 |
| `freeze_seconds` | how long a throttled key is left alone where the provider does not say | 1 |
| `longest_freeze_seconds` | how long a Retry-After is believed | 300 |
| `throttled` | HTTP statuses that mean "too fast" | 429 |
| `throttled_if_spent` | those that mean it where `remaining_header` says 0 | |
| `throttled_if_asked_to_wait` | those that mean it where Retry-After is there | |
| `throttled_words` | those that mean it where the answer holds the word: `{ 403 = "rateLimitExceeded" }` | |
| `remaining_header`, `reset_header` | the headers with what remains, and when it is filled again (Unix time) | |
| `unavailable` | HTTP statuses that mean "not now" | 500, 502, 503, 504 |
| `limit` | `requests`, `per_seconds`, `burst`; or `rate`, `burst`; and `counted_per`, `says`, `source`, `read` | none |
"""


def main() -> None:
    """Write the file."""
    TARGET.write_text(render())


def render() -> str:
    """The reference as Markdown."""
    shipped = profiles(overrides=Path(os.devnull))
    return "\n".join([_PREAMBLE, *(_section(one) for one in shipped.values()), _OWN])


def _section(one: Profile) -> str:
    lines = [f"## `{one.name}`", "", f"{one.title}.", ""]
    if one.limit is None:
        lines.append(f"- No limit is published. {one.unpublished}")
    else:
        limit = one.limit
        lines.append(f"- Published: {limit.says}. [Its page]({limit.source}), read {limit.read}.")
        lines.append(f"- Bucket: {limit.burst:g} at once, then {limit.rate:.4g} a second, per {limit.counted_per}.")
    lines.append(
        f"- An attempt takes at most {one.timeout_seconds:g} s, a call {one.deadline_seconds:g} s;"
        f" {one.concurrency} at a time."
    )
    lines.append(f"- Too fast: {_throttled(one)}. Retry-After is believed for {one.longest_freeze_seconds:g} s.")
    return "\n".join([*lines, ""])


def _throttled(one: Profile) -> str:
    parts = [str(status) for status in one.throttled]
    parts += [f"{status} where `{one.remaining_header}` is 0" for status in one.throttled_if_spent]
    parts += [f"{status} with Retry-After" for status in one.throttled_if_asked_to_wait]
    parts += [f"{status} with `{word}` in it" for status, word in one.throttled_words.items()]
    return ", ".join(parts)


if __name__ == "__main__":
    main()
