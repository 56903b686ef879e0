"""Profiles say what providers publish, and what is wrong in a file of one's own is named with its key."""

from __future__ import annotations

import importlib.util
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.guard import Guard, Key, KeyPool, RateLimiter, profile, profiles
from prodsprints.guard.errors import GuardInputError

profile_module: Any = sys.modules["prodsprints.guard.profiles"]  # its name in the package is the function's
ROOT = Path(__file__).parents[2]
ISSUES = {"aws-sts", "aws-iam", "aws-ec2", "aws-service-quotas", "gcp", "azure", "github", "gitlab", "slack"}


def stated(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "providers.toml"
    file.write_text(text)
    return file


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(GuardInputError) as caught:
        profiles(overrides=stated(tmp_path, text))
    return str(caught.value)


def test_each_published_limit_names_its_page_and_the_day_it_was_read() -> None:
    assert ISSUES | {"docker-hub", "lets-encrypt"} <= profiles().keys()
    for one in profiles().values():
        if one.limit is None:
            assert one.unpublished, one.name
        else:
            assert one.limit.source.startswith("https://") and isinstance(one.limit.read, date), one.name
            assert one.limit.says and one.limit.counted_per, one.name


def test_an_unknown_provider_is_refused_with_what_comes_near() -> None:
    with pytest.raises(GuardInputError) as caught:
        profile("GitHubb")
    assert "github" in str(caught.value) and "providers.toml" in caught.value.next_step
    with pytest.raises(GuardInputError, match="There are: aws-ec2"):
        profile("zzz")


def test_a_file_changes_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    file = stated(tmp_path, "[github.limit]\nrequests = 15000\nper_seconds = 3600\n[forge]\ntimeout_seconds = 3\n")
    found = profiles(overrides=file)
    assert found["github"].limit is not None and found["github"].limit.burst == 1500
    assert found["github"].concurrency == 100
    assert (found["forge"].timeout_seconds, found["forge"].limit) == (3, None)
    assert found["gitlab"] == profile("gitlab")


def test_the_file_at_home_counts_without_being_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stated(tmp_path, "[slack.limit]\nrate = 3\nburst = 7\n")
    monkeypatch.setenv("PRODSPRINTS_HOME", str(tmp_path))
    limit = profile("slack").limit
    assert limit is not None and (limit.rate, limit.burst) == (3, 7)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[github.limit]\nrate = 0\n", "providers.toml: github.limit.rate: rate must be a number above 0"),
        ("[github.limit]\nrate = -1\n", "github.limit.rate"),
        ("[github.limit]\nrate = nan\n", "github.limit.rate"),
        ("[github.limit]\nrate = inf\n", "github.limit.rate"),
        ("[github.limit]\nrate = true\n", "github.limit.rate"),
        ("[github.limit]\nrate = 1\nburst = 0.5\n", "github.limit.burst"),
        ("[github.limit]\nrate = 1\nburst = nan\n", "github.limit.burst"),
        ("[github.limit]\nburst = 5\n", "github.limit needs rate"),
        ("[github.limit]\nrequests = 10\n", "github.limit needs per_seconds"),
        ("[github.limit]\nrequests = 10\nper_seconds = 0\n", "github.limit.per_seconds"),
        ("[github.limit]\nrequests = 10\nper_seconds = 1\nburst = 10\n", "github.limit.burst must be below requests"),
        ("[github.limit]\nrequests = 10\nper_seconds = 1\nrate = 1\n", "github.limit.rate is not known"),
        ("[github.limit]\nrate = 1\nread = 'today'\n", "github.limit.read must be a day"),
        ("[github.limit]\nrate = 1\nsource = 5\n", "github.limit.source must be a text"),
        ("[github]\nlimit = 5\n", "github.limit must be a table"),
        ("[github]\ntimeout = 5\n", "github.timeout is not known; timeout_seconds is"),
        ("[github]\ntimeout_seconds = '5'\n", "github.timeout_seconds"),
        ("[github]\nconcurrency = 1.5\n", "github.concurrency"),
        ("[github]\nthrottled = [200]\n", "github.throttled must be a list of HTTP statuses"),
        ("[github]\nthrottled_words = { x = 'y' }\n", "github.throttled_words must name a word"),
        ("[github]\ntitle = 5\n", "github.title must be a text"),
        ("github = 5\n", "github must be a table"),
        ("[github\n", "providers.toml is no TOML"),
        ("#" * 300_000, "providers.toml is longer than"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    assert named in refusal(tmp_path, text)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "providers.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(GuardInputError, match="cannot be read"):
        profiles(overrides=tmp_path / "providers.toml")
    with pytest.raises(GuardInputError, match="cannot be read"):
        profiles(overrides=tmp_path)


VALUES = st.recursive(
    st.one_of(st.integers(-5, 600), st.floats(), st.booleans(), st.text(max_size=5), st.just([]), st.just([429])),
    lambda inner: st.dictionaries(st.sampled_from(["403", "rate", "burst", "x"]), inner, max_size=2),
    max_leaves=3,
)
KEYS = st.sampled_from(
    [
        *("limit", "title", "throttled", "throttled_words", "concurrency", "deadline_seconds", "rate", "burst"),
        *("requests", "per_seconds", "read", "source", "remaining_header", "freeze_seconds", "nonsense"),
    ]
)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(KEYS, VALUES, max_size=4))
def test_whatever_stands_in_a_file_is_a_profile_that_guards_can_keep_or_is_refused(
    table: dict[str, Any], limit: dict[str, Any]
) -> None:
    for stated in (table, {**table, "limit": limit}):
        try:
            found = profile_module._profile("providers.toml", "mine", {}, stated)
        except GuardInputError as error:
            assert "providers.toml" in error.what
        else:
            guard = Guard.for_provider(found)
            assert guard.attempt_seconds > 0
            assert found.limit is None or (found.limit.rate > 0 and found.limit.burst >= 1)


@given(st.text(max_size=60))
def test_text_that_is_no_file_of_profiles_is_refused_with_its_name(text: str) -> None:
    try:
        profile_module._parsed("providers.toml", text)
    except GuardInputError as error:
        assert "providers.toml" in error.what


@given(
    requests=st.integers(1, 10_000),
    seconds=st.integers(1, 100_000),
    pauses=st.lists(st.floats(0, 2), max_size=200),
)
def test_no_window_of_a_stated_length_lets_more_through_than_it_says(
    requests: int, seconds: int, pauses: list[float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("profiles")
    file = stated(place, f"[mine.limit]\nrequests = {requests}\nper_seconds = {seconds}\n")
    bucket = profiles(overrides=file)["mine"].limiter()
    assert bucket is not None
    now, taken = 0.0, []
    for pause in pauses:
        now += pause * seconds / 20
        for _ in range(20):
            if bucket.take(now) == 0.0:
                taken.append(now)
    for at in taken:
        assert sum(at <= other < at + seconds * (1 - 1e-9) for other in taken) <= requests


def test_a_guard_for_a_provider_has_its_times_and_its_bucket() -> None:
    layers = Guard.for_provider("github")._layers
    known = profile("github")
    assert known.limit is not None
    assert (layers.name, layers.timeout_seconds, layers.bulkhead.limit) == ("github", 10, 100)
    [bucket] = layers.keys.quotas.values()
    assert isinstance(bucket, RateLimiter) and (bucket.rate, bucket.burst) == (known.limit.rate, known.limit.burst)
    assert Guard.for_provider("aws-iam")._layers.deadline_seconds == 15


def test_what_is_given_wins_and_keys_bring_their_own_bucket() -> None:
    keys = KeyPool([Key("one")])
    layers = Guard.for_provider("github", keys=keys, deadline_seconds=2)._layers
    assert layers.keys is keys and layers.deadline_seconds == 2


def test_the_reference_page_is_what_the_profiles_say() -> None:
    spec = importlib.util.spec_from_file_location("providers_reference", ROOT / "scripts" / "providers_reference.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.TARGET.read_text() == script.render(), "run: make docs"
