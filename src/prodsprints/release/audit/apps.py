"""Where the application object is: every FastAPI, Starlette and Flask object or factory in the code, best first."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from prodsprints.release.audit.files import Files
from prodsprints.release.audit.python import Function, Module, Modules, spelled, text_of

CLASSES = {
    "fastapi.FastAPI": "fastapi",
    "fastapi.applications.FastAPI": "fastapi",
    "starlette.applications.Starlette": "starlette",
    "flask.Flask": "flask",
    "flask.app.Flask": "flask",
    "apiflask.APIFlask": "flask",
}
UNSUPPORTED = {
    "quart.Quart": "Quart", "sanic.Sanic": "Sanic", "litestar.Litestar": "Litestar", "bottle.Bottle": "Bottle",
    "aiohttp.web.Application": "aiohttp", "tornado.web.Application": "Tornado", "falcon.App": "Falcon",
    "falcon.asgi.App": "Falcon", "robyn.Robyn": "Robyn", "streamlit": "Streamlit", "gradio.Blocks": "Gradio",
    "dash.Dash": "Dash",
}  # fmt: skip
_FACTORY_NAMES = {"create_app": 12, "make_app": 12, "build_app": 10, "get_app": 10, "app_factory": 10}
_OBJECT_NAMES = {"app": 12, "application": 11, "api": 6, "server": 4}
_FILE_NAMES = {
    "wsgi": 10, "main": 9, "asgi": 9, "app": 8, "application": 7, "server": 7, "__init__": 6, "api": 5,
    "web": 5, "run": 4,
}  # fmt: skip
_COMMAND_FILES = (
    "Dockerfile", "docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml", "Makefile", "render.yaml",
    "fly.toml", "app.yaml", "gunicorn.conf.py", "gunicorn_conf.py", ".flaskenv", "justfile", "start.sh",
    "entrypoint.sh",
)  # fmt: skip
_TARGET = re.compile(r"\b([A-Za-z_][\w.]{0,200}):([A-Za-z_]\w{0,100})\b(?!/)")
_UNSURE_WITHIN = 5


@dataclass(frozen=True)
class Candidate:
    """An application object or factory. `root` is the import root (relative, "" for the top), `module` below it."""

    framework: str
    file: str
    line: int
    attribute: str
    factory: bool
    root: str
    module: str
    score: int
    needs_arguments: bool = False

    @property
    def target(self) -> str:
        """What servers call it: `shop.main:app`."""
        return f"{self.module}:{self.attribute}"


def candidates(files: Files, modules: Modules, bases: Container[str]) -> list[Candidate]:
    """All of them, the most likely one first; `bases` are the directories with a manifest of packages."""
    classes = _own_classes(modules)
    factories = {f.name: framework for module in modules for f, framework in _factories(module, classes)}
    mounted = _mounted(modules)
    mentioned = _mentioned(files, modules)
    found: list[Candidate] = []
    for module in modules:
        for framework, attribute, line, factory, needs_arguments in _in_module(module, classes, factories):
            root, name = import_path(files, module, bases)
            candidate = Candidate(framework, module.file, line, attribute, factory, root, name, 0, needs_arguments)
            score = _score(candidate, module) + min(mentioned[candidate.target], 2) * 12
            score -= 20 * ((module.file, attribute) in mounted or (module.file, "*") in mounted)
            found.append(replace(candidate, score=score))
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.file.count("/"), candidate.file))


def rival(ranked: list[Candidate]) -> Candidate | None:
    """The second candidate where it is about as likely as the first, and another application."""
    for candidate in ranked[1:]:
        near = candidate.score >= ranked[0].score - _UNSURE_WITHIN
        related = candidate.framework == ranked[0].framework and (candidate.factory or ranked[0].factory)
        if near and not related and candidate.file != ranked[0].file:
            return candidate
    return None


def unsupported(modules: Modules) -> tuple[str, Module, int] | None:
    """A framework that is known and not released yet: its name and where it stands."""
    for module in modules:
        for name in module.imports.values():
            if name in UNSUPPORTED:
                return UNSUPPORTED[name], module, 1
        for call in module.calls:
            if (name := module.dotted(call.func)) in UNSUPPORTED:
                return UNSUPPORTED[name], module, call.lineno
    return None


def import_path(files: Files, module: Module, bases: Container[str]) -> tuple[str, str]:
    """The directory to put on the import path, and the module's dotted name from there.

    A directory is a good import root when the file's own absolute imports are found in it; between equals the
    directory of a manifest or `src/` wins, then the top. Each part of the dotted name has to be an identifier, and a
    package must not be cut in the middle.
    """
    directories = module.file.split("/")[:-1]
    stem = module.file.rpartition("/")[2].removesuffix(".py")
    imported = [name.split(".")[0] for name in _absolute_imports(module)]
    best: tuple[int, str, str] | None = None
    for depth in range(len(directories) + 1):
        root, below = "/".join(directories[:depth]), directories[depth:]
        parts = below if stem == "__init__" else [*below, stem]
        if not parts or not all(part.isidentifier() for part in parts) or len(below) < _relative_levels(module):
            continue
        at = f"{root}/" if root else ""
        resolved = sum(1 for name in imported if f"{at}{name}.py" in files or f"{at}{name}" in files.directories)
        inside_package = bool(root) and f"{root}/__init__.py" in files
        score = (
            10 * resolved
            - 15 * inside_package
            + 3 * (directories[:depth] == ["src"] or (bool(root) and root in bases))
            - depth
        )
        if best is None or score > best[0]:
            best = (score, root, ".".join(parts))
    return (best[1], best[2]) if best else ("/".join(directories), stem)


def _absolute_imports(module: Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module)
    return names


def _relative_levels(module: Module) -> int:
    return max((node.level for node in ast.walk(module.tree) if isinstance(node, ast.ImportFrom)), default=0)


def _own_classes(modules: Modules) -> dict[str, str]:
    """The frameworks' classes, and the repository's own subclasses of them by their bare name."""
    found = dict(CLASSES)
    for module in modules:
        for node in module.statements:
            if isinstance(node, ast.ClassDef):
                bases = [CLASSES[name] for base in node.bases if (name := module.dotted(base)) in CLASSES]
                if bases:
                    found[node.name] = bases[0]
    return found


def _framework(module: Module, node: ast.expr | None, classes: dict[str, str]) -> str:
    name = module.dotted(node) if node is not None else ""
    return classes.get(name) or (classes.get(name.rpartition(".")[2], "") if name else "")


def _factories(module: Module, classes: dict[str, str]) -> Iterator[tuple[Function, str]]:
    """The functions that make an application and return it."""
    for function in module.functions:
        made: dict[str, str] = {}
        returned: list[ast.expr] = []
        for node in ast.walk(function):
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if framework := _framework(module, node.value.func, classes):
                    made.update({target.id: framework for target in targets if isinstance(target, ast.Name)})
            elif isinstance(node, ast.Return) and node.value is not None:
                returned.append(node.value)
        answers = [made.get(spelled(value), "") for value in returned]
        answers += [_framework(module, value.func, classes) for value in returned if isinstance(value, ast.Call)]
        annotated = _framework(module, function.returns, classes) if returned else ""
        if framework := next(filter(None, answers), annotated):
            yield function, framework


def _in_module(
    module: Module, classes: dict[str, str], factories: dict[str, str]
) -> Iterator[tuple[str, str, int, bool, bool]]:
    for name, value, line in module.assignments:
        if isinstance(value, ast.Call):
            called = spelled(value.func).rpartition(".")[2]
            if framework := _framework(module, value.func, classes) or factories.get(called, ""):
                yield framework, name, line, False, False
    for function, framework in _factories(module, classes):
        if isinstance(function, ast.FunctionDef):
            arguments = function.args
            required = len(arguments.args) + len(arguments.posonlyargs) > len(arguments.defaults)
            required = required or any(default is None for default in arguments.kw_defaults)
            yield framework, function.name, function.lineno, True, required


def _score(candidate: Candidate, module: Module) -> int:
    stem = candidate.file.rpartition("/")[2].removesuffix(".py")
    names = _FACTORY_NAMES if candidate.factory else _OBJECT_NAMES
    routed = any(
        isinstance(call.func, ast.Attribute) and spelled(call.func.value) == candidate.attribute
        for call in module.calls
    )
    return (
        (20 if candidate.factory else 40)
        + names.get(candidate.attribute, 2)
        + _FILE_NAMES.get(stem, 0)
        + 5 * routed
        - 2 * candidate.module.count(".")
        - 15 * candidate.needs_arguments
        - 20 * candidate.attribute.startswith("_")
    )


def _mounted(modules: Modules) -> set[tuple[str, str]]:
    """The (file, attribute) of applications that are mounted into another one."""
    found: set[tuple[str, str]] = set()
    for module in modules:
        for call in module.calls:
            if isinstance(call.func, ast.Attribute) and call.func.attr == "mount" and len(call.args) > 1:
                name = spelled(call.args[1])
                origin, _, attribute = module.dotted(call.args[1]).rpartition(".")
                owner = modules.imported(origin) if origin else None
                found.add((owner.file, attribute) if owner else (module.file, name))
    return found


def _mentioned(files: Files, modules: Modules) -> Counter[str]:
    """How often commands in the repository's own files, and `uvicorn.run("…")`, name a `module:attribute`."""
    found: Counter[str] = Counter()
    for file in files.named(*_COMMAND_FILES):
        for _, line in files.lines(file):
            if any(word in line for word in ("uvicorn", "gunicorn", "hypercorn", "wsgi_app", "FLASK_APP", "fastapi")):
                found.update(
                    f"{module}:{attribute}" for module, attribute in _TARGET.findall(line.replace('", "', " "))
                )
    for module in modules:
        for call in module.calls:
            if spelled(call.func) == "uvicorn.run" and call.args and (target := text_of(call.args[0])):
                found[target] += 1
    return found
