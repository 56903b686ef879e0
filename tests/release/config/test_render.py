"""Durations, percentages, and the file that `init` writes: what is written reads back as what was meant."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.release.config import ReleaseConfig, Rollout, Seconds, Share, parse, render
from prodsprints.release.config.schema import Alerts, Database, Pipeline, Registries, Security

seconds = st.integers(1, 366 * 86_400_000).map(lambda milliseconds: Seconds(milliseconds / 1000))
shares = st.integers(0, 10**8).map(lambda parts: Share(Decimal(parts) / 10**8))
hosts = st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9]{1,20}){0,3}(:[0-9]{1,5})?", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
commands = st.lists(texts, max_size=5).filter(lambda words: not words or words[0]).map(tuple)
counts = st.integers(1, 1_000_000)


@st.composite
def rollouts(draw: st.DrawFn) -> Rollout:
    steps = (*sorted(draw(st.sets(st.integers(1, 99), max_size=5))), 100)
    step_seconds = draw(st.floats(1, 60) | st.integers(1, 60))
    return Rollout(
        strategy=draw(st.sampled_from(["canary", "direct"])),
        steps=steps,
        step_seconds=step_seconds,
        delta=draw(shares.filter(lambda share: 0 < share <= 0.5)),
        minimum_requests=draw(counts),
        timeout=draw(seconds.filter(lambda timeout: timeout >= len(steps) * step_seconds)),
    )


def optional(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


configs = st.builds(
    ReleaseConfig,
    name=optional(st.from_regex(r"[a-z][a-z0-9-]{0,39}", fullmatch=True)),
    web=optional(commands.filter(bool)),
    health=optional(st.from_regex(r"/[!-~]{0,50}", fullmatch=True)),
    test=optional(commands),
    migrate=optional(commands),
    python=optional(st.sampled_from([">=3.11", "==3.12.*", ">=3.11,<3.14", ""])),
    services=optional(st.sampled_from([(), ("postgres",)])),
    environment=st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,20}", fullmatch=True), texts, max_size=5).map(
        lambda values: {f"A{name}": value for name, value in values.items()}
    ),
    rollout=st.just(Rollout()) | rollouts(),
    database=optional(st.builds(Database, max_connections=optional(counts), idle_timeout=optional(seconds))),
    registries=optional(
        st.builds(Registries, primary=optional(hosts), fallback=optional(st.lists(hosts, max_size=3).map(tuple)))
    ),
    pipeline=optional(st.builds(Pipeline, retry_delay=optional(seconds), fallback_runner=optional(texts.filter(bool)))),
    alerts=optional(st.builds(Alerts, cpu_usage=optional(shares), response_time=optional(seconds))),
    security=optional(st.builds(Security, sbom_required=optional(st.booleans()))),
)


@given(configs)
def test_a_written_file_reads_back_as_what_it_was_written_from(config: ReleaseConfig) -> None:
    assert parse(render(config)).for_environment() == config


def test_a_written_file_shows_what_could_be_said_as_comments() -> None:
    text = render(ReleaseConfig(name="shop", web=("python", "-m", "uvicorn", "--port", "$PORT")))
    assert "\nname: shop\n" in text
    assert "\nweb: python -m uvicorn --port $PORT\n" in text
    assert "\n# health: /healthz\n" in text
    assert "\n#   steps: [1, 5, 25, 100]\n" in text


def test_what_a_written_file_suggests_is_accepted_when_it_is_uncommented() -> None:
    lines = [line.removeprefix("# ") for line in render(ReleaseConfig()).splitlines()]
    suggested = [line for line in lines if line.startswith(("  ", *(f"{key}: " for key in ReleaseConfig.model_fields)))]
    blocks = [line for line in lines if line in ("environment:", "rollout:", "providers:", "gate:")]
    assert len(blocks) == 4
    text = "\n".join(line for line in lines if line in suggested or line in blocks)
    config = parse("version: 1\n" + text).for_environment()
    assert (config.name, config.services, config.rollout) == ("shop", ("postgres",), Rollout())


@given(seconds)
def test_a_duration_is_written_as_it_is_read(duration: Seconds) -> None:
    assert Seconds.parse(str(duration)) == duration


@given(shares)
def test_a_percentage_is_written_as_it_is_read(share: Share) -> None:
    assert Share.parse(str(share)) == share


@pytest.mark.parametrize(
    ("written", "expected"), [("30s", 30), ("24h", 86_400), ("1.5m", 90), ("250ms", 0.25), ("2 d", 172_800)]
)
def test_durations_are_seconds(written: str, expected: float) -> None:
    assert Seconds.parse(written) == expected


@pytest.mark.parametrize(
    "value", ["30", 30, "-1s", "1e3s", "s", "1 min", "５s", "1h30m", "30s\n", None, True, float("nan")]
)
def test_what_has_no_unit_that_we_know_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        Seconds.parse(value)


@pytest.mark.parametrize("value", ["80", 80, 0.8, "-1%", "1e1%", "%", "80%\n", None, True])
def test_what_has_no_sign_is_no_percentage(value: object) -> None:
    with pytest.raises(ValueError, match="percentage"):
        Share.parse(value)
