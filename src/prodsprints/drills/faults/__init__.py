"""Faults on real connections and processes: what an experiment puts in front of its peers."""

from prodsprints.drills.faults.devices import HttpOrigin, TcpProxy, http_origin, tcp_proxy
from prodsprints.drills.faults.signals import killed, stopped
from prodsprints.drills.faults.toxics import (
    Bandwidth,
    Blackhole,
    Corrupt,
    Direction,
    Latency,
    Reset,
    Slice,
    SlowClose,
    Toxic,
)

__all__ = [
    "Bandwidth",
    "Blackhole",
    "Corrupt",
    "Direction",
    "HttpOrigin",
    "Latency",
    "Reset",
    "Slice",
    "SlowClose",
    "TcpProxy",
    "Toxic",
    "http_origin",
    "killed",
    "stopped",
    "tcp_proxy",
]
