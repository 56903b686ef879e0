"""`notify.yaml`: refused with its line where it cannot be meant, and never read while others may read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.kernel import documents
from prodsprints.kernel.errors import UsageError
from prodsprints.kernel.settings import Settings
from prodsprints.notify import config
from prodsprints.notify.errors import NotifyConfigError, UnknownAudienceError
from prodsprints.notify.routes import Routes

SLACK = "version: 1\nchannels:\n  slack: {kind: slack, url_env: SLACK_URL}\naudiences:\n  '#ops': [slack]\n"

Write = Callable[[str], Path]


def problem(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        config.parsed(documents.parse(text, name="notify.yaml"))
    assert caught.value.next_step
    return caught.value.what


def test_without_a_file_the_platforms_own_audiences_have_the_terminal_and_the_page(own: Settings) -> None:
    assert Routes(own).audiences() == {"#ops": ("terminal", "page"), "#security": ("terminal", "page")}
    assert [one.name for one in Routes(own).to("#ops")] == ["terminal", "page"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 2\n", "notify.yaml:1: `version`"),
        ("version: 1\nchanels: {}\n", "notify.yaml:2: unknown key `chanels`; did you mean `channels`?"),
        ("version: 1\nchannels:\n  a: {kind: slak, url_env: A}\n", "notify.yaml:3: `channels.a.kind` should be one of"),
        ("version: 1\nchannels:\n  a:\n    kind: slack\n    url: http://x\n", "notify.yaml:5: unknown key `url`"),
        ("version: 1\nchannels:\n  a: {kind: slack}\n", "should name its address by `url_file` or by `url_env`"),
        ("version: 1\nchannels:\n  page: {kind: slack, url_env: A}\n", "`page` is always there"),
        ("version: 1\nchannels:\n  A b: {kind: slack, url_env: A}\n", "should be lower-case letters"),
        ("version: 1\naudiences:\n  '#ops': [slak]\n", "notify.yaml:3: there is no channel `slak`"),
        ("version: 1\naudiences:\n  '#ops': []\n", "notify.yaml:3: `audiences.#ops`"),
        ("version: 1\naudiences:\n  ops: [page]\n", "notify.yaml:3: 'ops' is no audience."),
        ("version: 1\naudiences:\n  '#ops': [page, page]\n", "`page` stands twice"),
        (SLACK.replace("url_env: SLACK_URL", "url_env: A, timeout_seconds: .inf"), "timeout_seconds"),
        (SLACK.replace("url_env: SLACK_URL", "url_env: A, timeout_seconds: 0"), "timeout_seconds"),
        (SLACK.replace("url_env: SLACK_URL", "url_env: A, timeout_seconds: 60"), "timeout_seconds"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(text: str, said: str) -> None:
    assert said in problem(text)


MAIL = {"host": "mail.example.com", "sender": "us@example.com", "recipients": "[ops@example.com]"}
SMS = {"account": "AC1", "token_env": "T", "sender": "'+4915100000'", "recipients": "['+4915100001']"}


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("email", {"sender": "'us@example.com\\r\\nBcc: x@y.z'"}, "sender"),
        ("email", {"recipients": "['Ops <ops@example.com>']"}, "recipients"),
        ("email", {"recipients": "[]"}, "recipients"),
        ("email", {"port": "0"}, "port"),
        ("email", {"security": "none"}, "should not send in clear to another machine"),
        ("email", {"username": "me"}, "should name a `username` with its `password_file`"),
        ("sms", {"recipients": "[4915100001]"}, "recipients"),
        ("sms", {"recipients": "['0151']"}, "recipients"),
        ("sms", {"sender": "'much too long a name'"}, "sender"),
        ("sms", {"api": "http://api.example.com"}, "would be sent in clear to another machine"),
        ("sms", {"api": "nothing"}, "is no address"),
        ("sms", {"account": "../.."}, "account"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(kind: str, change: dict[str, str], said: str) -> None:
    entries = {"kind": kind, **(MAIL if kind == "email" else SMS), **change}
    lines = "".join(f"    {name}: {value}\n" for name, value in entries.items())
    assert said in problem(f"version: 1\nchannels:\n  it:\n{lines.replace(chr(92) * 2, chr(92))}")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_may_read_is_refused(own: Settings, write: Write, mode: int) -> None:
    write(SLACK).chmod(mode)
    with pytest.raises(NotifyConfigError, match="open to others") as caught:
        Routes(own).audiences()
    assert "chmod 600" in caught.value.next_step


def test_a_secret_that_others_may_read_closes_its_channel_and_no_other(own: Settings, write: Write) -> None:
    (own.home / "url").write_text("https://hooks.example.com/topsecret")
    (own.home / "url").chmod(0o644)
    write(SLACK.replace("url_env: SLACK_URL", "url_file: url").replace("[slack]", "[slack, page]"))
    slack, page = Routes(own).to("#ops")
    with pytest.raises(Exception, match="open to others") as caught:
        slack.send(None)  # type: ignore[arg-type]
    assert "topsecret" not in str(caught.value) and page.name == "page"


@pytest.mark.parametrize(
    "url", ["nothing", "ftp://x/y", "http://hooks.example.com/topsecret", "https://", "https://h\u00e9/x"]
)
def test_an_address_that_is_none_is_refused_and_not_shown(
    own: Settings, write: Write, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("SLACK_URL", url)
    write(SLACK)
    [slack] = Routes(own).to("#ops")
    with pytest.raises(Exception, match="address of the channel slack") as caught:
        slack.send(None)  # type: ignore[arg-type]
    assert "topsecret" not in str(caught.value)


def test_a_change_of_the_file_holds_at_once(own: Settings, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_URL", "https://hooks.example.com/x")
    routes = Routes(own)
    assert routes.audiences()["#ops"] == ("terminal", "page")
    write(SLACK)
    assert routes.audiences()["#ops"] == ("slack",)
    (own.home / "notify.yaml").unlink()
    assert routes.audiences()["#ops"] == ("terminal", "page")


def test_an_unknown_audience_is_named_with_those_that_there_are(own: Settings) -> None:
    with pytest.raises(UnknownAudienceError, match="did you mean `#ops`") as caught:
        Routes(own).refuse_unknown("#opps")
    assert "#security" in caught.value.next_step


@given(st.text(max_size=400) | st.binary(max_size=400))
def test_whatever_the_file_holds_is_meant_or_refused(text: str | bytes) -> None:
    try:
        config.parsed(documents.parse(text, name="notify.yaml"))
    except UsageError as error:
        assert error.next_step


def test_the_example_in_the_documents_is_meant() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "get-notified.md"
    [text] = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    meant = config.parsed(documents.parse(text, name="notify.yaml"))
    assert meant.audiences["#ops"] == ("slack", "mail", "sms") and len(meant.channels) == 4
