"""The drills of R008: a service fails or is gone, and what was known of it is still there, marked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx

from prodsprints.controls.integrations.last_good import aged
from prodsprints.controls.providers import account as accounts
from prodsprints.controls.providers import peers
from prodsprints.controls.providers.account import Account, Place
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
    with accounts.opened(place, home=home) as first, accounts.opened(place, home=home) as second:
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
        answered, words = account.identity().account == ACCOUNT, "It was answered."
    except ProdSprintsError as error:
        answered, words = False, f"{type(error).__name__}: {error.what} {error.why}".strip()
    stage.sample(answered, time.monotonic() - began, "GetCallerIdentity")
    return answered, words


def _answers_fresh(stage: Stage, _: Cloud, worker: Worker) -> Observation:
    answer, words = _alias(stage, worker.account)
    if answer is None:
        return broke(words)
    return (held if answer.value == ALIAS and not answer.stale else broke)(aged(answer))


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
    return (held if answer.value == ALIAS else broke)(aged(answer))


def _is_marked(stage: Stage, _: Cloud, worker: Worker) -> Observation:
    answer, words = _alias(stage, worker.account)
    if answer is None:
        return broke(words)
    marked = answer.stale and answer.age_seconds >= _OLD_SECONDS and "as of" in aged(answer)
    return (held if marked else broke)(f"{aged(answer)}: {answer.age_seconds:.1f} s old.")


def _survives_a_restart(stage: Stage, _: Cloud, worker: Worker) -> Observation:
    answer, words = _alias(stage, worker.restarted())
    if answer is None:
        return broke(words)
    return (held if answer.value == ALIAS and answer.stale else broke)(aged(answer))


def _critical_is_never_stale(stage: Stage, _: Cloud, worker: Worker) -> Observation:
    answered, words = _identity(stage, worker.account)
    return broke("Who we are was answered, although nobody could be asked.") if answered else held(words)


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
    ),
    named="the alias is still answered",
    after=(Probe("the alias is fresh again", _answers_fresh),),
)

service_dies: Experiment[Cloud, Worker] = replace(
    service_fails,
    variant="service-dies",
    title="A dead service's last good answer is shown, with its age",
    fault="the service is killed (SIGKILL), and its connections are reset",
    inject=_dies,
    after=(),
)
