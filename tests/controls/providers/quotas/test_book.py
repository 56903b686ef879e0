"""The quota book on PostgreSQL: bad measurements are refused whole, good ones are never lost, requests are one."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from math import inf, nan
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from controls.providers.quotas.support_quotas import SEATS, daily, followed
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.quotas import book, desks
from prodsprints.controls.providers.quotas.drafting import Draft
from prodsprints.controls.providers.quotas.errors import QuotaInputError, QuotaRequestError, UnknownQuotaError
from prodsprints.controls.providers.quotas.exhaustion import time_to_exhaustion
from prodsprints.controls.providers.quotas.forecast import Outlook, Sample
from prodsprints.controls.providers.quotas.keeper import QuotaKeeper
from prodsprints.controls.providers.quotas.model import Call, Kind, Place, Placed, Reading, Source, State
from prodsprints.kernel import clock
from prodsprints.store.database import Database

CALL = Call("POST", "https://example.test/", {"DesiredValue": 200.0}, {})


@pytest.fixture
def now() -> datetime:
    return clock.now()


def drafted(db: Database, tenant: UUID, quota_id: UUID, desired: float = 200.0, call: Call | None = CALL) -> UUID:
    quota = book.quota(db, tenant, quota_id)
    return book.draft(db, tenant, quota, Draft(desired, "because", None), call, id=uuid4(), now=clock.now()).id


def test_samples_in_any_order_and_repeated_come_to_the_same(database: Database, tenant: UUID, now: datetime) -> None:
    samples = daily([float(day) for day in range(20)], now)
    one = followed(database, tenant)
    two = followed(database, tenant, place=Place("acme", "team-8", "", "", "seats"))
    book.measure(database, tenant, one.id, samples, now)
    for sample in reversed([*samples, *samples]):
        book.measure(database, tenant, two.id, [sample], now)
    assert book.days(database, tenant, one.id) == book.days(database, tenant, two.id)
    assert book.foreseen(database, tenant, one, now) == book.foreseen(database, tenant, two, now)


def test_of_a_day_the_most_is_kept_for_more_than_a_year_and_raw_for_two_weeks(
    database: Database, tenant: UUID, now: datetime
) -> None:
    quota = followed(database, tenant)
    noon = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    book.measure(database, tenant, quota.id, [Sample(noon + timedelta(hours=hour), hour) for hour in range(24)], now)
    book.measure(database, tenant, quota.id, [Sample(now - timedelta(days=399), 7.0)], now)
    assert [day.used for day in book.days(database, tenant, quota.id)] == [7.0, 23.0]
    book.measure(database, tenant, quota.id, [Sample(now + timedelta(days=20), 9.0)], now + timedelta(days=20))
    assert [day.used for day in book.days(database, tenant, quota.id)] == [23.0, 9.0]  # older than 400 days by then
    with database.tenant(tenant) as connection:
        raw = connection.execute("select count(*) as n from quota_samples where quota_id = %s", [quota.id]).fetchone()
    assert raw == {"n": 1}


def test_use_that_goes_backwards_is_kept_as_it_is(database: Database, tenant: UUID, now: datetime) -> None:
    quota = followed(database, tenant, [90.0, 80.0, 70.0, 60.0, 50.0, 40.0, 30.0, 20.0])
    found = book.foreseen(database, tenant, quota, now)
    assert found is not None and found.outlook is Outlook.STEADY and found.used == 20.0


@pytest.mark.parametrize(
    ("used", "ahead", "words"),
    [
        (nan, 0, "use"),
        (inf, 0, "use"),
        (-1.0, 0, "use"),
        (1e300, 0, "use"),
        (1.0, 3600, "yet to come"),
        (1.0, -500 * 86_400, "too long ago"),
    ],
)
def test_a_measurement_that_cannot_be_is_refused_with_all_that_came_with_it(
    database: Database, tenant: UUID, now: datetime, used: float, ahead: float, words: str
) -> None:
    quota = followed(database, tenant)
    bad = Sample(now + timedelta(seconds=ahead), used)
    with pytest.raises(QuotaInputError, match=words):
        book.measure(database, tenant, quota.id, [Sample(now, 5.0), bad], now)
    assert book.days(database, tenant, quota.id) == []


@pytest.mark.parametrize("limit", [0.0, -5.0, nan, inf, 1e300])
def test_a_limit_that_is_none_is_refused_and_the_old_one_stays(database: Database, tenant: UUID, limit: float) -> None:
    quota = followed(database, tenant)
    with pytest.raises(QuotaInputError, match="limit"):
        book.set_limit(database, tenant, quota.id, limit)
    with pytest.raises(QuotaInputError):
        followed(database, tenant, limit=limit, place=Place("acme", "x", "", "", "y"))
    assert book.quota(database, tenant, quota.id).limit == 100.0
    assert len(book.quotas(database, tenant)) == 1


@pytest.mark.parametrize(
    "place",
    [
        Place("", "a", "", "", "c"),
        Place("AWS", "a", "", "", "c"),
        Place("aws", "", "", "", "c"),
        Place("aws", "a b", "", "", "c"),
        Place("aws", "a", "EU", "", "c"),
        Place("aws", "a", "", "s/../t", "c"),
        Place("aws", "a", "", "", "c?x=1"),
        Place("aws", "a", "", "", "\x00"),
        Place("aws", "a" * 101, "", "", "c"),
    ],
)
def test_what_can_be_no_quotas_name_is_refused(database: Database, tenant: UUID, place: Place) -> None:
    with pytest.raises(QuotaInputError):
        book.follow(database, tenant, place, id=uuid4(), source=Source.HAND, limit=1.0)


def test_a_quota_without_api_needs_its_limit(database: Database, tenant: UUID) -> None:
    with pytest.raises(QuotaInputError, match="needs its limit"):
        book.follow(database, tenant, SEATS, id=uuid4(), source=Source.HAND)


def test_following_again_keeps_what_is_known(database: Database, tenant: UUID, now: datetime) -> None:
    first = followed(database, tenant, [1.0, 2.0])
    again = followed(database, tenant, limit=300.0)
    assert (again.id, again.limit) == (first.id, 300.0)
    assert len(book.days(database, tenant, again.id)) == 2


def test_a_limit_that_shrinks_below_the_use_is_reached_and_asked_for(
    database: Database, tenant: UUID, now: datetime
) -> None:
    quota = followed(database, tenant, [50.0] * 10)
    keeper = QuotaKeeper(database, {})
    assert keeper.review(tenant, quota.id).request is None
    book.set_limit(database, tenant, quota.id, 40.0)
    review = keeper.review(tenant, quota.id)
    assert review.is_new and review.request is not None
    assert review.request.desired >= 50.0 and "The limit is reached" in review.request.reason


def test_another_tenant_knows_nothing_of_it(database: Database, tenant: UUID) -> None:
    quota = followed(database, tenant, [1.0])
    with database.dispatch() as connection:
        row = connection.execute("insert into tenants (name) values (%s) returning id", [uuid4().hex]).fetchone()
    other = row["id"]
    assert book.quotas(database, other) == []
    for act in (
        lambda: book.quota(database, other, quota.id),
        lambda: book.forget(database, other, quota.id),
        lambda: book.set_limit(database, other, quota.id, 5.0),
        lambda: book.measure(database, other, quota.id, [Sample(clock.now(), 1.0)], clock.now()),
    ):
        with pytest.raises(UnknownQuotaError):
            act()


def test_a_draft_is_brought_up_to_date_and_stays_one(database: Database, tenant: UUID) -> None:
    quota = followed(database, tenant)
    first, second = drafted(database, tenant, quota.id, 150.0), drafted(database, tenant, quota.id, 250.0)
    assert first == second
    assert [one.desired for one in book.requests(database, tenant, quota.id)] == [250.0]


def test_a_draft_is_sent_once_and_only_as_it_was_seen(database: Database, tenant: UUID) -> None:
    id = drafted(database, tenant, followed(database, tenant).id)
    with pytest.raises(QuotaRequestError, match="asks for 200 by now"):
        book.ask(database, tenant, id, desired=150.0, actor="ada")
    sent: list[bool] = []

    def send() -> None:
        try:
            book.ask(database, tenant, id, desired=200.0, actor="ada")
            sent.append(True)
        except QuotaRequestError:
            sent.append(False)

    clicks = [threading.Thread(target=send) for _ in range(4)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert sorted(sent) == [False, False, False, True]
    with pytest.raises(QuotaRequestError, match="cannot be dropped"):
        book.drop(database, tenant, id, actor="ada")


def test_a_draft_without_an_api_is_for_a_person(database: Database, tenant: UUID) -> None:
    quota = followed(database, tenant)
    id = drafted(database, tenant, quota.id, call=None)
    with pytest.raises(QuotaRequestError, match="no API"):
        book.ask(database, tenant, id, desired=200.0, actor="ada")
    book.set_limit(database, tenant, quota.id, 200.0)
    assert book.request(database, tenant, id).state is State.GRANTED


def test_a_dropped_or_denied_request_is_not_drafted_again_for_a_week(database: Database, tenant: UUID) -> None:
    quota = followed(database, tenant, [95.0 + day for day in range(10)])
    keeper = QuotaKeeper(database, {})
    first = keeper.review(tenant, quota.id).request
    book.drop(database, tenant, first.id, actor="ada")
    assert keeper.review(tenant, quota.id).request.state is State.DROPPED
    later = QuotaKeeper(database, {}, now=lambda: clock.now() + timedelta(days=7, minutes=1))
    review = later.review(tenant, quota.id)
    assert review.is_new and review.request.state is State.DRAFTED


def test_each_turn_is_one_workers(database: Database, tenant: UUID) -> None:
    mine = {followed(database, tenant, place=Place("acme", f"t{n}", "", "", "x")).id for n in range(6)}
    taken: list[UUID] = []

    def take() -> None:
        while turn := book.next_quota(database):
            taken.append(turn.id)

    workers = [threading.Thread(target=take) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert mine <= set(taken) and len(taken) == len(set(taken))


def test_a_request_whose_worker_died_comes_up_again(database: Database, tenant: UUID) -> None:
    id = drafted(database, tenant, followed(database, tenant).id)
    book.ask(database, tenant, id, desired=200.0, actor="ada")

    def turns() -> list[UUID]:
        found = []
        while turn := book.next_request(database):
            found.append(turn.id)
        return found

    assert id in turns()
    assert id not in turns()
    with database.tenant(tenant) as connection:  # time passes
        connection.execute("update quota_requests set next_at = now() where id = %s", [id])
    assert id in turns()
    book.placed(database, tenant, id, Placed("r-1", "DENIED", State.DENIED), clock.now())
    assert book.request(database, tenant, id).ended_at is not None
    assert id not in turns()


def test_what_has_ended_stays_ended(database: Database, tenant: UUID) -> None:
    id = drafted(database, tenant, followed(database, tenant).id)
    book.ask(database, tenant, id, desired=200.0, actor="ada")
    book.placed(database, tenant, id, Placed("r-1", "DENIED", State.DENIED), clock.now())
    late = book.placed(database, tenant, id, Placed("r-1", "PENDING", State.SENT), clock.now())
    assert late.state is State.DENIED
    assert book.undelivered(database, tenant, id, "late", again=True).trouble == ""


def test_a_providers_limit_that_is_none_changes_nothing(database: Database, tenant: UUID, now: datetime) -> None:
    quota = followed(database, tenant, [5.0])
    for limit in (0.0, -1.0, nan):
        with pytest.raises(QuotaInputError):
            book.read(database, tenant, quota.id, Reading(limit, "n", "", Kind.RESOURCE, True), now)
    assert book.quota(database, tenant, quota.id).limit == 100.0


def test_the_nearest_limit_of_a_provider_is_its_time_to_exhaustion(
    database: Database, tenant: UUID, now: datetime
) -> None:
    assert time_to_exhaustion(database, tenant, "acme", now) is None
    followed(database, tenant, [50.0] * 10, place=Place("acme", "a", "", "", "flat"))
    assert time_to_exhaustion(database, tenant, "acme", now) is None
    followed(database, tenant, [float(day) for day in range(60)], place=Place("acme", "a", "", "", "slow"))
    near = followed(database, tenant, [2.0 * day for day in range(45)], place=Place("acme", "a", "", "", "fast"))
    found = time_to_exhaustion(database, tenant, "acme", now)
    assert found is not None and found.quota.id == near.id
    assert 4 * 86_400 < found.seconds < 8 * 86_400
    assert time_to_exhaustion(database, tenant, "aws", now) is None
    full = followed(database, tenant, [100.0], place=Place("acme", "a", "", "", "full"))
    reached = time_to_exhaustion(database, tenant, "acme", now)
    assert reached is not None and (reached.quota.id, reached.seconds) == (full.id, 0.0)
    assert reached.reaches.tzinfo is UTC


def test_a_quota_that_its_provider_cannot_have_is_drafted_in_words(database: Database, tenant: UUID) -> None:
    quota = followed(database, tenant, [95.0 + day for day in range(10)], place=Place("aws", "x", "", "", "seats"))
    with desks.opened(Path("/nowhere"), Guards()) as at:
        review = QuotaKeeper(database, at).review(tenant, quota.id)
    assert review.is_new and review.request is not None and review.request.call is None
