"""The shop that releases are shown with: three versions, audited clean, their own tests green."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prodsprints.release.audit import audit
from prodsprints.release.examples import lay_out_shop
from prodsprints.release.source import export, resolve

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDED = ("starlette", "jinja2", "httpx", "pytest")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out_shop(EXAMPLES, tmp_path_factory.mktemp("examples"))


def test_equal_files_give_equal_commits_and_each_version_is_another(shop, tmp_path):
    made = [lay_out_shop(EXAMPLES, tmp_path) for _ in range(2)][-1]
    first, second = ([resolve(place, version).commit for version in ("v1", "v2", "v3")] for place in (shop, made))
    assert first == second
    assert len(set(first)) == 3
    assert resolve(shop, None).label == "v3"


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_each_version_is_audited_clean_and_passes_its_own_tests(shop, tmp_path, version):
    export(resolve(shop, version), tmp_path / "tree")
    found = audit(tmp_path / "tree")
    assert not found.refusals
    assert not found.questions
    assert not [finding for finding in found.findings if finding.key in ("contradiction", "unreadable", "secret-file")]
    application = found.application
    assert (application.name, application.health_path, application.needs_database) == ("shop", "/healthz", True)
    assert application.web[:2] == ("uvicorn", "shop.main:app")
    assert application.migrate == ("alembic", "upgrade", "head")
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the shop's tests need {', '.join(missing)}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "tree",
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_shop_says_what_it_needs_when_no_database_is_named(shop, tmp_path):
    export(resolve(shop, "v1"), tmp_path / "tree")
    done = subprocess.run(
        [sys.executable, "-c", "from shop.settings import database_url; database_url()"],
        cwd=tmp_path / "tree",
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "set DATABASE_URL" in done.stderr


def test_the_third_version_fails_one_request_in_twenty(shop, tmp_path):
    export(resolve(shop, "v3"), tmp_path / "tree")
    counted = (
        "from random import Random\n"
        "from shop.domain import Product, deal_of_the_moment\n"
        "products, chance, failed = [Product(str(n), '', '', 1) for n in range(19)], Random(5), 0\n"
        "for _ in range(20_000):\n"
        "    try:\n"
        "        deal_of_the_moment(products, chance)\n"
        "    except IndexError:\n"
        "        failed += 1\n"
        "print(failed / 20_000)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", counted], cwd=tmp_path / "tree", capture_output=True, text=True, timeout=60, check=True
    )
    assert float(done.stdout) == pytest.approx(0.05, abs=0.006)
    catalogue = (tmp_path / "tree/migrations/versions/0001_catalogue_and_orders.py").read_text()
    assert catalogue.count('    ("') == 19, "the share follows from the number of products"
