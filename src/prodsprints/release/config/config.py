"""Reads `prodsprints.yaml`: the values for each environment, and where every one of them was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from prodsprints.kernel import documents, redaction
from prodsprints.kernel.documents import Document
from prodsprints.kernel.validation import explain
from prodsprints.release.config.errors import ConfigError
from prodsprints.release.config.schema import NOT_ENFORCED_YET, File, ReleaseConfig

FILE_NAME = "prodsprints.yaml"

_FILE: TypeAdapter[File] = TypeAdapter(File)
_RELEASE: TypeAdapter[ReleaseConfig] = TypeAdapter(ReleaseConfig)

M = TypeVar("M", bound=BaseModel)


def load(path: Path) -> Config:
    """The configuration in the file at `path`; if there is none, the defaults.

    Raises ConfigError (UsageError for what is not even YAML) with the file's name and line for all that is wrong.
    """
    try:
        return _read(documents.read(path, name=path.name))
    except FileNotFoundError:
        return _read(Document(path.name, {"version": 1}, {}))


def parse(text: str | bytes, *, name: str = FILE_NAME) -> Config:
    """The configuration in `text`, which is called `name` in messages; raises as `load` does."""
    return _read(documents.parse(text, name=name))


@dataclass(frozen=True)
class Setting:
    """One effective value: durations in seconds, percentages as fractions, None for what is left to the audit.

    `source` is `default`, or `file:line` with the overlay's name if it is from one. `enforced` is false for the blocks
    whose controls have not landed.
    """

    key: str
    value: Any
    source: str
    enforced: bool

    def __str__(self) -> str:
        """The line that `prodsprints config show` prints, durations and percentages with their units."""
        note = "" if self.enforced else "; accepted, not enforced yet"
        return f"{self.key}: {_shown(self.value)}  ({self.source}{note})"


@dataclass(frozen=True)
class Config:
    """A checked `prodsprints.yaml`. `warnings` are sentences about what is allowed and yet looks like a mistake."""

    warnings: tuple[str, ...]
    _layers: Mapping[str | None, _Layer] = field(repr=False)

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that have an overlay; any other goes by the file's own values."""
        return tuple(name for name in self._layers if name is not None)

    def for_environment(self, name: str | None = None) -> ReleaseConfig:
        """What releases to the environment `name` go by."""
        return self._layer(name).config

    def effective(self, environment: str | None = None) -> list[Setting]:
        """Every value that holds for `environment`, and where it comes from."""
        layer = self._layer(environment)
        return [
            Setting(".".join(path), value, layer.source(path), enforced=path[0] not in NOT_ENFORCED_YET)
            for path, value in _leaves(layer.config)
        ]

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """The JSON Schema of the file, for editors."""
        schema = File.model_json_schema()
        overlay = ReleaseConfig.model_json_schema()
        del overlay["properties"]["name"], overlay["$defs"]
        schema["$defs"]["Overlay"] = overlay | {"title": "Overlay", "description": "What differs in one environment."}
        environments = schema["properties"]["environments"]
        (name,) = environments["patternProperties"]
        overlaid = {"anyOf": [{"$ref": "#/$defs/Overlay"}, {"type": "null"}]}
        environments |= {"patternProperties": {name: overlaid, "^x-": {}}, "additionalProperties": False}
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": FILE_NAME}

    def _layer(self, environment: str | None) -> _Layer:
        return self._layers.get(environment, self._layers[None])


@dataclass(frozen=True)
class _Values:
    # plain values, and for those that an overlay brought, the path under which the file has them
    document: Document
    value: dict[str, Any]
    overlay: str | None = None
    origins: Mapping[documents.Keys, documents.Keys] = field(default_factory=dict)

    def origin(self, path: documents.Keys) -> documents.Keys:
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]] + path[length:]
        return path

    def at(self, path: documents.Keys) -> str:
        return self.document.at(self.origin(path))

    def line(self, path: documents.Keys) -> int:
        return self.document.line(self.origin(path))


@dataclass(frozen=True)
class _Layer:
    values: _Values
    config: ReleaseConfig

    def source(self, path: tuple[str, ...]) -> str:
        entry: Any = self.values.value
        for part in path:
            if not isinstance(entry, dict) or part not in entry:
                return "default"
            entry = entry[part]
        origin = self.values.origin(path)
        overlaid = origin != path
        return f"{self.values.document.at(origin)}{f' in environments.{self.values.overlay}' if overlaid else ''}"


def _read(document: Document) -> Config:
    if not isinstance(document.value, dict):
        raise ConfigError(
            f"{document.at(())}: the file should be keys with values.", next_step="Begin it with `version: 1`."
        )
    value = _without_notes(document.value)
    problems: list[str] = []
    file = _validated(_FILE, _Values(document, value), problems)
    if file is None:
        raise _refused(problems, document)
    base = {key: entry for key, entry in value.items() if key not in ("version", "environments")}
    layers: dict[str | None, _Layer] = {}
    for name, overlay in [(None, None), *(value.get("environments") or {}).items()]:
        values = _Values(document, base) if name is None else _overlaid(document, base, name, overlay or {})
        if overlay and "name" in overlay:
            problems.append(f"{values.at(('name',))}: an overlay cannot give the application another `name`.")
        config = _validated(_RELEASE, values, problems)
        if config is not None:
            layers[name] = _Layer(values, config)
    if problems:
        raise _refused(problems, document)
    return Config(tuple(_unique(warning for layer in layers.values() for warning in _warnings(layer))), layers)


def _without_notes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_notes(entry) for key, entry in value.items() if not key.startswith("x-")}
    return value


def _validated(adapter: TypeAdapter[M], values: _Values, problems: list[str]) -> M | None:
    try:
        return adapter.validate_python(values.value)
    except ValidationError as error:
        problems += explain(error, adapter, values)
        return None


def _overlaid(document: Document, base: dict[str, Any], name: str, overlay: dict[str, Any]) -> _Values:
    origins: dict[documents.Keys, documents.Keys] = {}

    def merged(below: Any, above: Any, path: documents.Keys) -> Any:
        if path and not (isinstance(below, dict) and isinstance(above, dict)):
            origins[path] = ("environments", name, *path)
            return above
        both = {key: merged(below.get(key), entry, (*path, key)) for key, entry in above.items()}
        return {**below, **both}

    return _Values(document, merged(base, overlay, ()), name, origins)


def _refused(problems: list[str], document: Document) -> ConfigError:
    what = "\n".join(_unique(problems))
    return ConfigError(what, next_step=f"Correct {document.name}, then look at it with `prodsprints config show`.")


def _unique(sentences: Any) -> list[str]:
    return list(dict.fromkeys(sentences))


def _warnings(layer: _Layer) -> Iterator[str]:
    registries = layer.config.registries
    if registries:
        named: list[tuple[documents.Keys, str | None]] = [(("registries", "primary"), registries.primary)]
        named += [(("registries", "fallback", index), host) for index, host in enumerate(registries.fallback or ())]
        for path, host in named:
            if host == "ecr.amazonaws.com":
                yield (
                    f"{layer.values.at(path)}: `{host}` is no registry's address: Amazon's carry account and region, "
                    "as in 123456789012.dkr.ecr.eu-central-1.amazonaws.com."
                )
    for name, value in layer.config.environment.items():
        if redaction.Redactor().value({name: value}) != {name: value}:
            yield (
                f"{layer.values.at(('environment', name))}: {name} looks like a secret, and this file is in the "
                "repository; set it outside, and rotate it if it is real."
            )


def _leaves(model: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*path, name))
        elif isinstance(value, dict):
            yield from (((*path, name, key), entry) for key, entry in value.items())
        elif value is not None or (not path and name not in NOT_ENFORCED_YET):
            yield (*path, name), value


def _shown(value: Any) -> str:
    if value is None:
        return "as the audit finds it"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
