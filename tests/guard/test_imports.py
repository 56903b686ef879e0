"""The guard is a library of its own: importing it loads nothing heavy, and a call that works loads nothing more."""

from __future__ import annotations

import subprocess
import sys

import pytest

import prodsprints.guard


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_it_loads_no_database_no_web_no_event_loop_and_no_tenacity() -> None:
    loaded = loaded_after("import prodsprints.guard")
    assert not loaded & {"psycopg", "fastapi", "pydantic", "httpx", "opentelemetry", "asyncio", "tenacity"}
    ours = {name for name in loaded if name.startswith("prodsprints.")}
    others = {name for name in ours if not name.startswith("prodsprints.guard")}
    assert others == {"prodsprints.kernel", "prodsprints.kernel.errors"}


def test_tenacity_is_loaded_by_the_first_failure_and_not_by_a_success() -> None:
    works = "from prodsprints.guard import Guard\nGuard('p')(str)(1)\n"
    assert "tenacity" not in loaded_after(works)
    fails = "from prodsprints.guard import Guard\ntry: Guard('p')(int)('x')\nexcept ValueError: pass\n"
    assert "tenacity" in loaded_after(fails)


def test_every_public_name_is_there() -> None:
    for name in prodsprints.guard.__all__:
        assert getattr(prodsprints.guard, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="retry_never"):
        prodsprints.guard.retry_never  # noqa: B018
