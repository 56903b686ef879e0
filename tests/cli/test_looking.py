"""The verbs that need no platform: audit, init, config show, register."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prodsprints.kernel.errors import ExitCode
from prodsprints.release import config


def test_an_audit_shows_file_and_line_and_exits_0(repository: Path, type_: Callable[..., object]) -> None:
    typed = type_("audit", str(repository))
    assert typed.code == ExitCode.DONE
    assert "app/main.py:3" in typed.out
    assert "can be released" in typed.out


def test_an_audit_as_json_is_one_versioned_line(repository: Path, type_: Callable[..., object]) -> None:
    (line,) = type_("audit", str(repository), "--json").lines
    assert line["schema"] == 1
    assert line["application"]["framework"] == "fastapi"
    assert all({"key", "value", "file", "line", "confidence"} <= finding.keys() for finding in line["findings"])


def test_an_audit_of_what_cannot_be_released_exits_3_with_the_reason(
    tmp_path: Path, type_: Callable[..., object]
) -> None:
    (tmp_path / "package.json").write_text('{"name": "x", "scripts": {"start": "node index.js"}}')
    (tmp_path / "index.js").write_text("")
    typed = type_("audit", str(tmp_path))
    assert typed.code == ExitCode.REFUSED
    assert "✗" in typed.out
    assert "→" in typed.out


def test_an_audit_of_nothing_is_a_usage_error(tmp_path: Path, type_: Callable[..., object]) -> None:
    assert type_("audit", str(tmp_path / "missing")).code == ExitCode.USAGE


def test_a_path_is_meant_from_where_it_is_typed(
    repository: Path, monkeypatch: pytest.MonkeyPatch, type_: Callable[..., object]
) -> None:
    monkeypatch.chdir(repository.parent)
    assert type_("audit", "app").code == ExitCode.DONE
    monkeypatch.chdir(repository)
    assert type_("audit").code == ExitCode.DONE


def test_init_writes_a_configuration_that_reads_back_without_asking(
    repository: Path, type_: Callable[..., object]
) -> None:
    typed = type_("init", str(repository))
    assert typed.code == ExitCode.DONE
    written = config.load(repository / "prodsprints.yaml")
    assert written.for_environment(None).name == "app"
    assert type_("audit", str(repository)).code == ExitCode.DONE


def test_init_never_overwrites_unless_told_to(repository: Path, type_: Callable[..., object]) -> None:
    (repository / "prodsprints.yaml").write_text("version: 1\nname: mine\n")
    assert type_("init", str(repository)).code == ExitCode.USAGE
    assert "mine" in (repository / "prodsprints.yaml").read_text()
    assert type_("init", str(repository), "--force").code == ExitCode.DONE


def test_init_can_replace_a_configuration_that_does_not_even_read(
    repository: Path, type_: Callable[..., object]
) -> None:
    (repository / "prodsprints.yaml").write_text("helth: /\n")
    assert type_("init", str(repository), "--force").code == 0
    assert type_("config", "show", str(repository)).code == 0


def test_init_writes_nothing_for_what_cannot_be_released(tmp_path: Path, type_: Callable[..., object]) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert type_("init", str(tmp_path)).code == ExitCode.REFUSED
    assert not (tmp_path / "prodsprints.yaml").exists()


def test_config_show_says_where_each_value_comes_from_and_what_is_not_enforced(
    tmp_path: Path, type_: Callable[..., object]
) -> None:
    (tmp_path / "prodsprints.yaml").write_text(
        "version: 1\nhealth: /up\ndatabase:\n  idle_timeout: 30s\nenvironments:\n  staging:\n    health: /staged\n"
    )
    shown = type_("config", "show", str(tmp_path)).out
    assert "health: /up  (prodsprints.yaml:2)" in shown
    assert "accepted, not enforced yet" in shown
    settings = {
        line["key"]: line for line in type_("config", "show", str(tmp_path), "--env", "staging", "--json").lines
    }
    assert settings["health"]["value"] == "/staged"
    assert settings["health"]["source"].startswith("prodsprints.yaml:7")
    assert settings["database.idle_timeout"]["enforced"] is False
    assert settings["rollout.strategy"]["source"] == "default"


def test_an_unknown_key_is_refused_with_its_line(tmp_path: Path, type_: Callable[..., object]) -> None:
    (tmp_path / "prodsprints.yaml").write_text("version: 1\nhaelth: /up\n")
    typed = type_("config", "show", str(tmp_path))
    assert typed.code == ExitCode.USAGE
    assert "prodsprints.yaml:2" in typed.err
    assert "health" in typed.err


def test_the_schema_of_the_configuration_is_json(type_: Callable[..., object]) -> None:
    assert "$schema" in json.loads(type_("config", "show", "--schema").out)


def test_the_register_counts_claims_and_proves_nothing(type_: Callable[..., object], tmp_path: Path) -> None:
    shown = type_("register").out
    assert "Claimed 116 · Proven here 0 · Failing 0 · Overdue review 1 (since 2024-02-01)" in shown
    (line,) = type_("register", "--json").lines
    assert line["schema"] == 1
    assert len(line["risks"]) == 24
    assert type_("register", "--svg", str(tmp_path / "map.svg")).code == 0
    assert (tmp_path / "map.svg").read_text().startswith("<svg")


def test_a_risk_is_shown_with_its_rows_and_an_unknown_one_is_refused(type_: Callable[..., object]) -> None:
    shown = type_("register", "show", "r001").out
    assert "R001.1" in shown
    assert "unproven" in shown
    assert type_("register", "show", "R999").code == ExitCode.USAGE
