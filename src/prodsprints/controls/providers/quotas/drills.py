"""The drill of R001.5: use grows until it comes to the limit; is more asked for in time, and only then?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

import httpx

from prodsprints.controls.providers import peers
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.peers import ACCOUNT, MOTO, REGION
from prodsprints.controls.providers.quotas import book, desks, known
from prodsprints.controls.providers.quotas.desk import Desk
from prodsprints.controls.providers.quotas.errors import QuotaRequestError
from prodsprints.controls.providers.quotas.keeper import QuotaKeeper
from prodsprints.controls.providers.quotas.model import Place, Quota, Request, Source, State
from prodsprints.controls.providers.quotas.office import Office, metric_dimensions, office
from prodsprints.controls.providers.signing import Signer
from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Observation, Peer, PeerClass, Probe, Safety, broke, held
from prodsprints.drills.faults import HttpOrigin
from prodsprints.drills.stage import Stage
from prodsprints.kernel.errors import ProdSprintsError
from prodsprints.store import scratch
from prodsprints.store.database import Database, one

_GROWS, _SAWS, _RESTS = "L-DF5E4CA3", "L-E79EC296", "L-F678F1CE"
_LIMIT, _SAW_LIMIT, _REST_LIMIT = 5_000.0, 2_500.0, 5.0  # moto's
_HISTORY_DAYS, _QUIET_DAYS, _LOOK_DAYS = 28, 4, 2
_BASE = 2_000.0
_A_DAY = 100.0
_NAMESPACE, _METRIC = "AWS/Usage", "ResourceCount"
_IN_TIME = timedelta(days=7)  # the least that a provider is given of the 14 days
_RATE = "L-0EA8095F"
_OF_1200 = {
    (1, "MICROSECOND"): "2e-05",
    (100, "MILLISECOND"): "2",
    (1, "SECOND"): "20",
    (1, "MINUTE"): "1200",
    (90, "SECOND"): "900",
    (1, "HOUR"): "1200",
    (1, "DAY"): "1200",
    (1, "WEEK"): "1200",
}
_FORTNIGHT = 14 * 86_400
_QUESTIONS = {  # statistic, period and span of all that CloudWatch is asked, in seconds
    ("Maximum", 3600, _FORTNIGHT),  # when a quota is followed
    ("Maximum", 300, 177_000),  # from an hour before the last measurement, two days and ten minutes ago
    ("Maximum", 300, 4_200),  # the same, on the same day
    ("Sum", 60, 1_439 * 60),
    ("Sum", 120, 1_439 * 120),
    ("Sum", 3_600, _FORTNIGHT),
    ("Sum", 86_400, _FORTNIGHT),
    ("Sum", 604_800, _FORTNIGHT),
}
_SCALE = 1 / 20
_PERSON = "the drill's person"


class _Hurried:
    """Time that passes 20 times as fast for whatever a guard waits for."""

    def now(self) -> float:
        return time.monotonic() / _SCALE

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds * _SCALE)

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds * _SCALE)


@dataclass
class World:
    """AWS as it is here, and the calendar: every other day of the drill is one look."""

    origin: HttpOrigin
    office: Office
    today: datetime
    used: float = _BASE
    days: int = 0
    grows: bool = False

    def pass_on(self) -> None:
        """Days pass until the next look, and use has grown if it does."""
        self.today += timedelta(days=_LOOK_DAYS)
        self.days += _LOOK_DAYS
        self.used += _LOOK_DAYS * _A_DAY if self.grows else 0.0
        self.office.now = self.today

    def tell_days(self, first: int, last: int, *, grows: float = 0.0) -> None:
        """Put the use of days into CloudWatch, counted from today; what is to come is not seen before its day."""
        days = range(first, last)
        at = [self.today + timedelta(days=day, minutes=-10) for day in days]
        used = [self.used + grows * max(0, day) + 20 * (day % 3 - 1) for day in days]
        self.tell(_GROWS, list(zip(at, used, strict=True)))

    def tell(self, code: str, points: Sequence[tuple[datetime, float]]) -> None:
        """Put what is used into CloudWatch, as AWS does by itself."""
        data = [
            {"MetricName": _METRIC, "Dimensions": _dimensions(code), "Timestamp": int(at.timestamp()), "Value": used}
            for at, used in points
        ]
        self._cloudwatch("PutMetricData", {"Namespace": _NAMESPACE, "MetricData": data})

    def most(self, code: str) -> float:
        """The most that CloudWatch knows of a quota's use, of days to come too."""
        asked = {
            "Namespace": _NAMESPACE,
            "MetricName": _METRIC,
            "Dimensions": _dimensions(code),
            "StartTime": int((self.today - timedelta(days=90)).timestamp()),
            "EndTime": int((self.today + timedelta(days=90)).timestamp()),
            "Period": 86_400,
            "Statistics": ["Maximum"],
        }
        told = self._cloudwatch("GetMetricStatistics", asked)
        self.office.asked.pop()  # it was us
        return max(float(point["Maximum"]) for point in told["Datapoints"])

    def _cloudwatch(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        signer = Signer()
        request = signer.signed(
            signer.service("monitoring", REGION, self.origin.url),
            json.dumps(body),
            content_type="application/x-amz-json-1.0",
            target=f"GraniteServiceVersion20100801.{operation}",
        )
        answer = httpx.post(request.url, content=request.body, headers=request.headers, trust_env=False)
        told: dict[str, Any] = answer.raise_for_status().json()
        return told

    def requests(self, code: str = _GROWS) -> list[dict[str, object]]:
        """What AWS was asked for."""
        return [request for request in self.office.requests if request["QuotaCode"] == code]


class Watcher(Protocol):
    """Who looks now and then, and sends what there is to send."""

    def look(self, code: str) -> None:
        """As of today."""


def _dimensions(code: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in metric_dimensions(code).items()]


def _place(code: str) -> Place:
    return Place("aws", ACCOUNT, REGION, "vpc", code)


class Kept:
    """With the control: the keeper looks as the worker's clerk has it look, and a person sends what it drafts."""

    def __init__(self, db: Database, tenant: UUID, keeper: QuotaKeeper, desk: Desk) -> None:
        self.db = db
        self.tenant = tenant
        self.keeper = keeper
        self.desk = desk
        self._followed: dict[str, Quota] = {}

    def look(self, code: str) -> None:
        """As `Watcher.look`."""
        drafted = self.keeper.review(self.tenant, self.followed(code).id).request
        if drafted is not None and drafted.state is State.DRAFTED:
            self.send(drafted)

    def followed(self, code: str) -> Quota:
        """The quota, followed from the first look on."""
        if code not in self._followed:
            made = book.follow(self.db, self.tenant, _place(code), id=uuid4(), source=Source.PROVIDER)
            self._followed[code] = made
        return self._followed[code]

    def send(self, drafted: Request) -> Request:
        """What a person does on the page, and then the worker."""
        book.ask(self.db, self.tenant, drafted.id, desired=drafted.desired, actor=_PERSON)
        return self.keeper.deliver(self.tenant, drafted.id)


class Bare:
    """Without: AWS is looked at as well, and more is asked for once there is no more, as most do by hand."""

    def __init__(self, world: World, desk: Desk) -> None:
        self._world = world
        self._desk = desk

    def look(self, code: str) -> None:
        """As `Watcher.look`."""
        place, now = _place(code), self._world.today
        read = self._desk.read(place, now - timedelta(days=1), now)
        if read.samples and max(sample.used for sample in read.samples) >= read.limit:
            self._desk.send(place, self._desk.call(place, read.limit * 2, "", uuid4()))


@contextmanager
def _stand(stage: Stage) -> Iterator[World]:
    with (
        peers.moto() as (url, _),
        office(url) as desk,
        faults.http_origin(stage, upstream=desk.url) as origin,
        peers.credentials(stage.directory),
    ):
        # at noon, so that each look is on a day of its own
        today = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        world = World(origin, desk, today)
        world.tell_days(-_HISTORY_DAYS, _QUIET_DAYS + 1)
        yield world


@contextmanager
def _with_keeper(stage: Stage, world: World) -> Iterator[Kept]:
    home = stage.directory / "home"
    with (
        scratch.database(stage.admin) as address,
        desks.opened(home, Guards(clock=_Hurried()), endpoint=world.origin.url) as at,
    ):
        db = Database(address)
        try:
            with db.dispatch() as connection:
                tenant = one(connection.execute("insert into tenants (name) values ('drill') returning id").fetchone())
            yield Kept(db, tenant["id"], QuotaKeeper(db, at, now=lambda: world.today), at["aws"])
        finally:
            db.close()


@contextmanager
def _by_hand(stage: Stage, world: World) -> Iterator[Bare]:
    with desks.opened(stage.directory / "home", Guards(clock=_Hurried()), endpoint=world.origin.url) as at:
        yield Bare(world, at["aws"])


@contextmanager
def _growth(_: Stage, world: World) -> Iterator[None]:
    world.tell_days(1, int((_LIMIT - _BASE) / _A_DAY) + 5, grows=_A_DAY)
    world.grows = True
    yield
    world.grows = False


def _looked(stage: Stage, watcher: Watcher, code: str) -> str:
    began = time.monotonic()
    try:
        watcher.look(code)
    except ProdSprintsError as error:
        stage.sample(False, time.monotonic() - began, "look")
        return f"{type(error).__name__}: {error.what} {error.why}".strip()
    stage.sample(True, time.monotonic() - began, "look")
    return ""


def _quiet(stage: Stage, world: World, watcher: Watcher) -> Observation:
    for _ in range(_QUIET_DAYS // _LOOK_DAYS):
        world.pass_on()
        if trouble := _looked(stage, watcher, _GROWS):
            return broke(trouble)
    if world.requests():
        return broke("More was asked for although use does not grow.")
    return held(f"{world.used:.0f} of {_LIMIT:.0f} are used, and nothing is asked for.")


def _in_time(stage: Stage, world: World, watcher: Watcher) -> Observation:
    """Look by look until use is at the limit; when was more asked for?"""
    asked = None
    while world.used <= _LIMIT:
        world.pass_on()
        if trouble := _looked(stage, watcher, _GROWS):
            return broke(trouble)
        asked = asked or (world.today if world.requests() else None)
    if asked is None:
        return broke(f"{world.used:.0f} of {_LIMIT:.0f} are used, and nobody asked for more.")
    ahead = world.today - asked
    stage.measure("detect_seconds", ahead.total_seconds())
    words = f"More was asked for {ahead.days} days before the limit was reached."
    return (held if ahead >= _IN_TIME else broke)(words)


def _enough(_: Stage, world: World, _watcher: Watcher) -> Observation:
    requests = world.requests()
    if len(requests) != 1:
        return broke(f"AWS was asked {len(requests)} times.")
    desired = float(str(requests[0]["DesiredValue"]))
    needed = _LIMIT + 60 * _A_DAY
    words = f"AWS was asked once, for {desired:.0f}; in 60 days from the limit {needed:.0f} are used."
    return (held if needed <= desired <= 4 * _LIMIT else broke)(words)


def _reached(_: Stage, world: World, _watcher: Watcher) -> Observation:
    most = world.most(_GROWS)
    words = f"CloudWatch knows of {most:.0f} used, of {_LIMIT:.0f}."
    return (held if most > _LIMIT else broke)(words)


def _no_alarm(stage: Stage, world: World, watcher: Watcher) -> Observation:
    """What goes up and down, and what rests just below its limit, raise nothing in sixty days."""
    saw = [800.0 + 200.0 * (day % 6) for day in range(60)]
    for code, values in ((_SAWS, saw), (_RESTS, [4.0] * 60)):
        start = world.today - timedelta(days=len(values), minutes=10)
        world.tell(code, [(start + timedelta(days=day + 1), value) for day, value in enumerate(values)])
    for code in (_SAWS, _RESTS):
        if trouble := _looked(stage, watcher, code):
            return broke(trouble)
        if world.requests(code):
            return broke(f"More of {code} was asked for.")
    return held("A sawtooth up to 72 % and a rest at 80 % raised no request.")


def _heard_back(_: Stage, world: World, watcher: Watcher) -> Observation:
    kept = _kept(watcher)
    request = book.requests(kept.db, kept.tenant, kept.followed(_GROWS).id)[0]
    world.office.answer(request.provider_id, "APPROVED")
    granted = kept.keeper.deliver(kept.tenant, request.id)
    quota = kept.keeper.review(kept.tenant, request.quota_id).quota
    words = f"It is {granted.state}, and the limit {quota.limit:.0f}."
    return (held if granted.state is State.GRANTED and quota.limit == request.desired else broke)(words)


def _never_twice(_: Stage, world: World, watcher: Watcher) -> Observation:
    """AWS takes the request, and its answer is lost on the way; then it is sent once more by another click."""
    kept = _kept(watcher)
    drafted = kept.keeper.draft(kept.tenant, kept.followed(_SAWS).id)
    world.office.loses_answers = True
    first = kept.send(drafted)
    world.office.loses_answers = False
    try:
        kept.send(drafted)
        return broke("The same draft could be sent twice.")
    except QuotaRequestError:
        second = kept.keeper.deliver(kept.tenant, drafted.id) if first.state is State.ASKED else first
    third = kept.keeper.deliver(kept.tenant, drafted.id)
    count = len(world.requests(_SAWS))
    words = f"First it was {first.state}, then {second.state}, at last {third.state}: AWS has {count}."
    return (held if count == 1 and third.state is State.SENT else broke)(words)


def _says_why(_: Stage, world: World, watcher: Watcher) -> Observation:
    """What AWS refuses waits for a person again, with the reason."""
    kept = _kept(watcher)
    drafted = kept.keeper.draft(kept.tenant, kept.followed(_RESTS).id)
    body = json.dumps({"__type": "AccessDeniedException", "message": "The drill says so"})
    with world.origin.answering(status=400, body=body, content_type="application/json", ttl_seconds=10):
        refused = kept.send(drafted)
    words = f"It is {refused.state}: {refused.trouble}"
    return (held if refused.state is State.DRAFTED and "AccessDenied" in refused.trouble else broke)(words)


def _as_known(_: Stage, _world: World, _watcher: Watcher) -> Observation:
    """Forecasts and drafts of known series, to the last digit."""
    found = known.wrong()
    if found:
        name, (expected, now) = next(iter(found.items()))
        return broke(f"{len(found)} of {len(known.EXPECTED)} differ; {name}: {now!r} instead of {expected!r}.")
    return held(f"{len(known.EXPECTED)} known series, roundings and drafts came out as they should.")


def _rates(_: Stage, world: World, watcher: Watcher) -> Observation:
    """1,200 in a minute, as a quota that counts by each of AWS's periods has to see it."""
    kept = _kept(watcher)
    world.tell(_RATE, [(world.today - timedelta(seconds=90), 1_200.0)])
    for (value, unit), expected in _OF_1200.items():
        world.office.periods[_RATE] = (value, unit)
        desk, start = kept.desk, world.today - timedelta(days=14)
        samples = desk.read(_place(_RATE), start, world.today).samples
        used = [f"{sample.used:.6g}" for sample in samples]
        if used != [expected]:
            return broke(f"By {value} {unit} it reads {used} instead of {expected}.")
    asked = {(one["Statistics"][0], one["Period"], one["EndTime"] - one["StartTime"]) for one in world.office.asked}
    if asked != _QUESTIONS:
        return broke(f"CloudWatch was asked for {sorted(asked ^ _QUESTIONS)} too many or too few.")
    bounded = kept.desk.call(_place(_RATE), 1e12, "", uuid4()).body["DesiredValue"]
    return (held if bounded == 1e10 else broke)(
        f"{len(_OF_1200)} periods are read right, and at most {bounded:g} asked for."
    )


def _kept(watcher: Watcher) -> Kept:
    if not isinstance(watcher, Kept):
        raise TypeError("only the keeper is looked at afterwards")
    return watcher


_HERE = "prodsprints.controls.providers.quotas"

ramp: Experiment[World, Watcher] = Experiment(
    row="R001.5",
    variant="usage-ramp",
    title="More is asked for before the limit is reached",
    safety=Safety.SAFE,
    fault=f"use grows by {_A_DAY:.0f} a day until it comes to the limit of {_LIMIT:.0f}",
    sources=tuple(f"{_HERE}.{name}" for name in ("forecast", "drafting", "keeper", "aws")),
    uses=(
        _HERE,
        "prodsprints.guard",
        "prodsprints.ledger.people",
        "prodsprints.notify",
        "prodsprints.store",
        "prodsprints.kernel.clock",
        "prodsprints.kernel.errors",
    ),
    peers=(
        MOTO,
        Peer("our desk for increases and uses, before moto, which has neither", "1", PeerClass.DOUBLE),
    ),
    stand=_stand,
    treatment=_with_keeper,
    placebo=_by_hand,
    steady=(Probe("use that rests asks for nothing", _quiet),),
    inject=_growth,
    seen=Probe("use came to the limit", _reached),
    probes=(
        Probe("more is asked for in time", _in_time),
        Probe("once, and for long enough", _enough),
    ),
    named="more is asked for in time",
    limit_seconds=60.0,
    after=(
        Probe("what does not grow raises no request", _no_alarm),
        Probe("what AWS answers is followed", _heard_back),
        Probe("a request whose answer is lost is not sent twice", _never_twice),
        Probe("a refusal waits for a person", _says_why),
        Probe("known series come out as known", _as_known),
        Probe("rates are read by their period", _rates),
    ),
    scale=(
        "two days pass with each look; 28 days of history are seeded; the waits of the guard are 1/20 of production's"
    ),
)
