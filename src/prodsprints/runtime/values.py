"""What the node agent is asked for, as checked values: instances, arms, routes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from prodsprints.runtime import sandbox
from prodsprints.runtime.errors import InvalidRequestError

STATES = ("starting", "healthy", "unhealthy", "exited", "failed", "stopping", "stopped")
FINAL_STATES = frozenset({"exited", "failed", "stopped"})

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_LABEL = re.compile(r"[\x21-\x7e]{1,200}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_HEALTH_PATH = re.compile(r"/[\x21-\x7e]{0,1000}")

_MAX_WORDS = 500
_MAX_WORD_LENGTH = 128 * 1024
_MAX_ARMS = 10
_MIB = 1024**2


@dataclass(frozen=True)
class InstanceSpec:
    """One app to run: which digest, how, and what healthy means. `argv`, `prepare` and `env` know placeholders.

    `{app}` is the instance's own writable copy of `rootfs/workdir`, `{rootfs}` the unpacked digest, `{python}` this
    machine's Python; `$PORT` and `${PORT}` the port. `readable` is what it reads beside `rootfs`: an interpreter, say.
    A `PATH` in `env` goes before the system's.
    """

    environment: str
    release: str
    label: str
    digest: str
    rootfs: str
    argv: tuple[str, ...]
    env: dict[str, str]
    workdir: str = "app"
    readable: tuple[str, ...] = ()
    prepare: tuple[tuple[str, ...], ...] = ()
    health_path: str = "/"
    health_any: bool = False
    grace_seconds: float = 10.0
    start_timeout_seconds: float = 60.0
    memory_bytes: int = 1024 * _MIB

    @staticmethod
    def parse(document: Mapping[str, Any]) -> InstanceSpec:
        """Check a request's body. Raises InvalidRequestError for what cannot be meant."""
        known = set(InstanceSpec.__dataclass_fields__) | {"fencing_token"}
        if unknown := sorted(set(document) - known):
            raise _invalid(f"unknown key {unknown[0]!r}", f"Known keys: {', '.join(sorted(known))}.")
        argv = _words(document, "argv")
        if not argv:
            raise _invalid("argv is empty", "Give the command that serves HTTP on $PORT.")
        prepare = document.get("prepare", [])
        if not isinstance(prepare, list | tuple) or len(prepare) > 20:
            raise _invalid("prepare is no list of at most 20 commands", "Give a list of argument lists.")
        return InstanceSpec(
            environment=environment_key(document.get("environment")),
            release=_matching(document, "release", _IDENTIFIER, "letters, digits, _ and -"),
            label=_matching(document, "label", _LABEL, "1 to 200 visible ASCII characters"),
            digest=_matching(document, "digest", _DIGEST, "sha256: and 64 hex digits"),
            rootfs=_directory(document),
            argv=argv,
            env=_environment(document.get("env", {})),
            workdir=_relative(document.get("workdir", "app")),
            readable=tuple(_absolute(path) for path in _words({"readable": [], **document}, "readable")),
            prepare=tuple(_words({"prepare": command}, "prepare") for command in prepare),
            health_path=_matching({"health_path": "/", **document}, "health_path", _HEALTH_PATH, "a path from /"),
            health_any=document.get("health_any", False) is True,
            grace_seconds=_number(document, "grace_seconds", 10.0, 0.0, 600.0),
            start_timeout_seconds=_number(document, "start_timeout_seconds", 60.0, 0.5, 3600.0),
            memory_bytes=int(_number(document, "memory_bytes", 1024 * _MIB, 32 * _MIB, 1024**4)),
        )

    def document(self) -> dict[str, Any]:
        """JSON that `parse` accepts."""
        return asdict(self)


@dataclass(frozen=True)
class Arm:
    """One instance's share of an environment's requests, in percent."""

    instance: str
    label: str
    weight: int


def parse_arms(document: Any) -> tuple[Arm, ...]:
    """The arms of a route. Raises InvalidRequestError unless their weights are whole percents that sum to 100."""
    if not isinstance(document, list) or not 1 <= len(document) <= _MAX_ARMS:
        raise _invalid(f"arms is no list of 1 to {_MAX_ARMS} entries", "List each instance with its weight.")
    arms = []
    for entry in document:
        if not isinstance(entry, dict):
            raise _invalid("an arm is no object", 'Write {"instance": …, "label": …, "weight": …}.')
        weight = entry.get("weight")
        if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= 100:
            raise _invalid(f"the weight {weight!r} is no whole number from 0 to 100", "Give percents.")
        label = _matching(entry, "label", _LABEL, "1 to 200 visible ASCII characters")
        arms.append(Arm(identifier(entry.get("instance")), label, weight))
    if len({arm.instance for arm in arms}) != len(arms):
        raise _invalid("an instance is named twice in arms", "Add up its weights.")
    total = sum(arm.weight for arm in arms)
    if total != 100:
        raise _invalid(f"the weights sum to {total}, not to 100", "Give each arm its percent of the requests.")
    return tuple(arms)


def fencing_token(value: Any) -> int:
    """The caller's fencing token: a positive whole number."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 19:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise _invalid(f"fencing_token {value!r} is no positive whole number", "Pass the lease's fencing token.")
    return value


def identifier(value: Any) -> str:
    """An instance id: it names files and Envoy's clusters."""
    return _matching({"instance id": value}, "instance id", _IDENTIFIER, "letters, digits, _ and -, at most 100")


def environment_key(value: Any) -> str:
    """An environment's key, e.g. `tenant.shop.production`."""
    return _matching({"environment": value}, "environment", _ENVIRONMENT, "letters, digits, dots, _ and -, at most 200")


def _matching(document: Mapping[str, Any], key: str, pattern: re.Pattern[str], form: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _invalid(f"{key} is {str(value)[:80]!r}", f"It must be {form}.")
    return value


def _words(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = document.get(key)
    if (
        not isinstance(value, list | tuple)
        or len(value) > _MAX_WORDS
        or not all(isinstance(word, str) and "\0" not in word and len(word) <= _MAX_WORD_LENGTH for word in value)
    ):
        raise _invalid(f"{key} is no list of words", f"Give at most {_MAX_WORDS} strings, as execve takes them.")
    return tuple(value)


def _environment(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _MAX_WORDS:
        raise _invalid("env is no object of names and strings", f"Give at most {_MAX_WORDS} variables.")
    for name, text in value.items():
        if not _NAME.fullmatch(name) or not isinstance(text, str) or "\0" in text or len(text) > _MAX_WORD_LENGTH:
            raise _invalid(f"the variable {str(name)[:80]!r} is not one", "Names are letters, digits, _; values text.")
        if sandbox.steers(name):
            raise _invalid(f"the variable {name} is not passed on", "It would reach the programs that confine the app.")
    return dict(value)


def _directory(document: Mapping[str, Any]) -> str:
    value = document.get("rootfs")
    if not isinstance(value, str) or not Path(value).is_absolute() or not Path(value).is_dir():
        raise _invalid(f"rootfs {str(value)[:200]!r} is no directory here", "Unpack the digest on this machine first.")
    return value


def _absolute(path: str) -> str:
    if not Path(path).is_absolute():
        raise _invalid(f"readable names {path[:200]!r}", "Give absolute paths.")
    return path


def _relative(value: Any) -> str:
    if not isinstance(value, str) or PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts:
        raise _invalid(f"workdir {str(value)[:200]!r} leaves rootfs", "Give a path below rootfs, such as app.")
    return value


def _number(document: Mapping[str, Any], key: str, default: float, low: float, high: float) -> float:
    value = document.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _invalid(f"{key} is {value!r}", "It must be a number.")
    if not low <= value <= high:
        raise _invalid(f"{key} is {value!r}", f"It must be from {low:g} to {high:g}.")
    return value


def _invalid(what: str, next_step: str) -> InvalidRequestError:
    return InvalidRequestError(f"This cannot be run: {what}.", next_step=next_step)
