"""Secrets leave no sink."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prodsprints.kernel.redaction import Redactor, mark

SECRET = "correct-horse-battery"


@given(st.text(), st.text())
def test_a_known_value_never_remains_wherever_it_stands(before: str, after: str) -> None:
    assert SECRET not in Redactor([SECRET]).text(before + SECRET + after)


@given(st.text())
def test_redacting_twice_changes_nothing_more(line: str) -> None:
    redactor = Redactor([SECRET])
    once = redactor.text(line)
    assert redactor.text(once) == once


def test_a_password_in_a_url_is_replaced_and_the_rest_stays() -> None:
    line = Redactor().text("connecting to postgresql://app:hunter2@127.0.0.1:5432/shop")
    assert line == f"connecting to postgresql://app:{mark('hunter2')}@127.0.0.1:5432/shop"


def test_what_is_assigned_to_a_telling_name_is_replaced() -> None:
    for line in ("password=hunter2", "DB_PASSWORD: hunter2", '{"api_key": "hunter2"}', "Authorization: Bearer hunter2"):
        assert "hunter2" not in Redactor().text(line)


def test_values_of_telling_keys_are_replaced_at_any_depth() -> None:
    redacted = Redactor().value({"outer": [{"client_secret": "hunter2", "port": 8080}]})
    assert redacted == {"outer": [{"client_secret": mark("hunter2"), "port": 8080}]}


def test_equal_secrets_stay_comparable() -> None:
    redactor = Redactor([SECRET])
    assert redactor.text(SECRET) == redactor.text(SECRET)


def test_short_known_values_do_not_redact_ordinary_words() -> None:
    assert Redactor(["a", ""]).text("a banana") == "a banana"
