"""A last good answer is kept over a restart, marked with its age, and never given in place of a refusal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsprints.controls.integrations.last_good import LONGEST, LastGood, aged
from prodsprints.guard import Answer, Guard, GuardInputError, RateLimitError, ServiceUnavailable
from prodsprints.kernel.errors import ProdSprintsError

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Service:
    """Answers, or fails as it is told to."""

    def __init__(self, directory: Path) -> None:
        self.now = BEGAN
        self.error: Exception | None = None
        self.directory = directory
        self.restart()

    def restart(self) -> None:
        self.kept = LastGood(self.directory, now=lambda: self.now)
        self.ask = Guard("service")(fallback=self.kept.fallback())(self.fresh)

    def fresh(self, key: str) -> Answer[str]:
        if self.error is not None:
            raise self.error
        return self.kept.keep(key, f"the answer to {key}")


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "kept")


class RefusedError(ProdSprintsError):
    """The service answered, and said no."""


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionError(), RateLimitError(10_000)])
def test_a_kept_answer_is_marked_with_its_age_also_after_a_restart(service: Service, error: Exception) -> None:
    assert not service.ask("one").stale
    service.error, service.now = error, BEGAN + timedelta(hours=3)
    service.restart()
    answer = service.ask("one")
    assert (answer.value, answer.age_seconds, answer.cause) == ("the answer to one", 10_800, error)
    assert aged(answer) == "the answer to one (as of 3 h ago)"


def test_nothing_is_made_up(service: Service) -> None:
    service.ask("one")
    service.error = ConnectionError()
    with pytest.raises(ConnectionError):
        service.ask("two")


def test_a_refusal_is_news_and_is_not_covered_up(service: Service) -> None:
    service.ask("one")
    service.error = RefusedError("no", next_step="ask somebody else")
    with pytest.raises(RefusedError):
        service.ask("one")


def test_a_month_old_answer_is_not_served(service: Service) -> None:
    service.ask("one")
    service.error = ConnectionError()
    service.now = BEGAN + LONGEST
    assert service.ask("one").stale
    service.now += timedelta(seconds=1)
    with pytest.raises(ConnectionError):
        service.ask("one")


def test_an_answer_from_the_future_has_no_age_and_is_not_served(service: Service) -> None:
    service.ask("one")
    service.error, service.now = ConnectionError(), BEGAN - timedelta(seconds=1)
    with pytest.raises(ConnectionError):
        service.ask("one")


def test_critical_data_takes_no_last_good_answer(service: Service) -> None:
    with pytest.raises(GuardInputError, match="Critical"):
        Guard("service")(critical=True, fallback=service.kept.fallback())  # type: ignore[call-overload]


@given(
    st.binary(max_size=200) | st.sampled_from([b'{"key": "one"}', b"[]", b"null", b'{"key":"one","value":1,"at":"x"}'])
)
def test_a_damaged_file_is_no_answer(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    service = Service(tmp_path_factory.mktemp("kept"))
    service.ask("one")
    (file,) = service.directory.iterdir()
    file.write_bytes(content)
    service.error = ConnectionError()
    with pytest.raises(ConnectionError):
        service.ask("one")


def test_an_answer_is_given_also_where_it_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file where the directory should be")
    assert Service(tmp_path / "kept").ask("one").value == "the answer to one"


def test_what_was_kept_is_for_our_eyes_only(service: Service) -> None:
    service.ask("one")
    (file,) = service.directory.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert service.directory.stat().st_mode & 0o077 == 0


def test_too_long_an_answer_is_not_kept(service: Service) -> None:
    service.kept.keep("one", "x" * 5_000)
    service.error = ServiceUnavailable(retry_after=10_000)
    with pytest.raises(ServiceUnavailable):
        service.ask("one")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_an_age_is_spoken_as_people_do(seconds: float, words: str) -> None:
    assert aged(Answer("x", seconds, TimeoutError())) == f"x (as of {words} ago)"
