"""Provider profiles: the limits that providers publish, as data, and how a guard treats each provider."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from prodsprints.guard import checks
from prodsprints.guard.errors import GuardInputError

if TYPE_CHECKING:
    from pathlib import Path

    from prodsprints.guard.limiter import RateLimiter

FILE = "providers.toml"
"""The user's own profiles, in PRODSPRINTS_HOME."""

_PACKAGED = "profiles.toml"
_LONGEST_FILE_BYTES = 262_144
_NEAR = 0.5

Check = Callable[[str, Any], float]


@dataclass(frozen=True)
class Limit:
    """What a provider grants, as a bucket: `burst` calls at once, and `rate` a second from then on.

    Of a stated window (`requests` per `per_seconds`) the bucket never lets more through than it says, wherever the
    window begins: that is why its rate is a little below the quotient.
    """

    rate: float
    burst: float
    counted_per: str = ""
    says: str = ""
    source: str = ""
    read: date | None = None


@dataclass(frozen=True)
class Profile:
    """How guards treat one provider: its times, its limit if it publishes one, and what its answers mean.

    `throttled` are statuses that mean "too fast", `unavailable` those that mean "not now". Some providers say the
    former by another status: where a header has it that nothing remains (`throttled_if_spent`), where they ask to
    wait (`throttled_if_asked_to_wait`), or by a word in the answer (`throttled_words`).
    """

    name: str
    title: str = ""
    limit: Limit | None = None
    unpublished: str = ""
    deadline_seconds: float = 30.0
    timeout_seconds: float = 10.0
    concurrency: int = 100
    freeze_seconds: float = 1.0
    longest_freeze_seconds: float = 300.0
    throttled: tuple[int, ...] = (429,)
    unavailable: tuple[int, ...] = (500, 502, 503, 504)
    throttled_if_spent: tuple[int, ...] = ()
    throttled_if_asked_to_wait: tuple[int, ...] = ()
    throttled_words: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    remaining_header: str = ""
    reset_header: str = ""

    def limiter(self) -> RateLimiter | None:
        """A new bucket of this process with the published limit, for one scope; None where none is published."""
        from prodsprints.guard.limiter import RateLimiter

        return None if self.limit is None else RateLimiter(rate=self.limit.rate, burst=self.limit.burst)


def profile(name: str, *, overrides: Path | None = None) -> Profile:
    """The profile of that name. Raises GuardInputError, naming what comes near, for a name that nobody has.

    `overrides` is a file of your own profiles; by default `providers.toml` in PRODSPRINTS_HOME, where that is set.
    """
    known = profiles(overrides=overrides)
    if name in known:
        return known[name]
    near = _near(name.lower().replace(" ", "-").replace("_", "-"), known)
    raise GuardInputError(
        f"There is no profile of a provider {name!r}.",
        why=f"Near it are: {', '.join(near)}." if near else f"There are: {', '.join(sorted(known))}.",
        next_step=f"Correct the name, or describe the provider in {FILE} in PRODSPRINTS_HOME.",
    )


def profiles(*, overrides: Path | None = None) -> Mapping[str, Profile]:
    """All profiles by name: those that we ship, changed and added to by `overrides`. Raises GuardInputError."""
    path = overrides or _file_at_home()
    if path is None or not path.exists():
        return _shipped()
    stated = _read(path)
    tables = _tables()
    return MappingProxyType(
        _shipped() | {name: _profile(path.name, name, tables.get(name, {}), table) for name, table in stated.items()}
    )


def _file_at_home() -> Path | None:
    from pathlib import Path

    home = os.environ.get("PRODSPRINTS_HOME")
    return Path(home).expanduser() / FILE if home else None


@cache
def _shipped() -> dict[str, Profile]:
    return {name: _profile(_PACKAGED, name, {}, table) for name, table in _tables().items()}


@cache
def _tables() -> dict[str, dict[str, Any]]:
    from importlib.resources import files

    return _parsed(_PACKAGED, files("prodsprints.guard").joinpath(_PACKAGED).read_text(encoding="utf-8"))


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open("rb") as stream:
            content = stream.read(_LONGEST_FILE_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path.name, "", f"cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8'}") from None
    if len(content) > _LONGEST_FILE_BYTES:
        raise _wrong(path.name, "", f"is longer than {_LONGEST_FILE_BYTES:,} bytes")
    return _parsed(path.name, text)


def _parsed(file: str, text: str) -> dict[str, dict[str, Any]]:
    import tomllib

    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _wrong(file, "", f"is no TOML: {error}") from None
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise _wrong(file, name, "must be a table, such as [github]")
    return tables


def _profile(file: str, name: str, shipped: Mapping[str, Any], stated: Mapping[str, Any]) -> Profile:
    known = {each.name for each in fields(Profile)} - {"name"}
    _refuse_unknown(file, name, stated, known)
    values: dict[str, Any] = {**shipped, **stated}
    if "limit" in values:
        limit = values["limit"]
        if not isinstance(limit, dict):
            raise _wrong(file, f"{name}.limit", "must be a table, such as [github.limit]")
        values["limit"] = _limit(file, f"{name}.limit", limit)
    for key in ("throttled", "unavailable", "throttled_if_spent", "throttled_if_asked_to_wait"):
        if key in values:
            values[key] = _statuses(file, f"{name}.{key}", values[key])
    if "throttled_words" in values:
        values["throttled_words"] = _words(file, f"{name}.throttled_words", values["throttled_words"])
    for key in ("title", "unpublished", "remaining_header", "reset_header"):
        if key in values and not isinstance(values[key], str):
            raise _wrong(file, f"{name}.{key}", "must be a text")
    for key in ("deadline_seconds", "timeout_seconds", "freeze_seconds", "longest_freeze_seconds"):
        if key in values:
            _checked(file, f"{name}.{key}", checks.positive, values[key])
    if "concurrency" in values:
        _checked(file, f"{name}.concurrency", checks.whole, values["concurrency"])
    return Profile(name=name, **values)


def _limit(file: str, key: str, stated: Mapping[str, Any]) -> Limit:
    words = {"counted_per", "says", "source", "read"}
    as_window = "requests" in stated or "per_seconds" in stated
    numbers = {"requests", "per_seconds", "burst"} if as_window else {"rate", "burst"}
    _refuse_unknown(file, key, stated, words | numbers)
    for name in numbers - stated.keys():
        if name != "burst":
            raise _wrong(file, key, f"needs {name}")

    def number(name: str, check: Check, otherwise: float | None = None) -> float:
        value: float = _checked(file, f"{key}.{name}", check, stated.get(name, otherwise))
        return value

    if as_window:
        requests, seconds = number("requests", _at_least_one), number("per_seconds", checks.positive)
        burst = number("burst", _at_least_one, max(1, requests // 10))
        if burst >= requests > 1:
            raise _wrong(file, f"{key}.burst", f"must be below requests, {requests:g}")
        rate = (requests - burst) / seconds if requests > 1 else 1 / seconds
    else:
        rate, burst = number("rate", checks.positive), number("burst", _at_least_one, 1)
    for name in ("counted_per", "says", "source"):
        if not isinstance(stated.get(name, ""), str):
            raise _wrong(file, f"{key}.{name}", "must be a text")
    read = stated.get("read")
    if read is not None and type(read) is not date:
        raise _wrong(file, f"{key}.read", "must be a day, such as 2026-11-29")
    return Limit(rate, burst, **{name: stated[name] for name in words & stated.keys()})


def _statuses(file: str, key: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(one) is int and 400 <= one <= 599 for one in value):
        raise _wrong(file, key, "must be a list of HTTP statuses from 400 to 599")
    return tuple(value)


def _words(file: str, key: str, value: Any) -> Mapping[int, str]:
    if not isinstance(value, dict) or not all(
        status.isdecimal() and 400 <= int(status) <= 599 and isinstance(word, str) and word
        for status, word in value.items()
    ):
        raise _wrong(file, key, 'must name a word for each HTTP status, such as { 403 = "rateLimitExceeded" }')
    return MappingProxyType({int(status): word for status, word in value.items()})


def _refuse_unknown(file: str, key: str, stated: Mapping[str, Any], known: set[str]) -> None:
    for name in stated:
        if name not in known:
            near = _near(name, known)
            raise _wrong(file, f"{key}.{name}", f"is not known{f'; {near[0]} is' if near else ''}")


def _near(name: str, known: Collection[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name, known, n=3, cutoff=_NEAR)


def _at_least_one(name: str, value: float) -> float:
    return checks.at_least(name, value, 1)


def _checked(file: str, key: str, check: Check, value: Any) -> Any:
    try:
        return check(key.rpartition(".")[2], value)
    except GuardInputError as error:
        raise GuardInputError(f"{file}: {key}: {error.what}", next_step=error.next_step) from None


def _wrong(file: str, key: str, why: str) -> GuardInputError:
    return GuardInputError(
        f"{file}{f': {key}' if key else ''} {why}.",
        next_step="Correct it; docs/reference/providers.md shows each key with its meaning.",
    )
