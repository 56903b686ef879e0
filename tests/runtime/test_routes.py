"""Requests through a real Envoy while routes change and instances end."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import httpx
import pytest

from prodsprints.runtime.errors import (
    InstanceConflictError,
    InstanceNotReadyError,
    InvalidRequestError,
    NotFoundError,
    StaleTokenError,
)
from prodsprints.runtime.values import Arm
from support_waiting import eventually

REQUESTS_PER_SECOND = 300
LONGEST_CONFIRMATION_SECONDS = 0.5  # usually 0.005; these tests share two cores with others


def test_no_request_fails_while_a_canary_takes_over_is_rolled_back_and_the_other_ends(shared_node: Any) -> None:
    node, environment = shared_node, "t.load.production"
    for arm in ("load1", "load2"):
        node.run(arm, environment=environment)
    address = node.route(environment, load1=100)

    async def story() -> tuple[list[int], dict[str, int], list[float]]:
        load = asyncio.create_task(_load(address, stop))
        confirmed = []
        for weight in (1, 5, 25, 100, 0):
            await asyncio.sleep(0.4)
            arms = [Arm("load1", "load1", 100 - weight), Arm("load2", "load2", weight)]
            change = await asyncio.to_thread(node.client.put_route, environment, arms, 1)
            confirmed.append(change.confirmed_seconds)
        await asyncio.to_thread(node.client.put_route, environment, [Arm("load1", "load1", 100)], 1)
        await asyncio.to_thread(node.client.delete_instance, "load2", 1)
        await asyncio.sleep(0.3)
        stop.set()
        return (*await load, confirmed)

    stop = asyncio.Event()
    statuses, releases, confirmed = asyncio.run(story())
    assert len(statuses) > 400
    assert set(statuses) == {200}
    assert releases["load2"] > 50
    assert max(confirmed) < LONGEST_CONFIRMATION_SECONDS


def test_environments_that_are_routed_for_the_first_time_at_once_do_not_get_in_each_others_way(node: Any) -> None:
    names = [f"crowd{number}" for number in range(8)]
    for name in names:
        node.run(name, environment=f"t.{name}.production")
    with ThreadPoolExecutor(len(names)) as pool:
        changes = [pool.submit(node.route, f"t.{name}.production", **{name: 100}) for name in names]
        addresses = [change.result() for change in changes]
    answers = [httpx.get(address).headers["x-prodsprints-release"] for address in addresses]
    assert answers == names


def test_after_a_confirmed_route_change_only_the_named_arm_answers(shared_node: Any) -> None:
    node, environment = shared_node, "t.switch.production"
    for arm in ("old", "new"):
        node.run(arm, environment=environment)
    address = node.route(environment, old=100)
    with httpx.Client() as client:
        for turn in range(20):
            arm = ("new", "old")[turn % 2]
            node.route(environment, **{arm: 100})
            # Envoy shows a version before its worker thread has it: half a millisecond, so the first may be late.
            client.get(address)
            answers = {client.get(address).headers["x-prodsprints-release"] for _ in range(5)}
            assert answers == {arm}


def test_a_slow_request_under_way_is_answered_before_its_instance_ends(shared_node: Any) -> None:
    node, environment = shared_node, "t.slow.production"
    for arm in ("slow1", "slow2"):
        node.run(arm, environment=environment)
    address = node.route(environment, slow1=100)
    with ThreadPoolExecutor() as pool:
        request = pool.submit(httpx.get, f"{address}/slow=1.5", timeout=10)
        eventually(lambda: node.client.counters(environment).arms["slow1"].active)
        node.route(environment, slow2=100)
        ended = node.client.delete_instance("slow1", 1)
        assert request.result().headers["x-prodsprints-release"] == "slow1"
    assert ended.state == "stopped"


def test_a_rollback_does_not_wait_for_an_instance_that_is_draining(shared_node: Any) -> None:
    node, environment = shared_node, "t.busy.production"
    for arm in ("busy1", "busy2", "busy3"):
        node.run(arm, environment=environment)
    address = node.route(environment, busy1=100)
    with ThreadPoolExecutor() as pool:
        request = pool.submit(httpx.get, f"{address}/slow=2", timeout=10)
        eventually(lambda: node.client.counters(environment).arms["busy1"].active)
        node.route(environment, busy2=100)
        ending = pool.submit(node.client.delete_instance, "busy1", 1)
        eventually(lambda: node.client.instance("busy1").state == "stopping")
        began = time.monotonic()
        node.route(environment, busy3=100)
        assert time.monotonic() - began < LONGEST_CONFIRMATION_SECONDS
        assert not request.done()
        assert (request.result().status_code, ending.result().state) == (200, "stopped")


def test_each_kind_of_error_counts_once_for_the_arm_that_made_it(shared_node: Any) -> None:
    node, environment = shared_node, "t.errors.production"
    node.run("erring", environment=environment)
    address = node.route(environment, erring=100)
    assert httpx.get(address).status_code == 200
    assert httpx.get(f"{address}/error").status_code == 500
    assert httpx.get(f"{address}/close").status_code == 503
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{address}/broken")
    eventually(lambda: node.client.counters(environment).arms["erring"].requests == 4)
    found = node.client.counters(environment).arms["erring"]
    assert (found.requests, found.errors, found.active) == (4, 3, 0)
    assert eventually(lambda: node.client.counters(environment).arms["erring"].p99_ms is not None)


def test_a_client_cannot_claim_a_release(shared_node: Any) -> None:
    node, environment = shared_node, "t.header.production"
    node.run("honest", environment=environment)
    address = node.route(environment, honest=100)
    answer = httpx.get(address, headers={"x-prodsprints-release": "forged"})
    assert answer.headers.get_list("x-prodsprints-release") == ["honest"]


def test_an_application_neither_sees_nor_sets_the_dashboards_cookies(shared_node: Any) -> None:
    node, environment = shared_node, "t.cookies.production"
    node.run("curious", environment=environment)
    address = node.route(environment, curious=100)
    answer = httpx.get(f"{address}/cookies", headers={"cookie": "a=1; prodsprints_session=secret; b=2"})
    assert "secret" not in answer.text
    assert "a=1" in answer.text
    assert "b=2" in answer.text
    assert answer.headers.get_list("set-cookie") == ["cart=3"]
    alone = httpx.get(f"{address}/cookies", headers={"cookie": "prodsprints_session=secret"})
    assert alone.text == ""


def test_a_stale_token_changes_nothing(shared_node: Any) -> None:
    node, environment = shared_node, "t.fence.production"
    node.client.put_instance("fenced", node.spec("fenced", environment=environment), 7)
    node.healthy("fenced")
    with pytest.raises(StaleTokenError, match="already acted with 7"):
        node.client.put_route(environment, [Arm("fenced", "fenced", 100)], 6)
    with pytest.raises(StaleTokenError):
        node.client.delete_instance("fenced", 6)
    with pytest.raises(StaleTokenError):
        node.client.put_instance("fenced", node.spec("fenced", environment=environment), 6)
    assert node.client.instance("fenced").state == "healthy"
    node.client.put_route(environment, [Arm("fenced", "fenced", 100)], 8)


def test_weights_that_do_not_sum_to_100_are_refused(shared_node: Any) -> None:
    with pytest.raises(InvalidRequestError, match="sum to 90, not to 100"):
        shared_node.client.put_route("t.sum.production", [Arm("a", "a", 60), Arm("b", "b", 30)], 1)


def test_an_instance_that_gets_requests_is_not_ended(shared_node: Any) -> None:
    node, environment = shared_node, "t.keep.production"
    node.run("kept", environment=environment)
    node.route(environment, kept=100)
    with pytest.raises(InstanceConflictError, match="still gets requests"):
        node.client.delete_instance("kept", 1)
    node.client.delete_route(environment, 1)
    with pytest.raises(NotFoundError):
        node.client.route(environment)
    node.client.delete_instance("kept", 1)
    with pytest.raises(InstanceNotReadyError):
        node.route(environment, kept=100)


def test_an_environment_keeps_its_port_when_its_route_comes_back(shared_node: Any) -> None:
    node, environment = shared_node, "t.port.production"
    node.run("returning", environment=environment)
    address = node.route(environment, returning=100)
    node.client.delete_route(environment, 1)
    assert node.route(environment, returning=100) == address
    assert httpx.get(address).status_code == 200


async def _load(address: str, stop: asyncio.Event) -> tuple[list[int], dict[str, int]]:
    """Steady requests on kept and on fresh connections; their statuses, and how many each release answered."""
    statuses: list[int] = []
    releases: dict[str, int] = {}

    async def one(session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(address, timeout=aiohttp.ClientTimeout(total=10)) as answer:
                await answer.read()
                statuses.append(answer.status)
                release = answer.headers.get("x-prodsprints-release", "")
                releases[release] = releases.get(release, 0) + 1
        except (aiohttp.ClientError, TimeoutError):
            statuses.append(0)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=20)) as session:
        running: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not stop.is_set():
            if len(running) < 200:
                task = asyncio.create_task(one(session))
                running.add(task)
                task.add_done_callback(running.discard)
            due += 1 / REQUESTS_PER_SECOND
            await asyncio.sleep(max(0, due - time.monotonic()))
        await asyncio.gather(*running)
    return statuses, releases
