"""`prodsprints.yaml`: what is accepted, what is refused and how, overlays, and where each value comes from."""

from __future__ import annotations

import json
import os
import re
import string
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.kernel.errors import ExitCode, ProdSprintsError
from prodsprints.release.config import Config, ConfigError, ReleaseConfig, Rollout, load, parse

SPECIFIED = """\
# Database configuration
database:
  max_connections: 100
  connection_timeout: 30s
  idle_timeout: 300s
  health_check_interval: 30s

# Multi-registry configuration
registries:
  primary: "ghcr.io"
  fallback: ["docker.io", "ecr.amazonaws.com"]
  cache_ttl: "24h"
  health_check_interval: "5m"

# Pipeline resilience configuration
pipeline:
  max_retries: 3
  retry_delay: "5m"
  timeout: "30m"
  fallback_runner: "self-hosted"

# Resource monitoring thresholds
alerts:
  cpu_usage: 80%
  memory_usage: 85%
  disk_usage: 90%
  response_time: 5s
  error_rate: 5%

# Supply chain security
security:
  sbom_required: true
  image_signing: true
  vulnerability_threshold: "HIGH"
  dependency_check: true
"""


def refusal(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse("version: 1\n" + text)
    assert caught.value.exit_code is ExitCode.USAGE
    assert "prodsprints config show" in caught.value.next_step
    return caught.value.what.splitlines()


def only_refusal(text: str) -> str:
    (line,) = refusal(text)
    return line


def test_the_specifications_five_blocks_are_accepted_verbatim_and_normalised() -> None:
    config = parse("version: 1\n" + SPECIFIED).for_environment()
    assert config.database is not None and config.database.idle_timeout == 300.0
    assert config.registries is not None and config.registries.cache_ttl == 86_400.0
    assert config.pipeline is not None and config.pipeline.retry_delay == 300.0
    assert config.alerts is not None and (config.alerts.cpu_usage, config.alerts.error_rate) == (0.8, 0.05)
    assert config.security is not None and config.security.vulnerability_threshold == "HIGH"


def test_a_block_whose_control_has_not_landed_says_that_it_is_not_enforced_yet() -> None:
    settings = {setting.key: setting for setting in parse("version: 1\n" + SPECIFIED).effective()}
    assert str(settings["database.idle_timeout"]) == (
        "database.idle_timeout: 5m  (prodsprints.yaml:6; accepted, not enforced yet)"
    )
    assert settings["database.idle_timeout"].value == 300.0
    assert {key for key, setting in settings.items() if not setting.enforced} == {
        f"{block}.{key}" for block, keys in yaml.safe_load(SPECIFIED).items() for key in keys
    }


def test_a_registry_that_is_none_is_warned_about_with_its_line() -> None:
    (warning,) = parse("version: 1\n" + SPECIFIED).warnings
    assert warning.startswith("prodsprints.yaml:12: `ecr.amazonaws.com` is no registry's address")


def test_a_variable_that_looks_like_a_secret_is_warned_about_without_its_value() -> None:
    (warning,) = parse("version: 1\nenvironment: {PAYMENT_API_KEY: sk-12345678, LOG_LEVEL: info}").warnings
    assert "PAYMENT_API_KEY looks like a secret" in warning
    assert "12345678" not in warning


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    config = load(tmp_path / "prodsprints.yaml")
    assert config.for_environment("production") == ReleaseConfig()
    assert config.for_environment().rollout == Rollout()
    assert {setting.source for setting in config.effective()} == {"default"}


def test_the_default_rollout_is_a_canary_in_four_steps_of_a_minute() -> None:
    rollout = Rollout()
    assert (rollout.strategy, rollout.steps, rollout.step_seconds) == ("canary", (1, 5, 25, 100), 60)
    assert (rollout.delta, rollout.minimum_requests, rollout.timeout) == (0.01, 100, 1800)


OVERLAID = """\
version: 1
name: shop
web: serve
environment:
  LOG_LEVEL: info
  REGION: north
rollout: {step_seconds: 30}
environments:
  staging:
    environment:
      LOG_LEVEL: debug
    rollout:
      steps: [50, 100]
  quiet:
"""


def test_an_overlay_is_merged_by_key_and_replaces_lists() -> None:
    config = parse(OVERLAID)
    staging = config.for_environment("staging")
    assert staging.environment == {"LOG_LEVEL": "debug", "REGION": "north"}
    assert (staging.rollout.steps, staging.rollout.step_seconds) == ((50, 100), 30)
    assert config.for_environment("production").environment["LOG_LEVEL"] == "info"
    assert config.for_environment("quiet") == config.for_environment()
    assert config.environments == ("staging", "quiet")


def test_every_effective_value_says_where_it_comes_from() -> None:
    sources = {setting.key: setting.source for setting in parse(OVERLAID).effective("staging")}
    assert sources["name"] == "prodsprints.yaml:2"
    assert sources["environment.REGION"] == "prodsprints.yaml:6"
    assert sources["environment.LOG_LEVEL"] == "prodsprints.yaml:11 in environments.staging"
    assert sources["rollout.steps"] == "prodsprints.yaml:13 in environments.staging"
    assert sources["rollout.delta"] == "default"


def test_a_mistake_in_an_overlay_is_reported_once_and_at_its_own_line() -> None:
    text = OVERLAID.replace("steps: [50, 100]", "stepz: [50, 100]")
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert caught.value.what == "prodsprints.yaml:13: unknown key `rollout.stepz`; did you mean `steps`?"


def test_an_overlay_cannot_rename_the_application() -> None:
    assert "cannot give the application another `name`" in only_refusal("environments: {staging: {name: other}}")


def test_notes_that_start_with_x_are_allowed_at_every_level() -> None:
    text = "x-a: 1\nrollout: {x-b: [2]}\ndatabase: {x-c: {d: 3}}\nenvironments: {x-e: 4, staging: {x-f: 5}}"
    assert parse("version: 1\n" + text).environments == ("staging",)


def test_a_misspelt_key_is_refused_with_its_line_and_the_likely_spelling() -> None:
    assert only_refusal("helth: /up") == "prodsprints.yaml:2: unknown key `helth`; did you mean `health`?"
    assert only_refusal("database:\n  max_conns: 3").startswith("prodsprints.yaml:3: unknown key `database.max_conns`")


def test_every_problem_is_reported_at_once_in_the_order_of_the_file() -> None:
    lines = refusal("name: Shop\nweb: []\nrollout:\n  delta: 1\n  strategy: canery\npython: 3.11\n")
    assert [line.split(":")[1] for line in lines] == ["2", "3", "5", "6", "7"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rollout: {steps: [5, 1, 100]}", "should rise from step to step"),
        ("rollout: {steps: [5, 5, 100]}", "should rise from step to step"),
        ("rollout: {steps: [1, 50]}", "should end with 100"),
        ("rollout: {steps: []}", "should end with 100"),
        ("rollout: {steps: [0, 100]}", "greater than or equal to 1"),
        ("rollout: {steps: [true, 100]}", "whole number"),
        ("rollout: {step_seconds: 0}", "greater than or equal to 1"),
        ("rollout: {step_seconds: .nan}", "rollout.step_seconds"),
        ("rollout: {step_seconds: true}", "should be a number"),
        ("rollout: {delta: 0%}", "greater than 0"),
        ("rollout: {delta: 51%}", "less than or equal to 0.5"),
        ("rollout: {delta: 0.01}", "percentage with its sign"),
        ("rollout: {timeout: 10s}", "shorter than its steps take"),
        ("rollout: {timeout: 1800}", "duration with its unit"),
        ("rollout: {strategy: blue-green}", "'canary' or 'direct'"),
        ("rollout:", "should be keys with values"),
        ("database: {idle_timeout: 0s}", "between 1ms and 366d"),
        ("database: {idle_timeout: 0.1ms}", "whole milliseconds"),
        ("database: {max_connections: '100'}", "should be a whole number"),
        ("alerts: {cpu_usage: 101%}", "between 0% and 100%"),
        ("security: {sbom_required: 'true'}", "should be true or false"),
        ("security: {vulnerability_threshold: high}", "did you mean `HIGH`?"),
        ("registries: {primary: 'https://registry.example.org'}", "registries.primary"),
        ("web: uvicorn app:app && echo", "run without a shell"),
        ("web: 'sh -c \"'", "quote that is not closed"),
        ("web: [run, 3]", "list of words"),
        ("health: healthz", "`health`"),
        ("services: [redis]", "'postgres'"),
        ("environment: {PORT: '80'}", "ProdSprints sets it itself"),
        ("environment: {LD_PRELOAD: evil.so}", "would reach the programs that confine the application"),
        ("environment: {WORKERS: 4}", "put it in quotes"),
        ("environment: {a-b: x}", "letters, digits and underscores"),
        ("python: '3.11 or so'", "version specifier"),
        ("environments: {Staging: {}}", "the key `environments.Staging`"),
        ("environments: {staging: {environments: {}}}", "unknown key `environments`"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(text: str, expected: str) -> None:
    assert expected in only_refusal(text)


@pytest.mark.parametrize(
    "first", ["", "name: shop", "version: 2", "version: '1'", "version: true", "version: 1.0", "[]"]
)
def test_a_file_without_a_version_that_we_read_is_refused(first: str) -> None:
    with pytest.raises(ConfigError, match="version"):
        parse(first)


def test_a_value_of_the_wrong_type_is_not_repeated_in_the_message() -> None:
    assert "8675309" not in only_refusal("environment: {DOOR_PIN: 8675309}")


@pytest.mark.parametrize("obstacle", ["directory", "pipe", "huge"])
def test_what_is_no_ordinary_small_file_is_refused_at_once(tmp_path: Path, obstacle: str) -> None:
    path = tmp_path / "prodsprints.yaml"
    if obstacle == "directory":
        path.mkdir()
    elif obstacle == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"#" * 2_000_000)
    with pytest.raises(ProdSprintsError, match=r"^prodsprints\.yaml "):
        load(path)


def test_the_documented_example_is_read_and_mentions_every_key() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "prodsprints.yaml.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    config = parse(example)
    assert config.warnings == ()
    assert config.for_environment("staging").rollout.strategy == "direct"
    schema = Config.json_schema()
    keys = {*schema["properties"], *(key for part in schema["$defs"].values() for key in part["properties"])}
    assert [key for key in keys if f"{key}:" not in example] == []


def test_the_json_schema_agrees_with_the_reader() -> None:
    schema = Config.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert json.loads(json.dumps(schema)) == schema
    for good in (SPECIFIED + "version: 1", OVERLAID, "version: 1\nx-note: 1\nrollout: {x-note: 2}"):
        assert list(validator.iter_errors(yaml.safe_load(good))) == []
    for bad in (
        "helth: /up",
        "rollout: {stepz: [1]}",
        "database: {idle_timeout: 30}",
        "environments: {staging: {name: x}}",
    ):
        assert list(validator.iter_errors(yaml.safe_load("version: 1\n" + bad)))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable) | st.dates()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
keys = st.sampled_from([*ReleaseConfig.model_fields, "version", "environments", "x-note", "stranger"])


@given(st.binary() | st.text())
def test_no_bytes_make_the_reader_fail_in_another_way_than_its_own(content: bytes | str) -> None:
    with suppress(ProdSprintsError):
        parse(content)


@given(st.dictionaries(keys, values | st.dictionaries(keys, values)))
def test_no_value_makes_the_reader_fail_in_another_way_than_its_own(document: dict[str, Any]) -> None:
    with suppress(ProdSprintsError):
        parse(yaml.safe_dump({"version": 1} | document))
