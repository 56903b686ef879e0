"""Before anything is built, the worker's credentials are asked whose they are; the drilled control is what asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from prodsprints.controls.dns import names
from prodsprints.controls.dns.resolver import Answer, Resolver
from prodsprints.controls.providers import peers
from prodsprints.controls.providers.errors import ProviderUnavailableError, UnknownPlaceError
from prodsprints.controls.providers.fleet import Fleet
from prodsprints.controls.providers.guards import Guards
from prodsprints.controls.providers.peers import ACCOUNT, ALIAS, REGION, Cloud
from prodsprints.drills.stage import Arm, Stage
from prodsprints.kernel.settings import Settings
from prodsprints.release import prepare, workflow
from prodsprints.release.config.schema import Aws
from prodsprints.release.gates import account as gate
from prodsprints.release.gates.result import GateResult
from prodsprints.release.run import Run
from prodsprints.store.database import Database

Check = Callable[..., GateResult]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """AWS's API by moto behind the fault origin, and credentials of its account 123456789012 in our environment."""
    stage = Stage(
        directory=tmp_path_factory.mktemp("cloud"),
        settings=Settings.from_environment({}),
        admin=None,
        arm=Arm.TREATMENT,
        config={},
        limit_seconds=200,
        emit=lambda _: None,
    )
    with stage.open(), peers.cloud(stage) as started:
        yield started


@pytest.fixture
def check(cloud: Cloud, tmp_path: Path) -> Check:
    """Passes the gate to a release that states `account`."""

    def run(account: str = ACCOUNT) -> GateResult:
        stated = Aws(account=account, region=REGION, endpoint=cloud.origin.url)
        return gate.check(stated, home=tmp_path, guards=Guards(), degraded=lambda *_: None, learn=lambda *_: None)

    return run


def test_the_right_account_passes_with_its_alias_and_who_we_are(check: Check) -> None:
    result = check()
    assert result.passed
    assert ACCOUNT in result.summary and ALIAS in result.summary and "arn:aws:" in result.summary


def test_the_wrong_account_is_refused_with_both_numbers(check: Check) -> None:
    result = check("999999999999")
    assert not result.passed
    assert ACCOUNT in result.summary and "999999999999" in result.summary
    assert "AWS_PROFILE" in result.next_step


def test_a_throttled_release_asks_again_and_waits_for_as_long_as_it_is_asked_to(check: Check, cloud: Cloud) -> None:
    with cloud.origin.answering(status=429, share=0.5, retry_after_seconds=1, ttl_seconds=60):
        assert check().passed
    first, second = cloud.origin.counts()["times"][-4:-2]
    assert second - first >= 1.0


def test_the_calls_of_a_release_draw_on_the_buckets_of_the_whole_fleet(
    cloud: Cloud, tmp_path: Path, database: Database
) -> None:
    fleet = Fleet(database.address)
    stated = Aws(account=ACCOUNT, region=REGION, endpoint=cloud.origin.url)
    try:
        guards = Guards(fleet)
        assert gate.check(stated, home=tmp_path, guards=guards, degraded=lambda *_: None, learn=lambda *_: None).passed
    finally:
        fleet.close()
    with database.dispatch() as connection:
        rows = connection.execute(
            "select scope, burst - tokens as spent from fleet_buckets where scope like %s order by scope",
            [f"aws-%/{ACCOUNT} {REGION}%"],
        ).fetchall()
    assert [row["scope"].partition("/")[0] for row in rows] == ["aws-iam", "aws-sts"]
    assert rows[1]["spent"] >= 1


def test_who_we_are_is_never_taken_from_memory(check: Check, cloud: Cloud) -> None:
    assert check().passed
    with cloud.origin.answering(status=503, ttl_seconds=60), pytest.raises(ProviderUnavailableError):
        check()


def test_the_alias_is_taken_from_memory_and_marked(check: Check, cloud: Cloud) -> None:
    assert check().passed
    with cloud.origin.answering(status=503, share=0.5, ttl_seconds=60):
        with pytest.raises(ProviderUnavailableError):
            check()  # of every two requests the first fails: from here on, that is the second of each release
        result = check()
    assert result.passed
    assert f"{ALIAS} (as of " in result.summary


def test_an_account_whose_alias_nobody_may_read_passes_by_its_number(tmp_path: Path, cloud: Cloud) -> None:
    denied = "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    stated = Aws(account=ACCOUNT, region=REGION, endpoint=cloud.origin.url)
    with cloud.origin.answering(status=403, share=0.5, body=denied, ttl_seconds=60):
        httpx.post(cloud.origin.url)
        result = gate.check(stated, home=tmp_path, guards=Guards(), degraded=lambda *_: None, learn=lambda *_: None)
    assert result.passed
    assert "alias is not known" in result.summary


def test_credentials_go_to_no_address_that_a_commit_makes_up(tmp_path: Path) -> None:
    stated = Aws(account=ACCOUNT, region=REGION, endpoint="https://attacker.test")
    with pytest.raises(UnknownPlaceError):
        gate.check(stated, home=tmp_path, guards=Guards(), degraded=lambda *_: None, learn=lambda *_: None)


def test_a_release_resolves_names_by_the_resolver_that_is_drilled(
    monkeypatch: pytest.MonkeyPatch, cloud: Cloud, tmp_path: Path
) -> None:
    """`localhost` as an endpoint is a name: it goes through the process's own resolver, and nothing else."""
    asked = []
    ours = names.of_this_process()
    resolve = type(ours).resolve

    def seen(self: Resolver, name: str, **more: float) -> Answer:
        asked.append((self is ours, name))
        return resolve(self, name, **more)

    monkeypatch.setattr(Resolver, "resolve", seen)
    stated = Aws(account=ACCOUNT, region=REGION, endpoint=cloud.origin.url.replace("127.0.0.1", "localhost"))
    assert gate.check(stated, home=tmp_path, guards=Guards(), degraded=lambda *_: None, learn=lambda *_: None).passed
    assert set(asked) == {(True, "localhost")}


def test_the_account_is_checked_right_after_the_audit_and_before_anything_is_built() -> None:
    names = sorted(workflow._POSITIONS, key=workflow._POSITIONS.__getitem__)
    assert names[:4] == ["source", "audit", "account", "register"]


def test_a_release_without_a_provider_asks_nobody_and_says_so(release: Callable[[str], Run], cloud: Cloud) -> None:
    before = cloud.origin.counts()["requests"]
    outcome = release("version: 1\n").step(2, "account", prepare.account)
    assert (outcome.status, cloud.origin.counts()["requests"]) == ("skipped", before)
    assert "names no provider account" in outcome.summary


def test_a_release_to_the_wrong_account_is_refused_in_its_record(release: Callable[[str], Run], cloud: Cloud) -> None:
    aws = f"{{account: '999999999999', region: {REGION}, endpoint: '{cloud.origin.url}'}}"
    outcome = release(f"version: 1\nproviders:\n  aws: {aws}\n").step(2, "account", prepare.account)
    assert outcome.status == "refused"
    assert ACCOUNT in outcome.summary and "999999999999" in outcome.summary
    assert "AWS_PROFILE" in outcome.detail["next_step"]
