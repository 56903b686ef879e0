from __future__ import annotations

import pytest

from prodsprints.release.audit.procfile import command


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ("gunicorn app:app -b 0.0.0.0:$PORT", ("gunicorn", "app:app", "-b", "0.0.0.0:$PORT")),
        ("uvicorn app:app --port ${PORT:-8000}", ("uvicorn", "app:app", "--port", "$PORT")),
        ("uvicorn app:app --port ${PORT}", ("uvicorn", "app:app", "--port", "$PORT")),
        ("gunicorn 'app:create_app()'", ("gunicorn", "app:create_app()")),
        ("a | b", ("sh", "-c", "a | b")),
        ("cd src && gunicorn app:app", ("sh", "-c", "cd src && exec gunicorn app:app")),
        ("gunicorn app:app -w $WORKERS", ("sh", "-c", "exec gunicorn app:app -w $WORKERS")),
        ("gunicorn 'unclosed", ("sh", "-c", "gunicorn 'unclosed")),
    ],
)
def test_a_shell_runs_only_what_needs_one(line, argv):
    assert command(line) == (argv, ())


def test_assignments_before_the_command_become_its_environment():
    assert command("A=1 B='two words' run $PORT") == (("run", "$PORT"), (("A", "1"), ("B", "two words")))
