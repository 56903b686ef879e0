"""The drills of R008: a service fails or is gone, and what was known of it is still there, marked."""

from __future__ import annotations

import contextlib
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx

from prodsprints.controls.integrations.last_good import LastGood, aged
from prodsprints.controls.providers import account as accounts
from prodsprints.controls.providers import peers
from prodsprints.controls.providers.account import Account, Place
from prodsprints.controls.providers.answers import Identity
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.peers import ACCOUNT, ALIAS, MOTO, REGION, Bare, Cloud
from prodsprints.drills import faults
from prodsprints.drills.experiment import Experiment, Observation, Probe, Safety, broke, held
from prodsprints.drills.stage import Stage
from prodsprints.guard import Answer
from prodsprints.kernel.errors import ProdSprintsError

_FAULT_SECONDS = 60.0
_OLD_SECONDS = 0.3


@dataclass(frozen=True)
class Worker:
    """A worker that asks for the account, and the same worker after a restart."""

    account: Account | Bare
    restarted: Callable[[], Account | Bare]


@contextmanager
def _ours(stage: Stage, cloud: Cloud) -> Iterator[Worker]:
    home = stage.directory / "home"
    place = Place(ACCOUNT, REGION, cloud.origin.url)
    with (
        accounts.opened(place, home=home, guards=Guards()) as first,
        accounts.opened(place, home=home, guards=Guards()) as second,
    ):
        yield Worker(first, lambda: second)


@contextmanager
def _bare(_: Stage, cloud: Cloud) -> Iterator[Worker]:
    with peers.bare(cloud) as caller:
        yield Worker(caller, lambda: caller)


@contextmanager
def _fails(_: Stage, cloud: Cloud) -> Iterator[None]:
    with cloud.origin.answering(status=503, ttl_seconds=_FAULT_SECONDS):
        yield


@contextmanager
def _dies(_: Stage, cloud: Cloud) -> Iterator[None]:
    with faults.killed(cloud.process):
        yield


def _alias(stage: Stage, account: Account | Bare) -> tuple[Answer[str] | None, str]:
    began = time.monotonic()
    try:
        answer, words = account.alias(ACCOUNT), ""
    except ProdSprintsError as error:
        answer, words = None, f"{type(error).__name__}: {error.what} {error.why}".strip()
    stage.sample(answer is not None, time.monotonic() - began, "ListAccountAliases")
    return answer, words


def _identity(stage: Stage, account: Account | Bare) -> tuple[bool, str]:
    began = time.monotonic()
    try:
        found = account.identity()
        answered, words = isinstance(found, Identity) and found.account == ACCOUNT, f"It answered {found}."
    except ProdSprintsError as error:
        answered, words = False, f"{type(error).__name__}: {error.what} {error.why}".strip()
    stage.sample(answered, time.monotonic() - began, "GetCallerIdentity")
    return answered, words


def _answers_fresh(stage: Stage, _: Cloud, worker: Worker) -> Observation:
    answer, words = _alias(stage, worker.account)
    if answer is None:
        return broke(words or "Nothing was answered.")
    as_new = answer.value == ALIAS and not answer.stale and aged(answer) == ALIAS
    return (held if as_new else broke)(f"{aged(answer)}")


def _answers_who_we_are(stage: Stage, _: Cloud, worker: Worker) -> Observation:
    answered, words = _identity(stage, worker.account)
    return (held if answered else broke)(words)


def _answers_stale(stage: Stage, _: Cloud, worker: Worker) -> Observation:
    time.sleep(_OLD_SECONDS)
    began = time.monotonic()
    answer, words = _alias(stage, worker.account)
    if answer is None:
        return broke(words)
    stage.measure("detect_seconds", time.monotonic() - began)
    return (held if answer.value == ALIAS else broke)(f"{aged(answer)}")


def _is_marked(stage: Stage, _: Cloud, worker: Worker) -> Observation:
    answer, words = _alias(stage, worker.account)
    if answer is None:
        return broke(words)
    marked = answer.stale and answer.age_seconds >= _OLD_SECONDS and "as of" in f"{aged(answer)}"
    return (held if marked else broke)(f"{aged(answer)}: {answer.age_seconds:.1f} s old.")


def _survives_a_restart(stage: Stage, _: Cloud, worker: Worker) -> Observation:
    answer, words = _alias(stage, worker.restarted())
    if answer is None:
        return broke(words)
    return (held if answer.value == ALIAS and answer.stale else broke)(f"{aged(answer)}")


def _critical_is_never_stale(stage: Stage, _: Cloud, worker: Worker) -> Observation:
    answered, words = _identity(stage, worker.account)
    return broke("Who we are was answered, although nobody could be asked.") if answered else held(words)


def _keeps_productions_times(stage: Stage, _: Cloud, _worker: Worker) -> Observation:
    """Ages that no drill can wait for, by a clock that is moved by hand."""
    now = began = datetime(2026, 1, 1, tzinfo=UTC)
    last_good = LastGood(stage.directory / "times", now=lambda: now)
    last_good.keep("other", "another")
    others = set((stage.directory / "times").glob("*"))
    last_good.keep("one", "value")
    ours = set((stage.directory / "times").glob("*")) - others
    if (len(others), len(ours)) != (1, 1):
        return broke("It does not keep each answer in a file of its own.")

    def shown() -> str:
        try:
            return aged(last_good.fallback().answer(ConnectionError(), "one"))
        except ConnectionError:
            return ""

    for age, words in (
        (timedelta(0), "0 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(seconds=120), "2 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=48), "2 d"),
        (timedelta(days=30), "30 d"),
        (timedelta(days=30, seconds=1), ""),
        (timedelta(seconds=-1), ""),
    ):
        now = began + age
        if shown() != (f"value (as of {words} ago)" if words else ""):
            return broke(f"After {age} it shows {shown()!r}.")
    now = began
    ours.pop().write_bytes(others.pop().read_bytes())
    if shown():
        return broke(f"It shows the answer to another question: {shown()!r}.")
    return held("Shown for 30 days with its age, then no more; and never for another question.")


def _is_kept_for_us_alone(stage: Stage, _: Cloud, _worker: Worker) -> Observation:
    mode = stat.S_IMODE((stage.directory / "home" / "providers" / "aliases").stat().st_mode)
    return (held if mode == 0o700 else broke)(f"What is kept lies in a directory of mode {mode:o}.")


def _keeps_what_is_of_a_size(stage: Stage, _: Cloud, _worker: Worker) -> Observation:
    good = LastGood(stage.directory / "sizes")
    known = []
    for size in (4_096, 4_097):
        good.keep(f"{size}", "x" * size)
        with contextlib.suppress(ConnectionError):
            known.append(len(good.fallback().answer(ConnectionError(), f"{size}").value))
    return (held if known == [4_096] else broke)(f"Of answers of 4,096 and of 4,097 letters are kept: {known}.")


def _does_not_answer(_: Stage, cloud: Cloud, _worker: Worker) -> Observation:
    try:
        status = httpx.get(cloud.origin.url, timeout=5.0, trust_env=False).status_code
    except httpx.TransportError as error:
        return held(f"Asked directly, it ends with {type(error).__name__}.")
    return (held if status == httpx.codes.SERVICE_UNAVAILABLE else broke)(f"Asked directly, it answers {status}.")


service_fails: Experiment[Cloud, Worker] = Experiment(
    row="R008.5",
    variant="service-fails",
    title="A failing service's last good answer is shown, with its age",
    safety=Safety.SAFE,
    fault="AWS answers 503 to every call",
    sources=("prodsprints.controls.integrations.last_good", "prodsprints.controls.providers.account"),
    uses=(
        "prodsprints.controls.providers.guards",
        "prodsprints.controls.providers.aws",
        "prodsprints.guard",
        "prodsprints.kernel.clock",
        "prodsprints.kernel.files",
    ),
    peers=(MOTO,),
    stand=peers.cloud,
    treatment=_ours,
    placebo=_bare,
    steady=(
        Probe("the alias is answered", _answers_fresh),
        Probe("who we are is answered", _answers_who_we_are),
    ),
    inject=_fails,
    seen=Probe("the service does not answer", _does_not_answer),
    probes=(
        Probe("the alias is still answered", _answers_stale),
        Probe("the answer says how old it is", _is_marked),
        Probe("it is still known after a restart", _survives_a_restart),
        Probe("who we are is never answered from memory", _critical_is_never_stale),
        Probe("production's own times are as stated", _keeps_productions_times),
    ),
    named="the alias is still answered",
    limit_seconds=40.0,
    after=(
        Probe("the alias is fresh again", _answers_fresh),
        Probe("what is kept is kept for us alone", _is_kept_for_us_alone),
        Probe("what is too long to be an answer is not kept", _keeps_what_is_of_a_size),
    ),
)

service_dies: Experiment[Cloud, Worker] = replace(
    service_fails,
    variant="service-dies",
    title="A dead service's last good answer is shown, with its age",
    fault="the service is killed (SIGKILL), and its connections are reset",
    inject=_dies,
    after=(),
)
