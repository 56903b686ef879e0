"""What a deleted project's address does: silent once a worker has seen to it, and answering again when it is back."""

from __future__ import annotations

import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from prodsprints.bench.scratch import scratch
from prodsprints.controls.backups.soft_delete import SoftDelete
from prodsprints.release import records
from support_platform import Platform
from support_waiting import eventually

APP = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def platform() -> Iterator[Platform]:
    with scratch() as ground:
        made = Platform(ground)
        try:
            made.start_worker()
            yield made
        finally:
            made.end()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, content in (
        ("Procfile", "web: python main.py\n"), ("requirements.txt", ""), ("main.py", APP),
        ("prodsprints.yaml", "version: 1\nhealth: /\nrollout: {strategy: direct}\n"),
    ):  # fmt: skip
        (tmp_path / name).write_text(content)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "v1"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
            return bool(response.read() == b"hello")
    except (urllib.error.URLError, ConnectionError):
        return False


def test_a_deleted_projects_address_falls_silent_and_answers_again_on_the_same_port(
    platform: Platform, repository: Path
) -> None:
    control = SoftDelete(platform.db)

    def withdrawn() -> bool:
        return control.deleted(platform.tenant)[0].withdrawn

    assert platform.release(repository, project="shop").status == "released"
    port = platform.environment("shop").port
    assert port is not None
    assert answers(port)

    # without a worker nobody takes it out of service; whichever comes next does
    [worker] = platform.workers
    worker.kill()
    worker.wait()
    platform.workers.remove(worker)
    assert not control.delete(platform.tenant, "shop", actor="ada").withdrawn
    assert answers(port)
    platform.start_worker()
    eventually(withdrawn, seconds=30)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    assert platform.node.health().instances == 0

    [restoring] = control.undelete(platform.tenant, "shop", actor="ada")
    queued = records.get(platform.db, platform.tenant, restoring)
    assert queued is not None
    back = platform.ended(queued)
    assert back.status == "released", platform.log(back)
    assert "Nothing serves here now" in back.reason
    assert platform.environment("shop").port == port
    assert answers(port)

    # somebody takes the port meanwhile: the project is back nevertheless, and says why it does not serve
    control.delete(platform.tenant, "shop", actor="ada")
    eventually(withdrawn, seconds=30)
    with socket.create_server(("127.0.0.1", port)):
        [restoring] = control.undelete(platform.tenant, "shop", actor="ada")
        queued = records.get(platform.db, platform.tenant, restoring)
        assert queued is not None
        failed = platform.ended(queued)
    assert failed.status == "failed"
    assert f"port {port} is taken" in platform.log(failed)
    assert platform.environment("shop").withdrawn
    assert platform.release(repository, project="shop").status == "released"
    assert answers(port)
