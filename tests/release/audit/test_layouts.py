"""Repositories as people have them, audited without any configuration."""

from __future__ import annotations

import json

import pytest

from prodsprints.release.audit import audit

UVICORN = (
    "python -m uvicorn --host 127.0.0.1 --port $PORT --timeout-keep-alive 5 --timeout-graceful-shutdown 10"
    " --no-server-header"
)
GUNICORN = (
    "python -m gunicorn --bind 127.0.0.1:$PORT --worker-class gthread --threads 4 --keep-alive 5 --graceful-timeout 10"
)


@pytest.mark.parametrize(
    ("repository", "framework", "web", "health"),
    [
        ("fastapi-app-main", "fastapi", f"{UVICORN} app.main:app", "/api/internal/healthz"),
        ("fastapi-src-uv", "fastapi", f"{UVICORN} weather_api.api:api", "/health"),
        ("fastapi-flat-in-folder", "fastapi", f"{UVICORN} main:app", None),
        ("starlette-routes", "starlette", f"{UVICORN} server:application", "/internal/ready"),
        ("flask-factory-package", "flask", f"{GUNICORN} flaskr:create_app()", "/ping"),
        ("flask-wsgi-and-factory", "flask", f"{GUNICORN} wsgi:app", "/-/health"),
        ("poetry", "flask", f"{GUNICORN} quotes.app:app", None),
        ("pipenv-runtime", "flask", f"{GUNICORN} app:app", None),
        ("django-settings-package", "django", f"{GUNICORN} config.wsgi:application", None),
        ("django-plain", "django", f"{GUNICORN} mysite.wsgi:application", "/healthz"),
        ("procfile-contradicts", "flask", "gunicorn backend.service:application --bind 0.0.0.0:$PORT", None),
    ],
)
def test_the_command_and_the_health_path_come_out_right(audited, repository, framework, web, health):
    found = audited(repository)
    application = found.application
    assert application is not None, found.refusals
    assert application.framework == framework
    assert " ".join(application.web) == web
    assert application.health_path == (health or "/")
    assert application.health_any == (health is None)
    assert not found.questions


@pytest.mark.parametrize(
    ("repository", "key", "said"),
    [
        ("node-only", "language", "Node"),
        ("monorepo", "monorepo", "services/orders/ (Python), services/users/ (Python)"),
        ("python-and-node-services", "monorepo", "frontend/ (Node)"),
        ("dockerfile-only", "dockerfile", "Dockerfile"),
        ("library", "web", "Nothing here serves the web"),
        ("quart", "framework", "Quart"),
    ],
)
def test_what_cannot_be_released_is_refused_with_the_reason(audited, repository, key, said):
    found = audited(repository)
    assert found.application is None
    (refusal,) = found.refusals
    assert refusal.key == key
    assert said in refusal.reason
    assert refusal.next_step


def test_an_empty_repository_is_refused(audited, tmp_path):
    assert audited(str(tmp_path)).refusals[0].key == "empty"


def test_a_factory_is_called_by_the_server_and_old_servers_get_only_options_they_know(audited):
    application = audited("fastapi-factory").application
    assert application.web[-2:] == ("--factory", "service.application:create_app")
    assert "--timeout-graceful-shutdown" not in application.web, "uvicorn 0.20 does not know it"
    assert application.extra_packages == ()


@pytest.mark.parametrize(
    ("repository", "dependencies", "extra", "python"),
    [
        ("fastapi-app-main", ("requirements.txt",), ("uvicorn",), ""),
        ("fastapi-src-uv", ("pyproject",), (), ">=3.11"),
        ("flask-factory-package", ("pyproject",), ("gunicorn",), ">=3.10"),
        ("poetry", ("pyproject",), ("gunicorn",), "<4,>=3.11"),
        ("pipenv-runtime", ("flask==3.0.3", "gunicorn==22.0.0"), (), "==3.11.*"),
        ("django-settings-package", ("requirements/production.txt",), (), ""),
    ],
)
def test_packages_and_python_are_taken_from_whatever_tool_states_them(audited, repository, dependencies, extra, python):
    application = audited(repository).application
    assert application.dependencies == dependencies
    assert application.extra_packages == extra
    assert application.requires_python == python


@pytest.mark.parametrize(
    ("repository", "test", "packages"),
    [
        ("fastapi-app-main", "python -m pytest -q", ("requirements-dev.txt",)),
        ("fastapi-src-uv", "python -m pytest -q", ("group:dev",)),
        ("flask-factory-package", "python -m pytest -q", ("pytest",)),
        ("poetry", "python -m pytest -q", ("group:dev",)),
        ("django-settings-package", "python -m pytest -q --ds=config.settings.test", ("requirements/test.txt",)),
        (
            "django-plain",
            "sh -c cd mysite && exec python manage.py test --noinput --settings=mysite.settings",
            (),
        ),
        ("flask-wsgi-and-factory", "", ()),
    ],
)
def test_the_tests_are_run_as_the_repository_means_them(audited, repository, test, packages):
    application = audited(repository).application
    assert " ".join(application.test) == test
    assert application.test_packages == packages


def test_migrations_and_the_database_are_found(audited):
    fastapi, django = audited("fastapi-app-main").application, audited("django-settings-package").application
    assert fastapi.migrate == ("python", "-m", "alembic", "upgrade", "head")
    assert django.migrate == ("python", "manage.py", "migrate", "--noinput")
    assert fastapi.needs_database
    assert django.needs_database
    assert not audited("poetry").application.needs_database


def test_a_django_application_gets_the_settings_of_its_server_and_its_import_root(audited):
    assert dict(audited("django-settings-package").application.environment) == {
        "DJANGO_SETTINGS_MODULE": "config.settings.production"
    }
    assert dict(audited("django-plain").application.environment) == {
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "PYTHONPATH": "mysite",
    }


def test_hosts_that_shut_out_this_machine_are_found_and_widen_what_counts_as_healthy(audited):
    found = audited("django-settings-package")
    (hosts,) = [finding for finding in found.findings if finding.key == "allowed-hosts"]
    assert (hosts.file, hosts.line) == ("config/settings/production.py", 4)
    assert found.application.health_any


def test_the_procfile_wins_and_its_contradiction_is_named(audited):
    found = audited("procfile-contradicts")
    (contradiction,) = [finding for finding in found.findings if finding.key == "contradiction"]
    assert (contradiction.file, contradiction.line) == ("Procfile", 2)
    assert "main:app" in contradiction.note
    assert found.application.environment == (("WEB_CONCURRENCY", "2"),)
    assert found.application.migrate == ("sh", "-c", "cd backend && python manage_db.py upgrade | tee log")


def test_two_equally_likely_applications_are_ranked_and_asked_about(audited):
    found = audited("two-candidates")
    assert found.application.web[-1] == "main:app"
    (question,) = found.questions
    assert question.key == "web"
    assert question.options == ("main:app", "app:app")


def test_what_surrounds_the_application_is_found_with_its_place(audited):
    places = {(f.key, f.value, f.file, f.line) for f in audited("surrounded").findings}
    assert {
        ("service", "Celery", "requirements.txt", 2),
        ("service", "MySQL", "requirements.txt", 3),
        ("sqlite", "sqlite:///data.db", "app.py", 6),
        ("sigterm", "handled", "app.py", 7),
        ("ci", "GitHub Actions", ".github/workflows/ci.yml", 1),
        ("terraform", "infra", "infra/main.tf", 1),
        ("docker", "Dockerfile", "Dockerfile", 1),
        ("port", "8080", "Dockerfile", 3),
        ("lfs", "Git LFS", ".gitattributes", 1),
    } <= places


def test_a_stale_lock_is_named(audited):
    (lock,) = [finding for finding in audited("poetry").findings if finding.key == "lock"]
    assert (lock.value, "redis" in lock.note) == ("stale", True)


def test_an_audit_is_plain_json(audited):
    said = json.loads(json.dumps(audited("fastapi-app-main").as_json()))
    assert said["schema"] == 1
    assert said["application"]["health_path"] == "/api/internal/healthz"


def test_committed_secrets_are_found_and_examples_are_not(audited, laid_out):
    key = "-----BEGIN " + "PRIVATE KEY-----\n"
    root = laid_out({".env": "A=1", ".env.example": "A=", "tls/site.pem": key, "tls/ca.pem": "CERTIFICATE"})
    found = {finding.value for finding in audited(str(root)).findings if finding.key == "secret-file"}
    assert found == {".env", "tls/site.pem"}


def test_the_configuration_overrides_what_is_found():
    from pathlib import Path

    from prodsprints.release.audit import audit
    from prodsprints.release.config import ReleaseConfig

    config = ReleaseConfig(
        name="other",
        web=("python", "serve.py", "$PORT"),
        health="/up",
        test=(),
        migrate=(),
        python=">=3.12",
        services=(),
    )
    application = audit(Path(__file__).parents[2] / "fixtures" / "repos" / "fastapi-app-main", config).application
    assert application.name == "other"
    assert application.web == ("python", "serve.py", "$PORT")
    assert (application.health_path, application.health_any) == ("/up", False)
    assert (application.test, application.migrate) == ((), ())
    assert application.requires_python == ">=3.12"
    assert not application.needs_database


_SETTINGS = """
import dj_database_url
DATABASES = {"default": dj_database_url.config(default="sqlite:///db.sqlite3", conn_max_age=600)}
"""


def test_a_procfile_that_names_djangos_module_only_is_still_django_with_its_postgres(laid_out):
    root = laid_out({
        "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nimport django\n",
        "shop/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
        "shop/settings.py": _SETTINGS,
        "catalog/migrations/0001_initial.py": "",
        "requirements.txt": "django\npsycopg[binary]\ndj-database-url\ngunicorn\n",
        "Procfile": "web: gunicorn shop.wsgi --log-file -\n",
    })  # fmt: skip
    found = audit(root)
    assert found.application.framework == "django"
    assert found.application.needs_database
    assert "sqlite" not in [finding.key for finding in found.findings], "it is only the default"


def test_djangos_own_tables_are_made_also_where_a_project_has_no_migrations(laid_out):
    root = laid_out({
        "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.settings')\nimport django\n",
        "site/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
        "site/settings.py": "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3'}}\n",
        "requirements.txt": "django\n",
    })  # fmt: skip
    assert audit(root).application.migrate == ("python", "manage.py", "migrate", "--noinput")


def test_an_application_that_is_not_readable_as_python_is_named(laid_out):
    found = audit(laid_out({"requirements.txt": "flask\n", "app.py": "from flask import Flask\napp = Flask(\n"}))
    assert "app.py could not be read as Python" in found.refusals[0].reason
