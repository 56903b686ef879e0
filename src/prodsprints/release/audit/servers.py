"""The command that serves an application on `$PORT`: as configured, as the Procfile says, or as its framework wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from prodsprints.release.audit.apps import Candidate, rival
from prodsprints.release.audit.django import Django
from prodsprints.release.audit.packages import Packages
from prodsprints.release.audit.procfile import Process
from prodsprints.release.audit.values import Question

PORT = "$PORT"
_GRACE_SECONDS = "10"
_KEEP_ALIVE_SECONDS = "5"  # above Envoy's idle time-out, so that it is never the application that closes first
_GRACEFUL_UVICORN = Version("0.22")
_SERVERS = ("uvicorn", "gunicorn")  # those that the image's builder can add


@dataclass(frozen=True)
class Serving:
    """How the web is served. `root` is the directory that has to be on the import path."""

    framework: str
    web: tuple[str, ...]
    extra_packages: tuple[str, ...]
    root: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    questions: tuple[Question, ...] = ()


def configured(web: tuple[str, ...], apps: Sequence[Candidate], packages: Packages) -> Serving:
    """As `prodsprints.yaml` states it."""
    best = _named(" ".join(web), apps)
    framework, root = (best.framework, best.root) if best else ("procfile", "")
    return Serving(framework, web, _missing_servers(web, packages), root)


def from_procfile(web: Process, apps: Sequence[Candidate], site: Django | None, packages: Packages) -> Serving:
    """As the Procfile's `web:` line states it, which wins over the code."""
    best = _named(web.command, apps)
    modules = {f"{site.server}:application", site.server} if site else set()  # gunicorn takes the module's alone
    if site and (modules & set(web.command.split()) or "manage.py" in web.command):
        framework, root = "django", site.root
    else:
        framework, root = (best.framework, best.root) if best else ("procfile", "")
    return Serving(framework, web.argv, _missing_servers(web.command.split(), packages), root, web.environment)


def for_django(site: Django, packages: Packages) -> Serving:
    """Django by its WSGI module, or by its ASGI module where it has no other."""
    target = f"{site.server}:application"
    if site.is_asgi:
        web = (*_uvicorn(packages), "--lifespan", "off", target)  # Django's handler has none, and warns
        return Serving("django", web, _missing_servers(("uvicorn",), packages), site.root)
    return Serving("django", (*_gunicorn(), target), _missing_servers(("gunicorn",), packages), site.root)


def for_app(apps: Sequence[Candidate], packages: Packages) -> Serving:
    """The best candidate by the server that its framework wants; a question where the second is about as good."""
    best = apps[0]
    if best.framework == "flask":
        web = (*_gunicorn(), f"{best.target}()" if best.factory else best.target)
        extra = _missing_servers(("gunicorn",), packages)
    else:
        web = (*_uvicorn(packages), *(("--factory",) if best.factory else ()), best.target)
        extra = _missing_servers(("uvicorn",), packages)
    return Serving(best.framework, web, extra, best.root, questions=tuple(_questions(apps)))


def _named(text: str, apps: Sequence[Candidate]) -> Candidate | None:
    """The candidate that a command names."""
    words = {word.strip("'\"").removesuffix("()") for word in text.split()}
    return next((candidate for candidate in apps if candidate.target in words), None)


def _missing_servers(words: Sequence[str], packages: Packages) -> tuple[str, ...]:
    """The servers that a command starts and the repository does not ask for."""
    used = {word.rpartition("/")[2] for word in words}
    wanted = [server for server in _SERVERS if server in used]
    if "gunicorn" in used and any("uvicorn" in word for word in words) and "uvicorn" not in wanted:
        wanted.append("uvicorn")
    return tuple(server for server in wanted if not _declares(packages, server))


def _declares(packages: Packages, server: str) -> bool:
    fastapi = packages.find("fastapi")
    bundled = server == "uvicorn" and fastapi is not None and {"standard", "all"} & fastapi.requirement.extras
    return bool(packages.find(server) or packages.version(server) or bundled)


def _uvicorn(packages: Packages) -> tuple[str, ...]:
    graceful = ("--timeout-graceful-shutdown", _GRACE_SECONDS)
    try:
        old = Version(packages.version("uvicorn") or "99") < _GRACEFUL_UVICORN
    except InvalidVersion:
        old = False
    return (
        *("python", "-m", "uvicorn"),
        *("--host", "127.0.0.1"),
        *("--port", PORT),
        *("--timeout-keep-alive", _KEEP_ALIVE_SECONDS),
        *(() if old else graceful),
        "--no-server-header",
    )


def _gunicorn() -> tuple[str, ...]:
    return (
        *("python", "-m", "gunicorn"),
        *("--bind", f"127.0.0.1:{PORT}"),
        *("--worker-class", "gthread"),
        *("--threads", "4"),
        *("--keep-alive", _KEEP_ALIVE_SECONDS),
        *("--graceful-timeout", _GRACE_SECONDS),
    )


def _questions(apps: Sequence[Candidate]) -> list[Question]:
    best, second = apps[0], rival(list(apps))
    found = []
    if second is not None:
        places = [f"{one.target} ({one.file}:{one.line})" for one in (best, second)]
        text = f"Which is the application: {' or '.join(places)}?"
        found.append(Question("web", text, (best.target, second.target)))
    if best.needs_arguments:
        text = (
            f"{best.target} ({best.file}:{best.line}) needs arguments. Which command serves the application on $PORT?"
        )
        found.append(Question("web", text))
    return found
