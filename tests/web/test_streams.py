from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from prodsprints.kernel.settings import Settings
from web.support_workshop import Day, Workshop

Event = tuple[str, str, dict[str, object]]


def read(client: httpx.Client, path: str, *, most: int = 1000, **headers: str) -> list[Event]:
    """The stream's events as (name, id, data), up to `most` or its end."""
    events: list[Event] = []
    with client.stream("GET", path, headers=headers, timeout=20) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        for line in response.iter_lines():
            field, _, value = line.partition(": ")
            event[field] = value
            if line:
                continue
            if "data" in event:
                events.append((event["event"], event.get("id", ""), json.loads(event["data"])))
                if len(events) == most:
                    break
            event = {}
    return events


def test_the_log_of_an_ended_release_is_streamed_whole_and_then_ends(client: httpx.Client, day: Day) -> None:
    *lines, end = read(client, f"/v1/releases/{day.rejected.id}/events")
    assert [int(id) for _, id, _ in lines] == list(range(1, len(lines) + 1))
    assert {name for name, _, _ in lines} == {"log"}
    assert end == ("end", "", {"status": "rolled_back"})


@pytest.mark.parametrize("cut", [1, 5, 17])
def test_a_reader_that_was_cut_off_goes_on_where_it_was(client: httpx.Client, day: Day, cut: int) -> None:
    path = f"/v1/releases/{day.rejected.id}/events"
    whole = read(client, path)
    first = read(client, path, most=cut)
    by_header = read(client, path, **{"Last-Event-ID": first[-1][1]})
    by_query = read(client, f"{path}?after={first[-1][1]}")
    assert first + by_header == first + by_query == whole


def test_lines_written_while_somebody_reads_arrive_and_the_end_follows_the_last_of_them(
    client: httpx.Client, workshop: Workshop
) -> None:
    release = workshop.release(workshop.environment())
    workshop.begin(release)
    workshop.say(release, ("audit", "line", "first"))

    def write() -> None:
        workshop.say(release, ("audit", "line", "second"))
        workshop.say(release, ("audit", "line", "last"))
        workshop.finish(release, "released", "Kept.")

    writer = threading.Timer(0.5, write)
    writer.start()
    events = read(client, f"/v1/releases/{release.id}/events")
    writer.join()
    assert [data.get("message") for _, _, data in events] == ["first", "second", "last", None]
    assert events[-1][0] == "end"


def test_the_log_can_be_read_as_a_plain_list(client: httpx.Client, day: Day) -> None:
    path = f"/v1/releases/{day.rejected.id}/events?follow=false"
    lines = client.get(path).json()["items"]
    assert lines[0]["seq"] == 1
    assert client.get(f"{path}&after={lines[2]['seq']}").json()["items"] == lines[3:]


class _Agent(BaseHTTPRequestHandler):
    """A double of the node agent: one environment, whose version `v2` has written a few lines."""

    text = b"GET /cart 200\nGET /pay 200\n"
    instance = "aaaa"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith("/routes/"):
            arms = [{"instance": self.instance, "label": "v2", "weight": 100}]
            self._answer({"environment": "e", "port": 20001, "arms": arms, "problem": None})
            return
        offset = int(parse_qs(parts.query)["offset"][0])
        begin = max(0, len(self.text) + offset) if offset < 0 else offset
        text = self.text[begin:].decode()
        self._answer({"offset": begin, "next": len(self.text), "text": text, "dropped_lines": 0})

    def _answer(self, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def agent(settings: Settings) -> Iterator[type[_Agent]]:
    socket = Path(settings.node_socket)
    socket.parent.mkdir(parents=True, exist_ok=True)
    socket.unlink(missing_ok=True)
    handler = type("Agent", (_Agent,), {})
    server = ThreadingUnixStreamServer(str(socket), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield handler
    server.shutdown()
    server.server_close()
    socket.unlink(missing_ok=True)


def test_the_output_is_read_piece_by_piece_and_of_a_new_version_from_its_start(
    client: httpx.Client, day: Day, agent: type[_Agent]
) -> None:
    path = f"/v1/environments/{day.environment.id}/log"
    part = client.get(path).json()
    assert (part["label"], part["text"]) == ("v2", "GET /cart 200\nGET /pay 200\n")
    assert client.get(path, params={"after": -13}).json()["text"] == "GET /pay 200\n"
    assert client.get(path, params={"after": part["next"]}).json()["text"] == ""
    agent.instance, agent.text = "bbbb", b"started\n"
    assert client.get(path, params={"after": part["next"]}).json()["text"] == "started\n"


def test_the_output_is_followed_from_where_the_reader_was(client: httpx.Client, day: Day, agent: type[_Agent]) -> None:
    path = f"/v1/environments/{day.environment.id}/log/stream"
    [(name, id, data)] = read(client, path, most=1)
    assert (name, data["text"]) == ("log", "GET /cart 200\nGET /pay 200\n")
    agent.text += b"GET /pay 500\n"
    [(_, _, more)] = read(client, path, most=1, **{"Last-Event-ID": id})
    assert more["text"] == "GET /pay 500\n"
