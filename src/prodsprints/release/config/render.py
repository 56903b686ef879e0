"""Writes a commented `prodsprints.yaml`, which reads back as the very values that it was written from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from prodsprints.release.config.schema import NOT_ENFORCED_YET, ReleaseConfig, command
from prodsprints.release.config.units import Seconds, Share

_HEAD = """\
# How ProdSprints releases this repository. Only `version` has to be here: what is missing, the audit finds.
# Each effective value, and where it comes from: prodsprints config show
version: 1
"""
_ONE_LINE = 10**9


def render(config: ReleaseConfig) -> str:
    """The file for `config`: what differs from the defaults as keys, the rest as comments to uncomment.

    The specification's blocks appear only if `config` has them.
    """
    parts = [_HEAD]
    for name, info in ReleaseConfig.model_fields.items():
        value = getattr(config, name)
        if name not in NOT_ENFORCED_YET or value is not None:
            parts.append("\n".join([f"# {info.description}", *_entry(name, info, value)]) + "\n")
    return "\n".join(parts)


def _entry(name: str, info: FieldInfo, value: Any) -> Iterator[str]:
    stated = value != info.default
    if not stated:
        value = info.examples[0] if info.examples else value
    lines = list(_lines(name, value))
    yield from lines if stated else (f"# {line}" for line in lines)


def _lines(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, BaseModel):
        stated = {key: entry for key, entry in value if entry is not None}
        if not stated:
            yield f"{name}: {{}}"
            return
        yield f"{name}:"
        for key, entry in stated.items():
            description = type(value).model_fields[key].description
            if description:
                yield f"  # {description}"
            yield from (f"  {line}" for line in _lines(key, entry))
    elif isinstance(value, dict):
        yield f"{name}:"
        for key, entry in value.items():
            yield f"  {key}: {_scalar(entry)}"
    else:
        yield f"{name}: {_command(value) if name in ('web', 'test', 'migrate') else _scalar(value)}"


def _command(words: tuple[str, ...] | str) -> str:
    line = words if isinstance(words, str) else " ".join(words)
    try:
        return _scalar(line if command(line) == tuple(words) or line == words else words)
    except ValueError:  # only a list can say it
        return _scalar(words)


def _scalar(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(_scalar(entry) for entry in value)}]"
    if isinstance(value, Seconds | Share):
        return str(value)
    # quoted too is what is plain on a line of its own and not in a list: ":0", "?x", "a,b"
    if isinstance(value, str) and (not value.isprintable() or set(value) & set(",[]{}") or value[:1] in {":", "?"}):
        return yaml.safe_dump(value, default_style='"', width=_ONE_LINE).strip()
    return yaml.safe_dump(value, allow_unicode=True, width=_ONE_LINE).removesuffix("\n").removesuffix("\n...")
