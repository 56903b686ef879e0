"""What stands around the application and matters to a release: services, secrets, CI, Docker, Terraform, signals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from prodsprints.release.audit.files import Files, is_aside
from prodsprints.release.audit.packages import Packages
from prodsprints.release.audit.python import Module, Modules, spelled
from prodsprints.release.audit.values import Finding

POSTGRES_DRIVERS = ("psycopg", "psycopg2", "psycopg2-binary", "psycopg-binary", "asyncpg", "pg8000", "aiopg")
_DATABASE_NAMES = re.compile(
    r"(?:[A-Z_]*DATABASE_URL|[A-Z_]*DATABASE_URI|POSTGRES(?:QL)?_(?:URL|DSN|HOST|SERVER|USER|DB)|PG(?:HOST|DATABASE)"
    r"|DB_(?:HOST|URL|DSN)|database_url)"
)
_SERVICES = {
    "redis": "Redis", "celery": "Celery", "rq": "RQ (Redis)", "dramatiq": "Dramatiq", "arq": "arq (Redis)",
    "pymongo": "MongoDB", "motor": "MongoDB", "mysqlclient": "MySQL", "pymysql": "MySQL", "aiomysql": "MySQL",
    "elasticsearch": "Elasticsearch", "opensearch-py": "OpenSearch", "pika": "RabbitMQ", "aio-pika": "RabbitMQ",
    "kafka-python": "Kafka", "confluent-kafka": "Kafka", "aiokafka": "Kafka", "boto3": "AWS", "pymemcache": "Memcached",
}  # fmt: skip
_NATIVE = {
    "psycopg2": "libpq (or depend on psycopg2-binary)", "mysqlclient": "the MySQL client library",
    "python-ldap": "OpenLDAP", "weasyprint": "Pango", "gdal": "GDAL", "pygraphviz": "Graphviz", "pycairo": "Cairo",
    "pyodbc": "unixODBC", "python-magic": "libmagic", "pdf2image": "Poppler", "pytesseract": "Tesseract",
}  # fmt: skip
_CI = {
    ".gitlab-ci.yml": "GitLab CI", "Jenkinsfile": "Jenkins", ".travis.yml": "Travis CI", "azure-pipelines.yml": "Azure",
    "bitbucket-pipelines.yml": "Bitbucket", ".circleci/config.yml": "CircleCI", ".drone.yml": "Drone",
}  # fmt: skip
_SECRET_NAMES = re.compile(
    r"(?:\.env(?:\.(?!example|sample|template|dist|test|ci)[\w-]+)?|id_(?:rsa|dsa|ecdsa|ed25519)|.*\.(?:pem|key|p12|pfx|jks)"
    r"|service[-_]account.*\.json|\.pypirc|\.netrc|\.pgpass)",
    re.IGNORECASE,
)
_MOST_OF_A_KIND = 10
UNSURE = 0.6
"""The confidence in a database that has a driver and nobody who asks for its address."""


def surroundings(
    files: Files, modules: Modules, packages: Packages, database: Finding | None = None
) -> Iterator[Finding]:
    """Every finding that is not about the application object itself; `database` is the PostgreSQL that it wants."""
    yield from _services(packages)
    if database is None or database.confidence <= UNSURE:  # else SQLite is only its default
        yield from _sqlite(files, modules)
    yield from _delivery(files)
    yield from _secret_files(files)
    yield from _signals(modules)
    if files.truncated:
        yield Finding("bounds", "not everything was read", ".", 1, 1.0, "the repository exceeds the audit's bounds")
    for name, reason in sorted(files.unreadable.items())[:_MOST_OF_A_KIND]:
        yield Finding("unreadable", name, name, 1, 1.0, reason)


def postgres(modules: Modules, packages: Packages) -> Finding | None:
    """The PostgreSQL that the application wants: a driver among its packages, and code that reads its address."""
    driver = packages.find(*POSTGRES_DRIVERS)
    if driver is None:
        extras = [entry for entry in packages.declared if {"postgresql", "asyncpg"} & entry.requirement.extras]
        driver = next((entry for entry in extras if not entry.group), None)
    if driver is None:
        return None
    for module in modules:
        for text, line in module.strings:
            if len(text) < 64 and (found := _DATABASE_NAMES.fullmatch(text)):
                return _postgres(found[0], module.file, line, driver.name)
        for node in ast.walk(module.tree):  # pydantic's settings read the variable that a field is named after
            if isinstance(node, ast.Call) and _reads_by_itself(node, module, packages):
                return _postgres("DATABASE_URL", module.file, node.lineno, driver.name)
            if isinstance(node, ast.AnnAssign) and spelled(node.target).lower() == "database_url":
                return _postgres("DATABASE_URL", module.file, node.lineno, driver.name)
    return Finding(
        "database", "postgresql", driver.file, driver.line, UNSURE, "a driver, but nothing reads DATABASE_URL"
    )


def _reads_by_itself(call: ast.Call, module: Module, packages: Packages) -> bool:
    """Whether it is a call by which Django's helpers read DATABASE_URL without naming it."""
    if module.dotted(call.func) == "dj_database_url.config":
        return not any(keyword.arg == "env" for keyword in call.keywords) and not call.args
    environ = packages.find("django-environ") is not None
    return environ and spelled(call.func) in ("env.db", "env.db_url") and not call.args


def _postgres(variable: str, file: str, line: int, driver: str) -> Finding:
    note = f"by {driver}, from {variable}"
    if not variable.upper().endswith("DATABASE_URL"):
        note += "; a release sets DATABASE_URL only: read that, or set this variable in `environment`"
    return Finding("database", "postgresql", file, line, 0.9, note)


def _services(packages: Packages) -> Iterator[Finding]:
    for entry in packages.declared:
        if entry.group:
            continue
        if service := _SERVICES.get(entry.name):
            note = "not provided by a release: give its address in `environment`"
            yield Finding("service", service, entry.file, entry.line, 0.8, note)
        if library := _NATIVE.get(entry.name):
            yield Finding(
                "native-library", library, entry.file, entry.line, 0.7, f"{entry.name} needs it on the machine"
            )


def _sqlite(files: Files, modules: Modules) -> Iterator[Finding]:
    note = "kept inside the release: every release starts without it; use PostgreSQL for what must last"
    for name in files.names:
        if name.endswith((".sqlite", ".sqlite3", ".db")) and not is_aside(name):
            yield Finding("sqlite", name, name, 1, 0.9, note)
            return
    for module in modules:
        for text, line in module.strings:
            if text.startswith("sqlite:///") or text == "django.db.backends.sqlite3" or "sqlite+aiosqlite:///" in text:
                yield Finding("sqlite", text[:80], module.file, line, 0.8, note)
                return


def _delivery(files: Files) -> Iterator[Finding]:
    workflows = [n for n in files.names if n.startswith(".github/workflows/") and n.endswith((".yml", ".yaml"))]
    for name in workflows[:_MOST_OF_A_KIND]:
        yield Finding("ci", "GitHub Actions", name, 1, 0.98)
    for name, service in _CI.items():
        if name in files:
            yield Finding("ci", service, name, 1, 0.98)
    for name in files.named("Dockerfile", "Containerfile")[:_MOST_OF_A_KIND]:
        yield Finding("docker", "Dockerfile", name, 1, 0.98, "not used: the image is built from the Python packages")
        for number, text in files.lines(name):
            if found := re.search(r"\bapt(?:-get)?\s+(?:-\S+\s+)*install\s+(?:-\S+\s+)*([^-\s].{1,120})", text):
                note = "the Dockerfile installs it; a release does not"
                yield Finding("native-library", found[1].rstrip("\\ &"), name, number, 0.5, note)
            if found := re.match(r"\s*EXPOSE\s+(\d{2,5})", text, re.IGNORECASE):
                yield Finding("port", found[1], name, number, 0.5, "a release sets $PORT instead")
    terraform = [name for name in files.names if name.endswith((".tf", ".tf.json"))]
    for name in terraform[:1]:
        note = f"{len(terraform)} files; they are not applied by this release"
        yield Finding("terraform", name.rpartition("/")[0] or ".", name, 1, 0.98, note)
    if ".gitattributes" in files and "filter=lfs" in files.text(".gitattributes"):
        line = files.line_of(".gitattributes", "filter=lfs")
        yield Finding(
            "lfs", "Git LFS", ".gitattributes", line, 0.9, "a release holds the pointers, not the files behind them"
        )
    if "package.json" in files:
        yield Finding("node", "package.json", "package.json", 1, 0.9, "not built: commit what the pages need")


def _secret_files(files: Files) -> Iterator[Finding]:
    named = [name for name in files.names if _SECRET_NAMES.fullmatch(name.rpartition("/")[2])]
    for name in named[:_MOST_OF_A_KIND]:
        if name.endswith((".pem", ".key")) and b"PRIVATE KEY" not in (files.content(name) or b""):
            continue
        note = "committed: take it out of the repository, and change what it opens"
        yield Finding("secret-file", name, name, 1, 0.6 if is_aside(name) else 0.9, note)


def _signals(modules: Modules) -> Iterator[Finding]:
    for module in modules:
        for call in module.calls:
            handles = call.args and spelled(call.args[0]).endswith("SIGTERM")
            if handles and spelled(call.func).rpartition(".")[2] in ("signal", "add_signal_handler"):
                note = "the code handles it itself: it has to let requests finish and then end"
                yield Finding("sigterm", "handled", module.file, call.lineno, 0.8, note)
                return
