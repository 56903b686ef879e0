"""The platform's own processes: started with a clean environment, restarted when they end, stopped in order."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prodsprints.controls.integrations import git_hosts
from prodsprints.kernel.settings import Settings
from prodsprints.runtime import lifeline

_log = logging.getLogger(__name__)

_WATCH_SECONDS = 0.1
_SETTLED_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 5.0
_STOP_SECONDS = 15.0
_LAST_LINES = 2
_LAST_CHARACTERS = 400

# What a child may know of our environment; dependencies are built with the user's index and proxy settings.
_PASSED_ON = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR",
    "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "PGPASSFILE",
})  # fmt: skip

# What the worker alone may know besides: who it is for the provider that it deploys to, as AWS's own tools are told;
# and for Git hosts, by variables that `git-hosts.yaml` names.
_FOR_THE_WORKER = frozenset({
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED",
    "AWS_CA_BUNDLE",
})  # fmt: skip


# OpenTelemetry's are for those that tell what guards see; they can hold a collector's token.
_PREFIXES = {"worker": ("PIP_", "OTEL_", git_hosts.TOKENS), "web": ("PIP_", "OTEL_")}


@dataclass(frozen=True)
class Role:
    """One kind of process. `name` is the verb that runs it; with a `lifeline` it ends when we do, however we end.

    `adopted` says whether one that an earlier `up` left behind does the job already; `end` asks it to end where
    SIGTERM means something else.
    """

    name: str
    lifeline: bool
    adopted: Callable[[], bool] = lambda: False
    end: Callable[[], None] | None = None


class Child:
    """Keeps one process of a role running until it is told to stop; one that keeps ending is started ever later."""

    def __init__(self, role: Role, settings: Settings, environment: Mapping[str, str]) -> None:
        self._role = role
        self._log_file = settings.home / "logs" / f"{role.name}.log"
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=role.name, daemon=True)

    def start(self) -> None:
        """Start it, unless one is there; from then on it is watched."""
        if not self._role.adopted():
            self._launch()
        self._thread.start()

    def stop(self) -> None:
        """End it in an orderly way, harder if it takes too long, and do not start it again."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        process = self._process
        if self._role.end is not None:
            self._role.end()
        elif process is not None:
            process.terminate()
        if process is not None:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._close_lifeline()

    @property
    def trouble(self) -> str:
        """Why it keeps ending, in its own last words; empty while it runs."""
        process = self._process
        if process is None or process.poll() is None:
            return ""
        lines = self._log_file.read_text(errors="replace").splitlines() if self._log_file.exists() else []
        words = " ".join(lines[-_LAST_LINES:])[-_LAST_CHARACTERS:]
        return f"The {self._role.name} ended with exit code {process.returncode}: {words or 'it said nothing'}"

    def _watch(self) -> None:
        pause, began = 0.0, time.monotonic()
        while not self._stop.wait(_WATCH_SECONDS):
            if self._runs():
                continue
            lived = time.monotonic() - began
            pause = 0.0 if lived > _SETTLED_SECONDS else min(max(2 * pause, 0.2), _LONGEST_PAUSE_SECONDS)
            _log.warning("%s ended; starting it again%s", self._role.name, f" in {pause:.1f} s" if pause else "")
            if self._stop.wait(pause):
                return
            self._launch()
            began = time.monotonic()

    def _runs(self) -> bool:
        if self._process is not None and self._process.poll() is None:
            return True
        return self._role.adopted()

    def _launch(self) -> None:
        self._close_lifeline()
        inherited: tuple[int, ...] = ()
        environment = dict(self._environment)
        if self._role.lifeline:
            end, self._lifeline = os.pipe()
            inherited = (end,)
            environment[lifeline.VARIABLE] = str(end)
        try:
            with self._log_file.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "prodsprints.cli.main", self._role.name],
                    env=environment,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=inherited,
                    start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the others in order
                )
        except OSError as error:
            _log.warning("%s cannot be started: %s", self._role.name, error.strerror)
        finally:
            for descriptor in inherited:
                os.close(descriptor)

    def _close_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


def environment(settings: Settings, own: Mapping[str, str] | None = None, *, role: str = "") -> dict[str, str]:
    """The whole environment of a child: our settings, spelled out, and what one of this role may know of the user's."""
    given = os.environ if own is None else own
    known = _PASSED_ON | _FOR_THE_WORKER if role == "worker" else _PASSED_ON
    prefixes = _PREFIXES.get(role, ("PIP_",))
    passed = {name: value for name, value in given.items() if name in known or name.startswith(prefixes)}
    ours = {
        "PRODSPRINTS_HOME": str(settings.home),
        "PRODSPRINTS_NODE": settings.node,
        "PRODSPRINTS_HOST": settings.host,
        "PRODSPRINTS_PORT": str(settings.port),
        "PYTHONUNBUFFERED": "1",
    }
    if settings.database_url is not None:
        ours["PRODSPRINTS_DATABASE_URL"] = settings.database_url
    if settings.witness is not None:
        ours["PRODSPRINTS_WITNESS"] = str(settings.witness)
    if settings.admin_database_url is not None:
        ours["PRODSPRINTS_ADMIN_DATABASE_URL"] = settings.admin_database_url
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **passed, **ours}
