"""Django's own conventions: manage.py, the settings module, the WSGI or ASGI module, and what the settings say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from prodsprints.release.audit.files import Files
from prodsprints.release.audit.python import Module, Modules, spelled, text_of
from prodsprints.release.audit.values import Finding

_LOCAL_HOSTS = {"*", "localhost", "127.0.0.1", ".localhost"}
_SETTINGS = "DJANGO_SETTINGS_MODULE"


@dataclass(frozen=True)
class Django:
    """One Django project: `root` is the directory of manage.py, which is its import root.

    `settings` is what the server uses, `test_settings` what `manage.py test` would by itself.
    """

    manage: str
    root: str
    settings: str
    settings_file: str
    server: str
    server_file: str
    is_asgi: bool
    open_to_localhost: bool
    test_settings: str
    findings: tuple[Finding, ...]

    @property
    def has_database(self) -> bool:
        """Whether the settings name one: then there are tables to make, Django's own if no others."""
        return any(finding.key == "database" for finding in self.findings)


def project(files: Files, modules: Modules) -> Django | None:
    """The Django project nearest to the root, None where there is none."""
    manage = next((name for name in files.named("manage.py") if "django" in files.text(name).lower()), "")
    if not manage:
        return None
    root = manage.rpartition("/")[0]
    entry, is_asgi = _entry(modules, root)
    server_file = entry.file if entry else ""
    stated = _default_settings(entry) or _default_settings(modules.get(manage))
    settings_file = _file_of(files, root, stated)
    findings = [Finding("framework", "django", manage, 1, 0.99)]
    if entry:
        findings.append(Finding("app", f"{_dotted(root, server_file)}:application", server_file, 1, 0.98))
    if stated:
        missing = "" if settings_file else "this module is not in the repository"
        place = server_file or manage
        findings.append(Finding("settings", stated, place, files.line_of(place, _SETTINGS), 0.9, missing))
    read = list(_settings_modules(modules, settings_file))
    hosts = list(_hosts(read))
    findings += hosts
    findings += _databases(read)
    return Django(
        manage,
        root,
        stated,
        settings_file,
        _dotted(root, server_file) if entry else "",
        server_file,
        is_asgi,
        not hosts,
        _default_settings(modules.get(manage)) or stated,
        tuple(findings),
    )


def _entry(modules: Modules, root: str) -> tuple[Module | None, bool]:
    """The module that holds `application`: WSGI where there is one, which most projects are tested with."""
    for name, is_asgi in (("get_wsgi_application", False), ("get_asgi_application", True)):
        for module in modules:
            below = not root or module.file.startswith(f"{root}/")
            if below and any(module.dotted(call.func).endswith(name) for call in module.calls):
                return module, is_asgi
    return None, False


def _default_settings(module: Module | None) -> str:
    """The module that `os.environ.setdefault("DJANGO_SETTINGS_MODULE", …)` or an assignment names."""
    if module is None:
        return ""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and spelled(node.func).endswith("environ.setdefault") and len(node.args) == 2:
            name, value = map(text_of, node.args)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            name, value = text_of(node.targets[0].slice), text_of(node.value)
        else:
            continue
        if name == _SETTINGS and value and re.fullmatch(r"[\w.]{1,200}", value):
            return value
    return ""


def _file_of(files: Files, root: str, dotted: str) -> str:
    at = f"{root}/" if root else ""
    path = at + dotted.replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if dotted and name in files), "")


def _settings_modules(modules: Modules, settings_file: str) -> Iterator[Module]:
    """The settings module, then what it takes over by `from .base import *`."""
    todo, seen = [settings_file], set[str]()
    while todo:
        file = todo.pop()
        module = modules.get(file)
        if module is None or file in seen:
            continue
        seen.add(file)
        yield module
        for local, origin in module.imports.items():
            if local == "*" and (base := modules.imported(origin.removesuffix(".*"))):
                todo.append(base.file)


def _hosts(settings: list[Module]) -> Iterator[Finding]:
    """A finding where requests that name this machine would be answered with 400."""
    debug = False
    for module in settings:
        for name, value, line in module.assignments:
            if name == "DEBUG" and isinstance(value, ast.Constant):
                debug = debug or value.value is True
            if name != "ALLOWED_HOSTS" or not isinstance(value, ast.List | ast.Tuple):
                continue
            stated = [text_of(item) for item in value.elts]
            if None not in stated and not _LOCAL_HOSTS & set(stated) and not (debug and not stated):
                yield Finding(
                    "allowed-hosts",
                    ", ".join(filter(None, stated)) or "none",
                    module.file,
                    line,
                    0.85,
                    "requests for other host names get 400, health checks from this machine too: add 'localhost'",
                )
            return


def _databases(settings: list[Module]) -> Iterator[Finding]:
    for module in settings:
        for text, line in module.strings:
            if text.startswith("django.db.backends."):
                yield Finding("database", text.removeprefix("django.db.backends."), module.file, line, 0.9)


def _dotted(root: str, file: str) -> str:
    return file.removeprefix(f"{root}/" if root else "").removesuffix(".py").replace("/", ".")
