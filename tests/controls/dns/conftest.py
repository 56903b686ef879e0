"""A real DNS server in a thread, which does what a test tells it to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from prodsprints.controls.dns.servers import Server


@dataclass
class Talk:
    """The server's zone as text lines, and how it behaves; `asked` are the questions so far."""

    server: Server
    records: list[str] = field(default_factory=list)
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    silent: bool = False
    before: Callable[[bytes], list[bytes]] = lambda _: []
    asked: list[str] = field(default_factory=list)

    def answers(self, wire: bytes) -> list[bytes]:
        question = dns.message.from_wire(wire)
        (asked,) = question.question
        self.asked.append(f"{asked.name} {dns.rdatatype.to_text(asked.rdtype)}")
        if self.silent:
            return []
        reply = dns.message.make_response(question, recursion_available=True)
        reply.set_rcode(self.rcode)
        if self.rcode == dns.rcode.NOERROR:
            for line in self.records:
                name, ttl, kind, value = line.split()
                if kind in ("CNAME", dns.rdatatype.to_text(asked.rdtype)):
                    reply.answer.append(dns.rrset.from_text(name, int(ttl), "IN", kind, value))
        return [*self.before(wire), reply.to_wire()]


@pytest.fixture
def dns_talk() -> Iterator[Callable[[], Talk]]:
    """Makes servers; each listens on a port of its own until the test ends."""
    sockets: list[socket.socket] = []

    def make() -> Talk:
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(30)
        sockets.append(listener)
        talk = Talk(Server("127.0.0.1", listener.getsockname()[1]))
        threading.Thread(target=_serve, args=(listener, talk), daemon=True).start()
        return talk

    yield make
    for listener in sockets:
        # a thread that waits in recvfrom is woken by a datagram, not by close
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", listener.getsockname())


def _serve(listener: socket.socket, talk: Talk) -> None:
    with listener:
        while True:
            try:
                wire, who = listener.recvfrom(4096)
            except OSError:
                return
            if not wire:
                return
            for answer in talk.answers(wire):
                listener.sendto(answer, who)
