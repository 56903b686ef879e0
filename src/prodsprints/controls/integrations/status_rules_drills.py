"""Probes for the drills of R008.4: rules that a drill has no time for, at made-up times, partly in a database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from xml.etree import ElementTree

from prodsprints.controls.integrations import feed, pace, services, sightings, status_page, uptime
from prodsprints.controls.integrations.health import Level, Observation, Outcome, Standing, fold, shown, worst
from prodsprints.controls.integrations.monitor import RESOURCE
from prodsprints.controls.integrations.status_peers import Reader, Scene
from prodsprints.controls.integrations.uptime import Day
from prodsprints.drills.experiment import Observation as Seen
from prodsprints.drills.experiment import broke, held
from prodsprints.drills.stage import Stage
from prodsprints.store import leases
from prodsprints.store.database import one as the_one
from prodsprints.store.errors import FencedError
from prodsprints.store.leases import Lease

_ATOM = "{http://www.w3.org/2005/Atom}"
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_OUTCOMES = {"w": Outcome.WELL, "s": Outcome.SLOW, "f": Outcome.FAILED}
_LEVELS = {
    "": Level.UNKNOWN, "w": Level.UP, "f": Level.UNKNOWN, "s": Level.UNKNOWN, "fw": Level.UP, "ff": Level.DOWN,
    "fs": Level.DEGRADED, "wf": Level.UP, "wff": Level.DOWN, "wss": Level.DEGRADED, "wfwf": Level.DEGRADED,
    "wfwwwwf": Level.UP, "ffw": Level.DOWN, "ffww": Level.UP, "ffsw": Level.DEGRADED, "ssww": Level.DEGRADED,
    "sswww": Level.UP, "ffwwf": Level.UP, "wssff": Level.DOWN, "ssfw": Level.DEGRADED, "ffwwfwf": Level.DEGRADED,
    "fwf": Level.UP,
}  # fmt: skip
_SETTLED = {
    "": False, "f": False, "w": True, "wf": False, "ws": False, "ff": True, "ffw": False, "ss": True, "ssf": False,
}  # fmt: skip


def looks_add_up(_: Stage, _scene: Scene, _reader: Reader) -> Seen:
    """Rows of looks, and what each comes to."""
    wrong = [looks for looks, level in _LEVELS.items() if _after(looks).level is not level]
    wrong += [looks for looks, settled in _SETTLED.items() if _after(looks).is_settled is not settled]
    again = fold(_after("w"), Observation(_at(2), Outcome.FAILED, settled=True), longest_gap_seconds=60).standing
    seen = fold(_after("f"), Observation(_at(2), Outcome.WELL), longest_gap_seconds=60).span
    return _stated(
        ("each row of looks comes to its level", not wrong),
        ("what a guard has settled needs no second look", again.level is Level.DOWN),
        ("time up to a first good look is up", seen is not None and seen.level is Level.UP),
        ("the worst of nothing is unknown", worst() is Level.UNKNOWN),
        ("a level lasts since it began", _after("www").since == _at(1) and _after("wff").since == _at(3)),
    )


def gaps_are_not_counted(_: Stage, _scene: Scene, _reader: Reader) -> Seen:
    """Gaps, a clock that goes backwards, and an outage that gets worse."""
    back = _after("wff")
    late = fold(back, Observation(_BEGAN + timedelta(hours=2), Outcome.WELL), longest_gap_seconds=60)
    early = fold(_after("ww"), Observation(_BEGAN, Outcome.WELL), longest_gap_seconds=60)
    just = fold(_after("w"), Observation(_at(7), Outcome.WELL), longest_gap_seconds=60)
    slow = _after("wsff").trouble
    return _stated(
        ("a gap is in no sum", late.span is None),
        ("an outage that nobody saw the end of says so", late.ended is not None and not late.ended.is_known),
        ("it lasted until the last look", late.ended is not None and late.ended.at == back.seen_at),
        ("after a gap and a good look it is up", late.standing.level is Level.UP and late.standing.trouble is None),
        ("the longest gap is none yet", just.span is not None),
        ("a clock that goes backwards adds no time", early.span is None),
        ("nor takes any away", early.standing.seen_at == _after("ww").seen_at),
        ("an outage gets worse, and stays one", slow is not None and slow.level is Level.DOWN),
        ("it began when it was first seen", slow is not None and slow.began_at == _at(2)),
        ("it is up while somebody looks", _shown(60) is Level.UP),
        ("and unknown when nobody does", _shown(61) is Level.UNKNOWN),
        ("what nobody ever looked at is unknown", shown(Standing(), _BEGAN, longest_gap_seconds=60) is Level.UNKNOWN),
    )


def productions_pace_is_as_stated(_: Stage, _scene: Scene, _reader: Reader) -> Seen:
    """The times at the usual interval of 30 s."""
    known = [pace.timeout_seconds(30), pace.slow_seconds(30), pace.longest_gap_seconds(30)]
    looks = [pace.next_look_seconds(_after(seen), 30, share) for seen, share in (("w", 0), ("w", 1), ("wf", 0))]
    return _stated(
        ("a look lasts 5 s, is slow after 2.5 s, and 60 s without one are a gap", known == [5.0, 2.5, 60.0]),
        ("looks are 9 to 12 s apart, and 1.5 s before a second opinion", _rounded(looks) == [12.0, 9.0, 1.5]),
        ("at shorter intervals a look lasts a fifth", pace.timeout_seconds(6) == 6 * 0.2),
    )


def figures_are_cut_off(_: Stage, scene: Scene, _reader: Reader) -> Seen:
    """What a person reads as percentages."""
    now = datetime(2026, 3, 31, 12, tzinfo=UTC)
    days = uptime.days({date(2026, 3, 30): (86_399.99, 0.0, 0.01), date(2026, 3, 31): (21_600, 3_600, 0)}, now)
    nothing, nearly, half = (uptime.uptime([day]) for day in days[-3:])
    brief = uptime.uptime([Day(_BEGAN.date(), 0.5, 0.0, 0.0, over_seconds=0.8)])
    empty = status_page.StatusPage(now, (), (), ())
    document = feed.atom(empty, scene.tenant, title="x", page_url="http://x/", feed_url="http://x/feed")
    return _stated(
        ("90 days are shown", len(days) == 90),
        ("nothing measured is no figure", (nothing.available_percent, nothing.measured_percent) == (None, 0.0)),
        ("10 ms down are not 100 %", (nearly.available_percent, nearly.measured_percent) == (99.999, 100.0)),
        ("degraded is available", (half.available_percent, half.measured_percent) == (100.0, 58.333)),
        ("half a second is a figure, too", (brief.available_percent, brief.measured_percent) == (100.0, 62.5)),
        ("no days are no figure", uptime.uptime(()).measured_percent == 0.0),
        ("what was not measured is told", [round(day.unmeasured_seconds) for day in days[-3:]] == [86_400, 0, 18_000]),
        ("it is never less than nothing", Day(_BEGAN.date(), 9.0, 0.0, 0.0, 5.0).unmeasured_seconds == 0.0),
        ("a page without services knows nothing", empty.level is Level.UNKNOWN),
        ("and its feed is as old as feeds are", b"2026-01-01T00:00:00.000Z" in document),
    )


def is_written_down_as_stated(_: Stage, scene: Scene, _reader: Reader) -> Seen:
    """What looks of made-up times come to in the database, on the page and in the feed; of a tenant of their own."""
    with scene.db.dispatch() as connection:
        row = the_one(
            connection.execute(
                "insert into tenants (name) values (%s) returning id, clock_timestamp() as now",
                [f"t-{uuid4().hex[:9]}"],
            ).fetchone()
        )
        tenant, now = row["id"], row["now"].astimezone(UTC)
        lease = leases.acquire(connection, tenant, RESOURCE, "made up")
        # The monitor that is drilled meanwhile must not look at what is made up here.
        connection.execute("update leases set expires_at = now() + interval '1 h' where tenant_id = %s", [tenant])
    if lease is None:
        return broke("A new tenant's lease is not to be had.")
    midnight = datetime.combine(now.date() - timedelta(days=1), time(), UTC)
    past, present, stale, hidden = (_declared(scene, tenant, name, public) for name, public in _DECLARED)
    for at, outcome in _PAST:
        sightings.record(scene.db, tenant, lease, [_look(past, midnight + timedelta(seconds=at), outcome)])
    dead = [_look(stale, midnight + timedelta(seconds=at), _FAILED) for at in (1_000, 1_020)]
    sightings.record(scene.db, tenant, lease, dead)
    failing = [_look(id, now - timedelta(seconds=back), _FAILED) for id in (present, hidden, uuid4()) for back in _BACK]
    standings = sightings.record(scene.db, tenant, lease, failing)
    _tell(scene, tenant, now)
    _leave_what_is_old(scene, tenant, past, now)
    sightings.forget(scene.db, tenant, now)
    page = status_page.read(scene.db, tenant)
    told = _told(page.as_json(), midnight)
    document = feed.atom(page, tenant, title="Us", page_url="http://x/p", feed_url="http://x/f")
    root = ElementTree.fromstring(document)  # noqa: S314 - ours
    entries = root.findall(f"{_ATOM}entry")
    updated = _texts(entries, "updated")
    told_of = _texts(entries, "content")
    contents = " ".join(told_of)
    day = f"{midnight:%Y-%m-%d}"
    return _stated(
        ("whoever records is told how things stand", {one.level for one in standings.values()} == {Level.DOWN}),
        ("and only of what is watched", standings.keys() == {present, hidden}),
        (f"the page tells {told}", told == _WANTED),
        ("it is as of now", now <= page.at < now + timedelta(minutes=1)),
        ("the feed has an entry for each", sorted(_texts(entries, "title")) == _TITLES),
        ("it links itself and the page", [link.get("href") for link in root.findall(f"{_ATOM}link")] == _LINKS),
        ("each entry links its place", all("http://x/p#" in str(_link(entry)) for entry in entries)),
        ("the newest is first", updated == sorted(updated, reverse=True)),
        ("the feed is as new as its newest", _texts([root], "updated") == updated[:1]),
        ("an end that nobody saw", f"Since {day} 00:01:20 UTC. Last seen at {day} 00:02:20 UTC; then" in contents),
        ("an end that was seen", f"Since {day} 00:07:20 UTC. Over at {day} 00:08:20 UTC." in contents),
        ("what is old is forgotten, and nothing else", _kept(scene, tenant) == (6, 0.25, now.date() - _OLDEST, 6)),
        ("the feed has an id, a title and an author", _head(root) == ["Us", "ProdSprints", "tag:"]),
        ("each entry has an id and a time of its own", all(map(_is_whole, entries))),
        ("one that goes on says since when", any(text.endswith("UTC.") and "Over" not in text for text in told_of)),
        ("it is XML", document.startswith(b"<?xml")),
        ("a worker whose lease is another's writes nothing", _is_refused(scene, tenant, lease, past, now)),
    )


def _stated(*rules: tuple[str, bool]) -> Seen:
    wrong = [words for words, holds in rules if not holds]
    return (
        broke(f"It is not so that {wrong[0]}.")
        if wrong
        else held(f"{len(rules)} rules hold, the last: {rules[-1][0]}.")
    )


def _at(look: int) -> datetime:
    return _BEGAN + timedelta(seconds=10 * look)


def _after(looks: str) -> Standing:
    standing = Standing()
    for place, look in enumerate(looks):
        seen = Observation(_at(place + 1), _OUTCOMES[look])
        standing = fold(standing, seen, longest_gap_seconds=60).standing
    return standing


def _shown(seconds: float) -> Level:
    return shown(_after("w"), _at(1) + timedelta(seconds=seconds), longest_gap_seconds=60)


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(one, 6) for one in seconds]


_FAILED = Outcome.FAILED
_BACK = (40, 20, 0)
_OLDEST = timedelta(days=100)
_DECLARED = (("Past", True), ("Present", True), ("Stale", True), ("Hidden", False))
_PAST = (
    *((at, Outcome.WELL) for at in (-60.12345, -40, -20, 5, 20, 40, 60)),
    *((80.12345, Outcome.SLOW), (100, Outcome.SLOW), (120, Outcome.FAILED), (140, Outcome.FAILED)),
    *((440, Outcome.FAILED), (460, Outcome.FAILED), (480, Outcome.WELL), (500.12345, Outcome.WELL)),
)
_WANTED = {
    "level": ("down", 2),
    "services": [
        ("Past", "unknown", 30.0, 69.212, True),
        ("Present", "down", 30.0, 0.0, False),
        ("Stale", "unknown", 30.0, 0.0, True),
    ],
    "days": [(60.123, 0.0, 0.0, 86_339.877), (80.123, 39.877, 80.123, 86_199.877)],
    "outages": [
        ("Present", "down", True, True, "probe", "Failed"),
        ("Stale", "down", False, False, "probe", "Failed"),
        ("Past", "down", False, True, "probe", "Failed"),
        ("Past", "down", False, False, "probe", "Failed"),
        ("Past", "down", False, True, "probe", "Old"),
    ],
    "times": [1_000, 1_020, 440, 500, 80, 140],
    "incidents": [("Outside", "identified", ["identified", "investigating"])],
}
_TITLES = [
    "Outside: identified",
    "Outside: investigating",
    "Past was down",
    "Past was down",
    "Past was down; its end was not seen",
    "Present is down",
    "Stale was down; its end was not seen",
]
_LINKS = ["http://x/f", "http://x/p"]


def _look(id: UUID, at: datetime, outcome: Outcome) -> tuple[UUID, Observation]:
    return id, Observation(at, outcome, 0.25, "" if outcome is Outcome.WELL else outcome.capitalize())


def _declared(scene: Scene, tenant: UUID, name: str, public: bool) -> UUID:
    nowhere: Callable[[str], tuple[str, ...]] = lambda _: ()  # noqa: E731
    url = "http://127.0.0.1:9/health"
    return services.watch(
        scene.db, tenant, id=uuid4(), name=name, url=url, expected_status=None, interval_seconds=30.0,
        is_public=public, inward=True, resolve=nowhere,
    ).id  # fmt: skip


def _tell(scene: Scene, tenant: UUID, now: datetime) -> None:
    """An incident of which two things are told."""
    id = uuid4()
    with scene.db.tenant(tenant) as connection:
        connection.execute(
            "insert into incidents (id, environment, risk_id, row_ids, title, what_happened, security)"
            " values (%s, 'demo', 'R008', '{}', 'Inside', 'Inside', false)",
            [id],
        )
        connection.execute("insert into incident_publications (incident_id, title) values (%s, 'Outside')", [id])
        for stage, later in (("investigating", 5), ("identified", 10)):
            connection.execute(
                "insert into incident_updates (id, incident_id, stage, words, person, created_at)"
                " values (%s, %s, %s, 'We look.', %s, %s)",
                [uuid4(), id, stage, uuid4(), now + timedelta(seconds=later)],
            )


def _leave_what_is_old(scene: Scene, tenant: UUID, id: UUID, now: datetime) -> None:
    first = datetime.combine(now.date() - _OLDEST, time(), UTC)
    with scene.db.tenant(tenant) as connection:
        for day in (first.date(), first.date() - timedelta(days=1)):
            connection.execute("insert into service_days (service_id, day, up_seconds) values (%s, %s, 1)", [id, day])
        shown_from = datetime.combine(now.date() - timedelta(days=89), time(), UTC)
        ends = {first: "Forgotten", shown_from: "Kept", shown_from + timedelta(seconds=2): "Old"}
        for end, words in ends.items():
            connection.execute(
                "insert into service_outages (service_id, level, began_at, ended_at, detected_by, words)"
                " values (%s, 'down', %s, %s, 'probe', %s)",
                [id, end - timedelta(hours=1), end - timedelta(seconds=1), words],
            )


def _kept(scene: Scene, tenant: UUID) -> tuple[int, float, date, int]:
    """How many looks there are and the least of their seconds, the oldest day, and the outages of what is public."""
    with scene.db.tenant(tenant) as connection:
        looks = the_one(connection.execute("select count(*) as n, min(seconds) as least from service_looks").fetchone())
        day = the_one(connection.execute("select min(day) as first from service_days").fetchone())
        outages = connection.execute(
            "select from service_outages o join watched_services s on s.id = o.service_id where s.is_public"
        ).fetchall()
    return looks["n"], looks["least"], day["first"], len(outages)


def _is_refused(scene: Scene, tenant: UUID, lease: Lease, id: UUID, now: datetime) -> bool:
    try:
        late = replace(lease, fencing_token=lease.fencing_token - 1)
        sightings.record(scene.db, tenant, late, [(id, Observation(now, Outcome.WELL))])
    except FencedError:
        return True
    return False


def _told(said: dict[str, Any], midnight: datetime) -> dict[str, Any]:
    """What the page says in figures that do not change from day to day."""
    moments = [one[part] for one in said["outages"][1:4] for part in ("began_at", "ended_at")]
    shown = ("name", "level", "interval_seconds", "available_percent")
    days = ("up_seconds", "degraded_seconds", "down_seconds", "unmeasured_seconds")
    return {
        "level": (said["level"], said["unmeasured"]),
        "services": [(*(one[name] for name in shown), one["since"] == one["seen_at"]) for one in said["services"]],
        "days": [tuple(day[name] for name in days) for day in said["services"][0]["days"][-3:-1]],
        "outages": [
            (
                one["service"],
                one["level"],
                one["ended_at"] is None,
                one["end_is_known"],
                one["detected_by"],
                one["words"],
            )
            for one in said["outages"]
        ],
        "times": [round((datetime.fromisoformat(text) - midnight).total_seconds()) for text in moments],
        "incidents": [
            (one["title"], one["stage"], [update["stage"] for update in one["updates"]]) for one in said["incidents"]
        ],
    }


def _texts(elements: Sequence[ElementTree.Element], name: str) -> list[str]:
    return [str(element.findtext(f"{_ATOM}{name}")) for element in elements]


def _link(entry: ElementTree.Element) -> str | None:
    link = entry.find(f"{_ATOM}link")
    return None if link is None else link.get("href")


def _head(root: ElementTree.Element) -> list[str]:
    id = str(root.findtext(f"{_ATOM}id"))
    return [str(root.findtext(f"{_ATOM}title")), str(root.findtext(f"{_ATOM}author/{_ATOM}name")), id[:4]]


def _is_whole(entry: ElementTree.Element) -> bool:
    said = [str(entry.findtext(f"{_ATOM}{name}")) for name in ("id", "published", "updated")]
    return said[0].startswith("tag:") and all(moment.endswith("Z") for moment in said[1:])
