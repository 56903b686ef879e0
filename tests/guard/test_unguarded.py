"""The rule that no call goes out unguarded: each kind is found, however it is imported; what is allowed is there."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "unguarded.py"


@pytest.fixture(scope="module")
def rule() -> ModuleType:
    spec = importlib.util.spec_from_file_location("unguarded", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["unguarded"] = module  # where its dataclasses look for their module
    spec.loader.exec_module(module)
    return module


def calls(rule: ModuleType, text: str) -> set[str]:
    rules = rule.Rules.read()
    found = {one.call for one in rule.ways_out(text, "prodsprints.planted", rules)}
    assert not found or rules.hint.search(text), "a file with a way out would not be looked at"
    return found


PLANTED = {
    "import httpx\nhttpx.get('https://a')": "httpx.get",
    "import httpx as h\nh.Client()": "httpx.Client",
    "from httpx import AsyncClient as C\nasync def f():\n    async with C() as c: ...": "httpx.AsyncClient",
    "import httpx\nask = httpx.post\nask('https://a')": "httpx.post",
    "import httpx\nclient = httpx\nclient.get('https://a')": "httpx.get",
    "import httpx\nfrom typing import Any\nclient: Any = httpx\nclient.get('https://a')": "httpx.get",
    "import httpx\nif (h := httpx): h.get('https://a')": "httpx.get",
    "import httpx\ndef f(ask=httpx.get): ask('https://a')": "httpx.get",
    "import httpx, functools\nask = functools.partial(httpx.get, 'https://a')": "httpx.get",
    "import subprocess\nsubprocess.run('curl https://a', shell=True)": "curl",
    "import httpx\ngetattr(httpx, 'get')('https://a')": "httpx.get",
    "import httpx\nclass T(httpx.HTTPTransport): ...": "httpx.HTTPTransport",
    "import httpx\nhttpx.Client(transport=httpx.HTTPTransport())": "httpx.HTTPTransport",
    "def f():\n    import requests\n    requests.get('https://a')": "requests",
    "from requests import Session as S": "requests",
    "import importlib\nimportlib.import_module('requests')": "requests",
    "from importlib import import_module as load\nload('smtplib')": "smtplib",
    "__import__('urllib3')": "urllib3",
    "import urllib.request\nurllib.request.urlopen('https://a')": "urllib.request.urlopen",
    "from urllib import request as r\nr.urlopen('https://a')": "urllib.request.urlopen",
    "from urllib.request import urlretrieve": "",
    "from urllib.request import urlretrieve as u\nu('https://a')": "urllib.request.urlretrieve",
    "from urllib.request import *": "urllib.request.*",
    "from http.client import HTTPSConnection": "http.client",
    "from http import client": "http.client",
    "import smtplib as s\ns.SMTP('mail')": "smtplib",
    "from smtplib import SMTP_SSL": "smtplib",
    "import aiosmtplib": "aiosmtplib",
    "import aiohttp\naiohttp.ClientSession()": "aiohttp.ClientSession",
    "from aiohttp import ClientSession as CS\nCS()": "aiohttp.ClientSession",
    "import socket\nsocket.create_connection(('a', 1))": "socket.create_connection",
    "from socket import create_connection as c\nc(('a', 1))": "socket.create_connection",
    "import socket\ns = socket.socket()\ns.connect(('a', 1))": ".connect()",
    "import socket as k\nk.socket().sendto(b'', ('a', 1))": ".sendto()",
    "import asyncio\nasync def f(): await asyncio.open_connection('a', 1)": "asyncio.open_connection",
    "from asyncio import open_connection as o\nasync def f(): await o('a', 1)": "asyncio.open_connection",
    "async def f(loop): await loop.create_connection(object, 'a', 1)": ".create_connection()",
    "from botocore.session import Session\nSession().create_client('s3')": ".create_client()",
    "import boto3\nboto3.client('s3')": "boto3",
    "from boto3 import resource": "boto3",
    "import apprise": "apprise",
    "from apprise import Apprise as A": "apprise",
    "import dns.query\ndns.query.udp(1, 'a')": "dns.query.udp",
    "from dns.resolver import resolve as r\nr('a')": "dns.resolver.resolve",
    "import redis": "redis",
    "import grpc": "grpc",
    "from slack_sdk import WebClient": "slack_sdk",
    "import subprocess\nsubprocess.run(['git', 'push', 'origin'])": "git push",
    "def f(run): run('git', 'fetch')": "git fetch",
    "import os\nos.system('git clone https://a')": "git clone",
    "import subprocess\nGIT = ['git', '-c', 'a=b']\nsubprocess.run([*GIT, 'ls-remote'])": "git ls-remote",
    "import sys\nX = (sys.executable, '-m', 'pip', 'install')": "pip install",
    "import subprocess\nsubprocess.run(['curl', 'https://a'])": "curl",
    "import subprocess as sp\nsp.Popen(('ssh', 'host'))": "ssh",
}


@pytest.mark.parametrize(("text", "call"), PLANTED.items(), ids=[text.replace("\n", "; ") for text in PLANTED])
def test_a_way_out_is_found_however_it_is_written(rule: ModuleType, text: str, call: str) -> None:
    assert (call in calls(rule, text)) if call else not calls(rule, text)


@pytest.mark.parametrize(
    "text",
    [
        "from __future__ import annotations\nimport httpx\ndef f(c: httpx.Client) -> httpx.Response: ...",
        "from __future__ import annotations\nimport httpx\nclass A:\n    c: httpx.Client",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import requests",
        "import httpx\nhttpx.codes.OK, httpx.TransportError",
        "import socket\nsocket.gethostname()",
        "import subprocess\nsubprocess.run(['git', 'rev-parse', 'HEAD'])",
        "def install(): return 'install'",
        "import psycopg\npsycopg.connect('')",
        "from prodsprints.guard.transports.httpx import GuardedTransport as G\nimport httpx\n"
        "httpx.Client(transport=G(g))",
        "from prodsprints.guard.transports import httpx as ours\nimport httpx\n"
        "httpx.AsyncClient(transport=ours.AsyncGuardedTransport(g, httpx.AsyncHTTPTransport()), timeout=5)",
        "from prodsprints.guard.transports.botocore import guarded\nc = guarded(session.create_client('s3'), guard)",
    ],
)
def test_what_does_not_go_out_or_is_guarded_is_left_alone(rule: ModuleType, text: str) -> None:
    assert not calls(rule, text)


def test_a_way_out_knows_its_place_and_line(rule: ModuleType) -> None:
    text = "import httpx\n\nclass A:\n    def f(self):\n        return httpx.get('https://a')\n"
    [found] = rule.ways_out(text, "prodsprints.planted", rule.Rules.read())
    assert (found.place, found.line, found.call) == ("prodsprints.planted:A.f", 5, "httpx.get")


def test_our_own_code_has_none_but_those_that_are_allowed() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def run_in(rule: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, allowed: str) -> int:
    (tmp_path / "src" / "prodsprints").mkdir(parents=True)
    (tmp_path / "src" / "prodsprints" / "planted.py").write_text(text)
    ways_out = SCRIPT.with_suffix(".toml").read_text().partition("[[allowed]]")[0]
    rules = tmp_path / "unguarded.toml"
    rules.write_text(f"allowed = []\n{ways_out}" if not allowed else f"{ways_out}\n{allowed}")
    monkeypatch.setattr(rule, "SOURCE", tmp_path / "src")
    monkeypatch.setattr(rule.Rules, "read", staticmethod(lambda path=rules, read=rule.Rules.read: read(path)))
    result: int = rule.main()
    return result


HERE = '[[allowed]]\nplace = "prodsprints.planted:f"\ncall = "httpx.get"\nwhy = "{}"\n'
ASKS = "import httpx\ndef f():\n    httpx.get('https://a')\n"


def test_it_fails_with_file_line_and_what_to_do(
    rule: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_in(rule, monkeypatch, tmp_path, ASKS, "") == 1
    said = capsys.readouterr().out
    assert "src/prodsprints/planted.py:3: httpx.get in prodsprints.planted:f goes out without a guard." in said
    assert "Send it through a guard" in said


def test_an_allowed_place_passes(rule: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run_in(rule, monkeypatch, tmp_path, ASKS, HERE.format("whoever calls it guards it")) == 0


def test_an_allowed_place_that_is_gone_fails(
    rule: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_in(rule, monkeypatch, tmp_path, "x = 1\n", HERE.format("whoever calls it guards it")) == 1
    assert "httpx.get in prodsprints.planted:f is allowed, and not there." in capsys.readouterr().out


def test_an_allowed_place_without_a_reason_fails(
    rule: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="has no reason"):
        run_in(rule, monkeypatch, tmp_path, ASKS, HERE.format("todo"))
