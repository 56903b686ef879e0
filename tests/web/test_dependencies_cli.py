"""The command line on a real platform: look at dependencies, freeze one, thaw it, and be refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prodsprints.cli.main import main
from prodsprints.store.database import Database
from web.support_sightings import Providers, day

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def providers(database: Database) -> Iterator[Providers]:
    one = Providers(database)
    yield one
    one.take_down()


@pytest.fixture
def type_(
    serving: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    monkeypatch.setenv("PRODSPRINTS_HOME", str(tmp_path))
    monkeypatch.setenv("PRODSPRINTS_PORT", serving.rpartition(":")[2])
    monkeypatch.setenv("PRODSPRINTS_TOKEN", token)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(words)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_the_list_and_one_provider(type_: Typed, providers: Providers) -> None:
    day(providers)
    code, out, _ = type_("dependencies")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.startswith(providers.name("slack"))]
    assert "open" in line
    code, out, _ = type_("dependencies", providers.name("aws-sts/4711 eu"))
    assert code == 0
    assert "throttled 1" in out
    assert "20/s, 100 at once" in out
    assert providers.worker in out


def test_json_is_one_versioned_line_each(type_: Typed, providers: Providers) -> None:
    day(providers)
    _, out, _ = type_("dependencies", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["line"] for line in lines} == {"dependency"}
    assert {line["schema"] for line in lines} == {1}
    assert providers.name("github") in {line["name"] for line in lines}


def test_freeze_and_thaw(type_: Typed, providers: Providers) -> None:
    name = day(providers)["github"].guard.name
    code, out, _ = type_("freeze", name, "--for", "10m")
    assert code == 0
    assert "main for 600 s" in out or "main for 599 s" in out
    code, out, _ = type_("thaw", name, "--key", "main")
    assert code == 0
    assert "is still frozen: spare for" in out
    code, out, _ = type_("thaw", name)
    assert (code, out) == (0, f"{name} is called again.\n")


@pytest.mark.parametrize("lasting", ["-5m", "nan", "600", "1y", "0s", "366d", ""])
def test_a_time_that_cannot_be_meant_is_refused_with_the_exit_code_of_usage(
    type_: Typed, providers: Providers, lasting: str
) -> None:
    name = day(providers)["github"].guard.name
    code, out, err = type_("freeze", name, f"--for={lasting}")
    assert code == 64
    assert out == ""
    assert "✗" in err
    assert "→" in err


def test_a_provider_that_nobody_calls_is_named_with_what_was_meant(type_: Typed, providers: Providers) -> None:
    day(providers)
    code, _, err = type_("dependencies", providers.name("slakc"))
    assert code == 64
    assert f"did you mean `{providers.name('slack')}`" in err
