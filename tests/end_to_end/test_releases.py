"""What a user sees of releases that go well, that must not, and of going back; nothing released is ever harmed."""

from __future__ import annotations

import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest

from prodsprints.release import records, requests
from prodsprints.release.errors import NothingToRollBackError
from prodsprints.release.records import Release
from prodsprints.runtime.errors import StaleTokenError
from prodsprints.runtime.values import Arm
from support_git import Origin
from support_platform import MakeRepository, Platform
from support_waiting import eventually

APP = """
import http.server, os, socketserver, sys
VERSION, SHARE = "{version}", {share}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    count = 0
    def do_GET(self):
        Handler.count += 1
        bad = self.path != "/healthz" and SHARE and Handler.count % round(1 / SHARE) == 0
        body = VERSION.encode()
        self.send_response(500 if bad else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
CONFIG = "version: 1\nhealth: /healthz\nrollout: {step_seconds: 2, delta: 5%, timeout: 20s, steps: [25, 100]}\n"


def app(version: str, *, share: float = 0, **more: str) -> Mapping[str, str]:
    """A small service that answers with its version, and with a 500 on `share` of the requests."""
    files = {"Procfile": "web: python main.py\n", "requirements.txt": "", "prodsprints.yaml": CONFIG}
    return {**files, "main.py": APP.format(version=version, share=share), **more}


def answer(platform: Platform, project: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{platform.environment(project).port}/", timeout=5) as response:
        return response.read().decode()


def test_a_second_release_passes_its_canary_and_a_rollback_brings_the_first_one_back(
    platform: Platform, repository: MakeRepository, project: str
) -> None:
    top = repository("v1", app("one"))
    assert platform.release(top, project=project).status == "released"
    with pytest.raises(NothingToRollBackError):
        requests.request_rollback(platform.db, actor="test", environment=platform.environment(project), id=uuid.uuid4())
    repository("v2", app("two"))
    with platform.traffic(project, rate=100) as stop:
        second = platform.release(top, project=project)
        assert second.status == "released", platform.log(second)
        assert second.figures["decision"] == "keep"
        assert answer(platform, project) == "two"
        environment = platform.environment(project)
        back = requests.request_rollback(platform.db, actor="test", environment=environment, id=uuid.uuid4())
        assert platform.ended(back).status == "released", platform.log(back)
        assert answer(platform, project) == "one"
        assert stop()["failed_requests"] == 0


def test_a_version_that_errs_is_rejected_with_figures_and_the_old_one_serves(
    platform: Platform, repository: MakeRepository, project: str
) -> None:
    top = repository("v1", app("one"))
    platform.release(top, project=project)
    repository("v2", app("two", share=0.2))
    with platform.traffic(project, rate=100, canary="v2") as stop:
        second = platform.release(top, project=project)
        counts = stop()
    assert second.status == "rolled_back", platform.log(second)
    assert second.figures["rollback_seconds"] < 1
    assert "v2 erred on" in second.reason
    assert answer(platform, project) == "one"
    assert counts["failed_requests"] == 0
    assert counts["canary_errors"] > 0


def test_without_traffic_there_is_no_verdict_and_no_verdict_never_passes(
    platform: Platform, repository: MakeRepository, project: str
) -> None:
    top = repository("v1", app("one"))
    platform.release(top, project=project)
    repository("v2", app("two", **{"prodsprints.yaml": CONFIG.replace("20s", "4s")}))
    second = platform.release(top, project=project)
    assert second.status == "rolled_back"
    assert "--strategy direct" in second.reason
    assert answer(platform, project) == "one"


@pytest.mark.parametrize(
    ("files", "status", "step", "says"),
    [
        ({"main.py": "raise SystemExit(3)"}, "failed", "rollout", "3"),
        ({"main.py": "import time; time.sleep(600)"}, "failed", "rollout", "health"),
        (
            {"main.py": APP.format(version="x", share=0).replace('int(os.environ["PORT"])', "39127")},
            "failed",
            "rollout",
            "39127",
        ),
        ({"tests.py": "raise AssertionError('no')", "test": "[python, tests.py]"}, "refused", "tests", "tests"),
        ({"package.json": "{}", "Procfile": "", "main.py": "", "requirements.txt": ""}, "refused", "audit", ""),
        ({"key.pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"}, "refused", "secrets", ""),
        ({"requirements.txt": "./nowhere\n"}, "failed", "image", "nowhere"),
    ],
    ids=["exits at once", "never healthy", "another port", "failing tests", "no web", "a key", "no package"],
)
def test_a_bad_version_ends_with_its_reason_and_the_old_one_serves_on(
    platform: Platform,
    repository: MakeRepository,
    project: str,
    files: dict[str, str],
    status: str,
    step: str,
    says: str,
) -> None:
    top = repository("v1", app("one"))
    assert platform.release(top, project=project).status == "released"
    test = files.pop("test", "[]")
    config = CONFIG + f"test: {test}\n"
    bad = dict(app("two", **files)) | {"prodsprints.yaml": config}
    repository("v2", bad)
    second = platform.release(top, project=project)
    assert second.status == status, platform.log(second)
    failed = platform.steps(second)[step]
    assert failed.status in {"failed", "refused"}
    assert says in failed.summary + str(failed.detail) + platform.log(second)
    assert failed.detail.get("next_step")
    assert "Traceback (most recent call last)" not in second.reason
    assert answer(platform, project) == "one"


def test_an_aborted_canary_gives_its_traffic_back(platform: Platform, repository: MakeRepository, project: str) -> None:
    top = repository("v1", app("one"))
    platform.release(top, project=project)
    repository("v2", app("two"))
    second = platform.request(top, project=project)
    eventually(lambda: "gets 25 %" in platform.log(second))
    records.request_abort(platform.db, platform.tenant, second.id)
    assert platform.ended(second).status == "aborted"
    assert answer(platform, project) == "one"


def test_an_abort_ends_tests_that_hang(platform: Platform, repository: MakeRepository, project: str) -> None:
    config = CONFIG + "test: [python, -c, 'import time; time.sleep(600)']\n"
    release = platform.request(repository("v1", app("one", **{"prodsprints.yaml": config})), project=project)
    eventually(lambda: "tests" in platform.steps(release))
    records.request_abort(platform.db, platform.tenant, release.id)
    assert platform.ended(release, seconds=20).status == "aborted"


def test_a_canary_can_be_promoted_by_hand_and_the_record_says_so(
    platform: Platform, repository: MakeRepository, project: str
) -> None:
    top = repository("v1", app("one"))
    platform.release(top, project=project)
    repository("v2", app("two"))
    second = platform.request(top, project=project)
    eventually(lambda: "gets 25 %" in platform.log(second))
    records.request_promote(platform.db, platform.tenant, second.id)
    second = platform.ended(second)
    assert second.status == "released"
    assert second.figures["promoted"] is True
    assert answer(platform, project) == "two"


def test_releases_of_one_environment_queue_and_of_different_ones_run_side_by_side(
    platform: Platform, repository: MakeRepository, project: str
) -> None:
    top = repository(
        "v1", app("one", **{"prodsprints.yaml": CONFIG + "test: [python, -c, 'import time; time.sleep(3)']\n"})
    )
    first, second = platform.request(top, project=project), platform.request(top, project=project, strategy="direct")
    elsewhere = platform.request(top, project=f"{project}-b")
    ended = [platform.ended(release) for release in (first, second, elsewhere)]
    assert [release.status for release in ended] == ["released"] * 3, [release.reason for release in ended]
    one, two, other = ended
    assert overlap(one, other), "different environments waited for each other"
    assert not overlap(one, two), "one environment's releases ran at once"


def test_a_lost_node_agent_is_waited_for_and_the_canary_goes_on(
    platform: Platform, repository: MakeRepository, project: str
) -> None:
    top = repository("v1", app("one"))
    platform.release(top, project=project)
    repository("v2", app("two"))
    with platform.traffic(project, rate=100) as stop:
        second = platform.request(top, project=project)
        eventually(lambda: "gets 25 %" in platform.log(second))
        platform.agent.kill()
        platform.agent.wait()
        platform.start_agent()
        assert platform.ended(second).status == "released", platform.log(second)
        assert stop()["failed_requests"] == 0


def test_a_stale_worker_cannot_move_traffic(platform: Platform, repository: MakeRepository, project: str) -> None:
    top = repository("v1", app("one"))
    first, second = (platform.release(top, project=project, strategy="direct") for _ in range(2))
    key = platform.environment(project).key
    assert first.fencing_token is not None
    with pytest.raises(StaleTokenError):
        platform.node.put_route(key, [Arm(second.id.hex, "v1", 100)], first.fencing_token)


def test_a_lock_taken_away_by_force_ends_its_release_as_aborted_and_the_old_version_serves(
    platform: Platform, repository: MakeRepository, project: str
) -> None:
    top = repository("v1", app("one"))
    platform.release(top, project=project)
    repository("v2", app("two"))
    second = platform.request(top, project=project)
    eventually(lambda: "gets 25 %" in platform.log(second))
    assert requests.unlock(platform.db, platform.environment(project), force=True)
    platform.start_worker()  # in the place of the one that ends itself
    assert platform.ended(second).status == "aborted", platform.log(second)
    assert answer(platform, project) == "one"


def overlap(one: Release, other: Release) -> bool:
    assert one.started_at and one.finished_at and other.started_at and other.finished_at
    return one.started_at < other.finished_at and other.started_at < one.finished_at


def test_a_tag_is_released_from_the_mirror_after_the_host_died(
    platform: Platform, project: str, tmp_path: Path
) -> None:
    origin = Origin(tmp_path / "host")
    for version in ("v1", "v2"):
        origin.commit({name: content.encode() for name, content in app(version).items()})
        origin.tag(version)
    with origin.serving() as address:
        origin.name_in(platform.settings.home)
        first = platform.release(address, project=project, ref="v1")
        assert first.status == "released", platform.log(first)
        assert (first.commit, first.label) == (origin.git("rev-parse", "v1"), "v1")
        assert platform.steps(first)["source"].detail["from_mirror"] is False
    second = platform.release(address, project=project, ref="v2", strategy="direct")
    assert second.status == "released", platform.log(second)
    assert second.commit == origin.git("rev-parse", "v2")
    assert answer(platform, project) == "v2"
    source = platform.steps(second)["source"]
    assert "from the mirror as of" in source.summary and "the host does not answer" in source.summary
    [degraded] = source.detail["degradations"]
    assert degraded["integration"] == "git-host" and degraded["mirror_age_seconds"] > 0
    assert "Without the Git host: v2 is" in platform.page(f"/releases/{second.id}")
    moving = platform.release(address, project=project, ref="main")
    assert moving.status == "refused", platform.log(moving)
    assert "may have moved" in moving.reason
    assert answer(platform, project) == "v2"
