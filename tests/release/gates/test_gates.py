from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from prodsprints.controls.credentials.errors import ScanError
from prodsprints.release.gates import bill, secrets, tests
from prodsprints.release.gates.result import GateResult
from prodsprints.release.image.build import Image
from prodsprints.runtime import users
from support_images import Workshop, application, commit, wheel

RUNNER = ("python", "suite.py")


def run_tests(
    workshop: Workshop, suite: str, *, test: tuple[str, ...] = RUNNER, seconds: float = 30, **changes
) -> GateResult:
    workshop.write({"suite.py": suite})
    work = workshop.place / "work"
    work.mkdir()
    return tests.check(
        workshop.tree,
        application(test=test, **changes),
        cache=workshop.place / "cache",
        work=work,
        guards=workshop.guards,
        on_line=workshop.said.append,
        timeout_seconds=seconds,
    )


def test_tests_see_the_packages_of_the_image_and_their_own_in_agreeing_versions(workshop: Workshop) -> None:
    wheel(workshop.wheels, "checker", metadata="Requires-Dist: greeting\n")
    workshop.write({"requirements.txt": "greeting<2\n"})
    wheel(workshop.wheels, "greeting", "2.0")
    suite = "import checker, greeting, shop; print('greeting', greeting.__version__)"
    result = run_tests(workshop, suite, test_packages=("checker",))
    assert result.passed
    assert not result.findings
    assert result.summary == "The tests passed: greeting 1.0"


def test_failing_tests_refuse_with_their_last_words(workshop: Workshop) -> None:
    result = run_tests(workshop, "print('1 failed, 2 passed'); raise SystemExit(1)")
    assert not result.passed
    assert "exit code 1): 1 failed, 2 passed" in result.summary
    assert "python suite.py" in result.next_step


@pytest.mark.parametrize(
    ("said", "result", "first"),
    [
        ("FAILED tests/test_a.py::test_b - assert 1 == 2\n1 failed, 3 passed in 0.12s",
         "1 failed, 3 passed in 0.12s", "tests/test_a.py::test_b - assert 1 == 2"),
        ("FAIL: test_b (shop.tests.Basket.test_b)\nRan 4 tests in 0.012s\nFAILED (failures=1)\nDestroying database…",
         "Ran 4 tests in 0.012s", "test_b (shop.tests.Basket.test_b)"),
    ],
)  # fmt: skip
def test_of_failing_tests_the_first_is_named(workshop: Workshop, said: str, result: str, first: str) -> None:
    found = run_tests(workshop, f"print({said!r}); raise SystemExit(1)")
    assert found.summary == f"The tests failed (exit code 1): {result}; first: {first}"


def test_hanging_tests_are_stopped_and_refuse(workshop: Workshop) -> None:
    result = run_tests(workshop, "import time; print('test_slow', flush=True); time.sleep(600)", seconds=1.5)
    assert not result.passed
    assert "did not end within" in result.summary and "test_slow" in result.summary


@pytest.mark.parametrize("test", [(), RUNNER])
def test_a_repository_without_tests_passes_and_says_so(workshop: Workshop, test: tuple[str, ...]) -> None:
    result = run_tests(workshop, "raise SystemExit(5)", test=test)
    assert result.passed
    assert result.findings
    assert "Nothing was tested" in result.summary


def test_a_missing_test_package_is_named(workshop: Workshop) -> None:
    result = run_tests(workshop, "", test=("python", "-m", "pytest"))
    assert not result.passed
    assert "No module named pytest" in result.next_step


def test_tests_run_on_a_copy_and_see_nothing_of_ours(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PRODSPRINTS_HOME", "DATABASE_URL", "PGPASSWORD", "PRODSPRINTS_DATABASE_URL"):
        monkeypatch.setenv(name, os.environ.get(name, "ours-secret"))
    suite = "import os; open('shop/left.py', 'w').close(); print(sorted(os.environ))"
    result = run_tests(workshop, suite)
    assert result.passed
    assert not (workshop.tree / "shop" / "left.py").exists()
    assert "PRODSPRINTS" not in result.summary and "DATABASE" not in result.summary and "PGPASS" not in result.summary


def test_a_secret_that_tests_print_is_redacted(workshop: Workshop) -> None:
    result = run_tests(workshop, "print('api_key = abcdef123456')")
    assert "abcdef123456" not in str(result) + "".join(workshop.said)


AWS = "AKIA" + "QYLPMN5HFIQR7XYA"
GITHUB = "ghp_" + "a1B2c3D4e5F6a1B2c3D4e5F6a1B2c3D4e5F6"


def test_certain_secrets_refuse_by_place_and_kind_and_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(f"one = 1\nkey = '{AWS}'\n")
    (tmp_path / "token.txt").write_text(f"{GITHUB}\n")
    (tmp_path / "id.pem").write_text("-----BEGIN RSA PRIVATE" + " KEY-----\nabc\n")
    result = secrets.check(tmp_path)
    assert not result.passed
    assert [str(finding) for finding in result.findings if "perhaps" not in finding.text] == [
        "config.py:2: AWS Access Key",
        "id.pem:1: Private Key",
        "token.txt:1: GitHub Token",
    ]
    assert AWS not in str(result) and GITHUB not in str(result)
    assert "3 secrets" in result.summary


def test_likely_secrets_only_warn(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("password = 'correct-horse-battery'\nkey = 'AKIAIOSFODNN7EXAMPLE'\n")
    result = secrets.check(tmp_path)
    assert result.passed
    assert result.findings
    assert {finding.line for finding in result.findings} == {1, 2}


def test_an_allowed_line_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(f"key = '{AWS}'  # pragma: allowlist secret\n")
    result = secrets.check(tmp_path)
    assert result.passed
    assert not result.findings


def test_what_is_not_scanned_is_named_and_binary_files_are_not_spoken_of(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_text("[" + "1,\n" * 400_000 + "1]")
    (tmp_path / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (tmp_path / "image.bin").write_bytes(bytes(5000))
    (tmp_path / "link").symlink_to("/etc/hostname")
    assert [str(finding) for finding in secrets.check(tmp_path).findings] == [
        "large.json: not scanned: larger than 1024 KiB",
        "latin.txt: not scanned: not UTF-8",
    ]


def test_a_scan_that_does_not_end_refuses(tmp_path: Path) -> None:
    (tmp_path / "much.py").write_text("value = 'x' * 3\n" * 60_000)
    result = secrets.check(tmp_path, timeout_seconds=0.5)
    assert not result.passed
    assert "did not come to its end" in result.summary


def test_a_module_in_the_scanned_tree_is_not_imported(tmp_path: Path) -> None:
    for name in ("yaml", "requests", "detect_secrets"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    assert secrets.check(tmp_path).passed


def test_nothing_is_asked_over_the_network_when_a_secret_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prodsprints.controls.credentials import scanner

    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("a request was made")

    said: list[dict[str, object]] = []
    monkeypatch.setattr("requests.sessions.Session.request", refuse)
    monkeypatch.setattr(scanner, "_say", said.append)
    slack = "xoxb-" + "123456789012-123456789012-abcdefghijklmnopqrstuvwx"
    (tmp_path / "x.py").write_text(f"key = '{AWS}'\nsecret = '{'Ab1/' * 10}'\nslack = '{slack}'\n")
    scanner.main(tmp_path)
    assert {entry.get("kind") for entry in said} >= {"AWS Access Key", "Slack Token"}


def bill_of(workshop: Workshop, image: Image) -> tuple[GateResult, bytes]:
    result = bill.check(workshop.layout, image, name="shop", source=commit(workshop.tree))
    return result, bill.bill_path(workshop.layout, image.digest).read_bytes()


def test_the_bill_of_materials_is_valid_and_names_every_package(workshop: Workshop) -> None:
    wheel(workshop.wheels, "licensed", metadata="License-Expression: Apache-2.0\n")
    wheel(workshop.wheels, "oddly", metadata="License: Something; see (file\n")
    workshop.write({"requirements.txt": "greeting\nlicensed\noddly\n"})
    image = workshop.build()
    result, content = bill_of(workshop, image)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content.decode()) is None
    document = json.loads(content)
    assert [(item["name"], item["purl"], "hashes" in item) for item in document["components"]] == [
        (name, f"pkg:pypi/{name}@1.0", True) for name in ("greeting", "licensed", "oddly")
    ]
    assert document["components"][1]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert document["metadata"]["timestamp"].startswith("2026-01-02T03:04:05")
    assert result.passed
    assert result.findings
    assert [str(finding) for finding in result.findings] == ["greeting 1.0 states no licence"]


def test_the_bill_of_materials_of_an_image_is_always_the_same(workshop: Workshop) -> None:
    image = workshop.build()
    assert bill_of(workshop, image)[1] == bill_of(workshop, image)[1]


def test_an_application_without_dependencies_has_an_empty_bill(workshop: Workshop) -> None:
    result, content = bill_of(workshop, workshop.build(dependencies=()))
    assert result.passed
    assert not result.findings
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content.decode()) is None


def test_tests_do_not_run_as_us(workshop: Workshop) -> None:
    result = run_tests(workshop, "import os; print('uid', os.getuid())")
    assert result.summary.endswith(f"uid {users.unprivileged('tests:shop') or os.getuid()}")


def test_a_scanner_that_fails_itself_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "scanner.py"
    broken.write_text("raise SystemExit('no detect-secrets here')\n")
    monkeypatch.setattr("prodsprints.controls.credentials.scan._SCANNER", broken)
    with pytest.raises(ScanError, match="ended with 1"):
        secrets.check(tmp_path)
