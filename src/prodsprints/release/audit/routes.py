"""Which paths an application answers, as far as its code says so literally: to find the one that tells its health."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from prodsprints.release.audit.python import Module, Modules, keyword, spelled, text_of

_HEALTH = (
    "healthz", "health", "livez", "readyz", "live", "ready", "alive", "liveness", "readiness", "health-check",
    "healthcheck", "health_check", "_health", "__heartbeat__", "heartbeat", "ping", "status", "up",
)  # fmt: skip
_DECORATORS = {"get", "route", "api_route"}
_CALLS = {"add_api_route", "add_route", "add_url_rule", "Route", "APIRoute"}
_DJANGO = {"path", "re_path"}
_ROUTERS = {"APIRouter", "Blueprint", "APIBlueprint", "Router"}
_INCLUDES = {"include_router": "prefix", "register_blueprint": "url_prefix"}
_MAX_NESTING = 8


@dataclass(frozen=True)
class Route:
    """A path that answers GET, and where it is stated. `certain` is false where a prefix is not a literal."""

    path: str
    file: str
    line: int
    certain: bool = True


@dataclass(frozen=True)
class _Prefix:
    text: str
    certain: bool = True


def health(modules: Modules) -> Route | None:
    """The route that most likely tells whether the application is healthy."""
    known = [route for route in _routes(modules) if _rank(route) is not None]
    return min(known, key=lambda route: (not route.certain, _rank(route) or 0, len(route.path)), default=None)


def _rank(route: Route) -> int | None:
    """Lower is better; None for a path that is no health path."""
    parts = [part for part in route.path.lower().split("/") if part]
    if not parts or any(character in route.path for character in "{}<>()[]*?^$") or not route.path.isascii():
        return None
    if parts[-1] in _HEALTH:
        return _HEALTH.index(parts[-1])
    return len(_HEALTH) if len(parts) > 1 and parts[-2] in _HEALTH[:2] and parts[-1] in _HEALTH else None


def _routes(modules: Modules) -> Iterator[Route]:
    prefixes = _Prefixes(modules)
    for module in modules:
        for call, path in _stated(module):
            owner = spelled(call.func.value) if isinstance(call.func, ast.Attribute) else ""
            for prefix in prefixes.of(module, owner):
                whole = "/" + "/".join(part for part in f"{prefix.text}/{path}".split("/") if part)
                whole += "/" if path.endswith("/") and len(whole) > 1 else ""
                yield Route(whole, module.file, call.lineno, prefix.certain)


def _stated(module: Module) -> Iterator[tuple[ast.Call, str]]:
    """Each route that answers GET, with its literal path, below the `Mount`s that it is written in."""
    todo: list[tuple[ast.AST, str, bool]] = [(module.tree, "", False)]
    while todo:
        node, mount, decorates = todo.pop()
        inner = mount
        if isinstance(node, ast.Call):
            path = _path(node, decorates)
            if path is not None:
                yield node, f"{mount}/{path.removeprefix('/')}" if mount else path
            if spelled(node.func).rpartition(".")[2] == "Mount" and node.args:
                inner = mount + (text_of(node.args[0]) or "").rstrip("/")
        decorators = set(map(id, getattr(node, "decorator_list", ())))
        todo += [(child, inner, id(child) in decorators) for child in ast.iter_child_nodes(node)]


def _path(call: ast.Call, decorates: bool) -> str | None:
    """The literal path of a route that answers GET; None for a call that is no such route."""
    name = spelled(call.func).rpartition(".")[2]
    django = name in _DJANGO and isinstance(call.func, ast.Name)
    if not (django or name in (_DECORATORS if decorates else _CALLS)):
        return None
    path = text_of(call.args[0]) if call.args else text_of(keyword(call, "path"))
    methods = keyword(call, "methods")
    stated = [text_of(item) for item in methods.elts] if isinstance(methods, ast.List | ast.Tuple | ast.Set) else []
    if path is None or (stated and "GET" not in stated):
        return None
    if django:
        return path.removeprefix("^").removesuffix("$").removesuffix("?")
    return path if path.startswith("/") else None


class _Prefixes:
    """What stands before the routes of a router or blueprint: its own prefix, and those of whoever includes it."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules
        self._own: dict[tuple[str, str], _Prefix] = {}
        self._included: dict[tuple[str, str], list[tuple[Module, str, _Prefix]]] = {}
        self._constants = _constants(modules)
        for module in modules:
            for name, value, _ in module.assignments:
                if isinstance(value, ast.Call) and spelled(value.func).rpartition(".")[2] in _ROUTERS:
                    stated = keyword(value, "prefix") or keyword(value, "url_prefix")
                    self._own[module.file, name] = self._literal(stated)
            for call in module.calls:
                self._include(module, call)

    def of(self, module: Module, owner: str, depth: int = 0) -> list[_Prefix]:
        """Every prefix under which the routes of `owner` in `module` are reached."""
        key = (module.file, owner)
        own = self._own.get(key, _Prefix(""))
        if depth > _MAX_NESTING or key not in self._included:
            return [own]
        return [
            _Prefix("/".join((outer.text, prefix.text, own.text)), outer.certain and prefix.certain and own.certain)
            for includer, by, prefix in self._included[key][:_MAX_NESTING]
            for outer in self.of(includer, by, depth + 1)[:_MAX_NESTING]
        ]

    def _include(self, module: Module, call: ast.Call) -> None:
        name = spelled(call.func).rpartition(".")[2]
        if name in _INCLUDES and call.args:
            target, prefix = call.args[0], self._literal(keyword(call, _INCLUDES[name]))
        elif name == "mount" and len(call.args) > 1:
            target, prefix = call.args[1], self._literal(call.args[0])
        elif name in _DJANGO and len(call.args) > 1 and isinstance(call.args[1], ast.Call):
            self._django_include(module, call.args[1], self._literal(call.args[0]))
            return
        else:
            return
        by = spelled(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        origin, _, attribute = module.dotted(target).rpartition(".")
        owner = self._modules.imported(origin) if origin else None
        if owner is None and (owner := self._modules.imported(module.dotted(target))):
            attribute = ""
        key = (owner.file, attribute) if owner else (module.file, spelled(target))
        if key != (module.file, by):
            self._included.setdefault(key, []).append((module, by, prefix))

    def _django_include(self, module: Module, include: ast.Call, prefix: _Prefix) -> None:
        dotted = text_of(include.args[0]) if include.args else None
        owner = self._modules.imported(dotted) if dotted and spelled(include.func).endswith("include") else None
        if owner and owner is not module:
            self._included.setdefault((owner.file, ""), []).append((module, "", prefix))

    def _literal(self, node: ast.expr | None) -> _Prefix:
        if node is None:
            return _Prefix("")
        text = text_of(node)
        if text is None:
            text = self._constants.get(spelled(node).rpartition(".")[2])
        return _Prefix(text or "", text is not None)


def _constants(modules: Modules) -> dict[str, str]:
    """String constants of modules and classes by name, where the whole repository gives a name one value only."""
    found: dict[str, set[str]] = {}
    for module in modules:
        for node in ast.walk(module.tree):
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign):
                targets = [node.target]
            text = text_of(node.value) if isinstance(node, ast.Assign | ast.AnnAssign) else None
            for target in targets:
                if isinstance(target, ast.Name) and text is not None:
                    found.setdefault(target.id, set()).add(text)
    return {name: next(iter(values)) for name, values in found.items() if len(values) == 1}
