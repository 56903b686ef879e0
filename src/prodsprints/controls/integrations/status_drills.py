"""The drills of R008.4: a service dies, fails or hangs, and the status page says so within one interval."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import httpx

from prodsprints.controls.dns import names
from prodsprints.controls.integrations import parts, services, status_peers
from prodsprints.controls.integrations import status_rules_drills as rules
from prodsprints.controls.integrations.guards_seen import GuardsSeen
from prodsprints.controls.integrations.monitor import Monitor
from prodsprints.controls.integrations.status_peers import NAME, POSTGRES, SERVICE, Reader, Scene
from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Probe, Safety, broke, held
from prodsprints.drills.experiment import Observation as Seen
from prodsprints.drills.stage import Stage

INTERVAL_SECONDS = 8.0

_FAULT_SECONDS = 60.0
_SETTLE_SECONDS = 25.0
_LOOK_SECONDS = 0.05
_ATOM = "{http://www.w3.org/2005/Atom}"


def _watched(url: Callable[[Scene], str]) -> Callable[[Stage, Scene], Any]:
    @contextmanager
    def ours(stage: Stage, scene: Scene) -> Iterator[Reader]:
        services.watch(
            scene.db,
            scene.tenant,
            id=uuid4(),
            name=NAME,
            url=url(scene),
            expected_status=None,
            interval_seconds=INTERVAL_SECONDS,
            is_public=True,
            inward=True,
            resolve=lambda _: (),
        )
        own = parts.looks(scene.db, replace(stage.settings, home=stage.directory))
        monitor = Monitor(scene.db, "drill", names=names.of_this_process(), own=own, guards=GuardsSeen(scene.db))
        with status_peers.pages(stage, scene) as reader:
            monitor.start()
            try:
                yield reader
            finally:
                monitor.stop()

    return ours


@contextmanager
def _killed(_: Stage, scene: Scene) -> Iterator[None]:
    scene.broke_at = time.monotonic()
    with faults.killed(scene.process.pid):
        yield
    scene.start_again()
    scene.healed_at = time.monotonic()


@contextmanager
def _failing(_: Stage, scene: Scene) -> Iterator[None]:
    scene.broke_at = time.monotonic()
    with scene.origin.answering(status=500, ttl_seconds=_FAULT_SECONDS):
        yield
    scene.healed_at = time.monotonic()


@contextmanager
def _hanging(_: Stage, scene: Scene) -> Iterator[None]:
    scene.broke_at = time.monotonic()
    with scene.origin.hanging(seconds=30.0, ttl_seconds=_FAULT_SECONDS):
        yield
    scene.healed_at = time.monotonic()


def _says_it_works(stage: Stage, _: Scene, reader: Reader) -> Seen:
    return _until(stage, reader, _WORKS, time.monotonic() + _SETTLE_SECONDS)


def _says_it_is_down(stage: Stage, scene: Scene, reader: Reader) -> Seen:
    seen = _until(stage, reader, _IS_DOWN, scene.broke_at + INTERVAL_SECONDS)
    stage.measure("detect_seconds", time.monotonic() - scene.broke_at)
    return seen


def _says_it_first(_: Stage, _scene: Scene, reader: Reader) -> Seen:
    sentence = _plain(reader.get(reader.page).partition('id="overall"')[2].partition("</p>")[0])
    return (held if NAME in sentence and "down" in sentence else broke)(f"It begins with {sentence!r}.")


def _tells_no_address(_: Stage, scene: Scene, reader: Reader) -> Seen:
    for path in (reader.page, reader.status, reader.feed):
        text = reader.get(path)
        if not text:
            return broke(f"{path} is not answered.")
        for private in (scene.origin.url, str(scene.port), scene.origin.url.rpartition(":")[2], str(scene.tenant)):
            if private in text:
                return broke(f"{path} tells {private} to everybody.")
    return held("Neither the page nor the API nor the feed tells where the service is.")


def _says_it_is_back(stage: Stage, scene: Scene, reader: Reader) -> Seen:
    seen = _until(stage, reader, _IS_BACK, scene.healed_at + INTERVAL_SECONDS)
    stage.measure("recover_seconds", time.monotonic() - scene.healed_at)
    return seen


def _keeps_the_outage(_: Stage, scene: Scene, reader: Reader) -> Seen:
    said = _json(reader)
    outages = [one for one in said.get("outages", []) if one["service"] == NAME]
    if len(outages) != 1 or outages[0]["ended_at"] is None or not outages[0]["end_is_known"]:
        return broke(f"It keeps {len(outages)} outages of {NAME}: {outages}.")
    lasted = _moment(outages[0]["ended_at"]) - _moment(outages[0]["began_at"])
    true = scene.healed_at - scene.broke_at
    counted = sum(day["down_seconds"] + day["degraded_seconds"] for day in _service(said)["days"])
    if abs(counted - lasted.total_seconds()) > 0.1:
        return broke(f"It lasted {lasted.total_seconds():.1f} s, and {counted:.1f} s are counted.")
    if abs(lasted.total_seconds() - true) > INTERVAL_SECONDS:
        return broke(f"The fault lasted {true:.1f} s, and it says {lasted.total_seconds():.1f} s.")
    if f"{NAME} was down" not in _titles(reader):
        return broke(f"The feed's entries: {', '.join(_titles(reader))}.")
    return held(f"One outage of {lasted.total_seconds():.1f} s; the fault lasted {true:.1f} s.")


def _counts_no_time_that_was_not_measured(_: Stage, _scene: Scene, reader: Reader) -> Seen:
    service = _service(_json(reader))
    up = sum(day["up_seconds"] for day in service["days"])
    gone = sum(day["unmeasured_seconds"] for day in service["days"])
    if not 0 < up < 120 or service["available_percent"] in {None, 100.0} or service["measured_percent"] > 1:
        return broke(f"After seconds it says {up:.0f} s up, available {service['available_percent']} %.")
    if gone < 88 * 86_400:
        return broke(f"Of 90 days only {gone:.0f} s are said not to be measured.")
    return held(f"{up:.0f} s up, and {gone / 86_400:.1f} of 90 days not measured.")


def _answers_no_more(_: Stage, scene: Scene, _reader: Reader) -> Seen:
    """Asked as the monitor asks it, past the monitor."""
    words = []
    for url in (scene.direct, scene.origin.url):
        try:
            words.append(str(httpx.get(url, timeout=0.5, trust_env=False).status_code))
        except httpx.TransportError as error:
            words.append(type(error).__name__)
    said = f"Asked directly it ends with {words[0]}, behind the origin with {words[1]}."
    return (broke if set(words) == {"200"} else held)(said)


@dataclass(frozen=True)
class _Said:
    """What the three documents say of the service, each in its own words."""

    page: str
    api: str
    feed: str

    def __str__(self) -> str:
        return f"the page says {self.page!r}, the API {self.api!r}, the feed {self.feed!r}"


_WORKS = _Said("Works", "up", "")
_IS_DOWN = _Said("Down", "down", f"{NAME} is down")
_IS_BACK = _Said("Works", "up", f"{NAME} was down")


def _said(reader: Reader) -> _Said:
    state = reader.get(reader.page).partition(f"<h3>{NAME}</h3>")[2].partition("</div>")[0]
    shown = next((words for words in ("Works", "Down", "Degraded", "Not measured") if words in state), "")
    of_it = [title for title in _titles(reader) if title.startswith(NAME)]
    return _Said(shown, str(_service(_json(reader)).get("level", "")), of_it[0] if of_it else "")


def _until(stage: Stage, reader: Reader, wanted: _Said, deadline: float) -> Seen:
    """Look again and again whether all three say so, as a visitor who reloads."""
    began = time.monotonic()
    while True:
        looked = time.monotonic()
        said = _said(reader)
        now = time.monotonic()
        stage.sample(said == wanted, now - looked, "status")
        if now > deadline:
            return broke(f"After {now - began:.1f} s {said}.")
        if said == wanted:
            return held(f"After {now - began:.1f} s {said}.")
        time.sleep(_LOOK_SECONDS)


def _json(reader: Reader) -> dict[str, Any]:
    text = reader.get(reader.status)
    said: dict[str, Any] = json.loads(text) if text else {}
    return said


def _service(said: dict[str, Any]) -> dict[str, Any]:
    return next((one for one in said.get("services", []) if one["name"] == NAME), {})


def _titles(reader: Reader) -> list[str]:
    text = reader.get(reader.feed)
    root = ElementTree.fromstring(text) if text else ElementTree.Element("feed")  # noqa: S314 - ours, or the bare one
    return [str(title.text) for title in root.findall(f"{_ATOM}entry/{_ATOM}title")]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _plain(text: str) -> str:
    return " ".join(text.rpartition(">")[2].split())[:120]


service_killed: Experiment[Scene, Reader] = Experiment(
    row="R008.4",
    variant="service-killed",
    title="A service dies, and the status page says so within one interval",
    safety=Safety.SAFE,
    fault="the service is killed (SIGKILL)",
    sources=(
        "prodsprints.controls.integrations.health",
        "prodsprints.controls.integrations.pace",
        "prodsprints.controls.integrations.uptime",
        "prodsprints.controls.integrations.monitor",
        "prodsprints.controls.integrations.sightings",
        "prodsprints.controls.integrations.status_page",
        "prodsprints.controls.integrations.feed",
    ),
    uses=(
        "prodsprints.controls.dns",
        "prodsprints.controls.integrations.addresses",
        "prodsprints.controls.integrations.errors",
        "prodsprints.controls.integrations.guards_seen",
        "prodsprints.controls.integrations.parts",
        "prodsprints.controls.integrations.probe",
        "prodsprints.controls.integrations.services",
        "prodsprints.controls.integrations.status_peers",
        "prodsprints.controls.integrations.status_rules_drills",
        "prodsprints.controls.providers.dependencies",
        "prodsprints.guard",
        "prodsprints.incidents.publishing",
        "prodsprints.incidents.typed",
        "prodsprints.kernel.clock",
        "prodsprints.kernel.errors",
        "prodsprints.kernel.redaction",
        "prodsprints.kernel.settings",
        "prodsprints.runtime.client",
        "prodsprints.store.database",
        "prodsprints.store.leases",
        "prodsprints.web.pages.status",
        "prodsprints.web.api.status",
        "prodsprints.web.public",
    ),
    peers=(SERVICE, POSTGRES),
    stand=status_peers.scene,
    treatment=_watched(lambda scene: scene.direct),
    placebo=status_peers.bare_pages,
    steady=(Probe("it is said to work", _says_it_works),),
    inject=_killed,
    seen=Probe("the service does not answer as it did", _answers_no_more),
    probes=(
        Probe("it is said to be down within one interval", _says_it_is_down),
        Probe("it is the first that the page says", _says_it_first),
        Probe("nobody is told where the service is", _tells_no_address),
        Probe("what is looked at adds up as stated", rules.looks_add_up),
        Probe("gaps are not counted", rules.gaps_are_not_counted),
        Probe("production's own pace is as stated", rules.productions_pace_is_as_stated),
        Probe("what was seen is written down and told as stated", rules.is_written_down_as_stated),
        Probe("figures are cut off and never made up", rules.figures_are_cut_off),
    ),
    named="it is said to be down within one interval",
    after=(
        Probe("it is said to be back within one interval", _says_it_is_back),
        Probe("the history keeps the outage", _keeps_the_outage),
        Probe("time in which nobody looked is not counted", _counts_no_time_that_was_not_measured),
    ),
    limit_seconds=90.0,
    scale=f"The interval is {INTERVAL_SECONDS:g} s, about a quarter of the usual 30 s",
)

service_fails: Experiment[Scene, Reader] = replace(
    service_killed,
    variant="service-answers-500",
    title="A service fails, and the status page says so within one interval",
    fault="the service answers 500 to every request",
    treatment=_watched(lambda scene: scene.origin.url),
    inject=_failing,
)

service_hangs: Experiment[Scene, Reader] = replace(
    service_fails,
    variant="service-hangs",
    title="A service hangs, and the status page says so within one interval",
    fault="the service takes requests and does not answer",
    inject=_hanging,
)
