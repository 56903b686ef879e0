"""The operator's file about Git hosts, and the helper that gives a credential to the host it is for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from prodsprints.controls.integrations import git_credentials, git_hosts
from prodsprints.controls.integrations.git_errors import HostsFileError
from prodsprints.controls.integrations.git_hosts import FILE_NAME, Host


def written(home: Path, text: str) -> Path:
    (home / FILE_NAME).write_text(text)
    (home / FILE_NAME).chmod(0o600)
    return home


def test_without_the_file_nothing_is_said_of_any_host(tmp_path: Path) -> None:
    assert git_hosts.read(tmp_path).of("github.com", "default") is None


def test_a_host_is_described_to_its_tenants_only(tmp_path: Path) -> None:
    text = "hosts:\n  github.com: {tenants: [a, b], token_file: /run/token, mirror_max_age: 36h}\n  x:1: {}\n"
    hosts = git_hosts.read(written(tmp_path, text))
    found = hosts.of("github.com", "a")
    assert found is not None
    assert (found.tenants, found.token_file) == (("a", "b"), Path("/run/token"))
    assert found.mirror_max_age == timedelta(hours=36)
    assert hosts.of("github.com", "default") is None
    assert hosts.of("x:1", "default") == Host()
    assert hosts.of("x", "default") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hosts: {h: {mirror_max_age: 5}}", "24h"),
        ("hosts: {h: {mirror_max_age: -1h}}", "24h"),
        ("hosts: {h: {mirror_max_age: 9999999d}}", "24h"),
        ("hosts: {h: {token: abcdef}}", "unknown key"),
        ("hosts: {h: {token_env: HOME}}", "PRODSPRINTS_GIT_TOKEN"),
        ("hosts: {h: {tenants: default}}", "tenants"),
        ("hosts: [h]", "hosts"),
        ("host: {}", "unknown key"),
        ("- x", FILE_NAME),
        ("hosts: {h: {plain_http: perhaps}}", "plain_http"),
        ("hosts: {h: {}", FILE_NAME),
    ],
)
def test_what_the_file_cannot_mean_is_refused_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(Exception, match=says) as refused:
        git_hosts.read(written(tmp_path, text))
    assert refused.value.next_step  # type: ignore[attr-defined]


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "hosts: {}").joinpath(FILE_NAME).chmod(0o620)
    with pytest.raises(HostsFileError, match="changed by other users"):
        git_hosts.read(tmp_path)


def test_the_token_comes_from_a_file_or_a_variable_and_is_never_in_an_error(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    assert git_hosts.token("h", Host()) is None
    assert git_hosts.token("h", Host(token_file=tmp_path / "token")) == "from-a-file"
    variable = Host(token_env="PRODSPRINTS_GIT_TOKEN_H")
    assert git_hosts.token("h", variable, {"PRODSPRINTS_GIT_TOKEN_H": "from-a-variable"}) == "from-a-variable"
    (tmp_path / "two").write_text("secret-one\nsecret-two\n")
    for host in (variable, Host(token_file=tmp_path / "none"), Host(token_file=tmp_path / "two")):
        with pytest.raises(HostsFileError) as refused:
            git_hosts.token("h", host, {})
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ("protocol=https\nhost=git.example.com\n", True),
        ("protocol=https\nhost=git.example.com\npath=x\n\n", True),
        ("protocol=http\nhost=git.example.com\n", False),
        ("protocol=https\nhost=evil.example.com\n", False),
        ("protocol=https\nhost=git.example.com:444\n", False),
        ("host=git.example.com\n", False),
        ("", False),
    ],
)
def test_the_helper_answers_for_its_own_host_only(question: str, answered: bool) -> None:
    environment = {
        git_credentials.PLACE: "https://git.example.com",
        git_credentials.USERNAME: "me",
        git_credentials.TOKEN: "t0ken",
    }
    assert git_credentials.answer(question, environment) == ("username=me\npassword=t0ken\n" if answered else "")
