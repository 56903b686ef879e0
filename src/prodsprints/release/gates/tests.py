"""The gate of the repository's own tests: run as strangers' code, on a copy, without our keys or addresses."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from prodsprints.controls.providers.guards import Guards
from prodsprints.kernel.redaction import Redactor
from prodsprints.release.audit.values import Application
from prodsprints.release.gates.result import GateFinding, GateResult
from prodsprints.release.image.environment import environment_for_tests
from prodsprints.release.image.layout import enough_space
from prodsprints.runtime import sandbox, users

_NO_TESTS_COLLECTED = 5  # pytest's exit code; unittest has the same since 3.12
_DEFAULT_TIMEOUT_SECONDS = 30 * 60.0
_RESULT = re.compile(r"(?:=+ )?(?:\d+ (?:passed|failed|errors?|skipped)\b.* in [\d.]+s|Ran \d+ tests? in [\d.]+s).*")
_FAILED = re.compile(r"(?:FAILED|ERROR|FAIL:|ERROR:) (?P<test>[\w./]+(?:::| \().*)")


def check(
    tree: Path,
    application: Application,
    *,
    cache: Path,
    work: Path,
    guards: Guards,
    on_line: Callable[[str], None],
    pulse: Callable[[], None] = lambda: None,
    timeout_seconds: float = _DEFAULT_TIMEOUT_SECONDS,
) -> GateResult:
    """Run the tests of the exported `tree` in `work`, a new directory that the caller removes afterwards.

    They see the packages of the image and of the tests, no network where there is bubblewrap, and no secret anywhere.
    A repository without tests passes with a warning. Raises an ImageError when their packages cannot be installed.
    """
    started = time.monotonic()
    if not application.test:
        return _without_tests("The repository has no tests that the audit could find.", started)
    redactor = Redactor()
    copy = work / "tree"
    with enough_space(work):
        work.chmod(0o755)
        shutil.copytree(tree, copy, symlinks=True)
        for name in ("home", "tmp"):
            (work / name).mkdir()
    runtime = environment_for_tests(
        copy, application, cache=cache, work=work, guards=guards, on_line=on_line, pulse=pulse
    )
    user = users.unprivileged(f"tests:{application.name}")
    writable = (copy, work / "home", work / "tmp")
    for directory in writable:
        users.give(directory, user)
    done = sandbox.run(
        runtime.argv,
        cwd=runtime.workdir,
        env={**runtime.env, "HOME": str(work / "home"), "TMPDIR": str(work / "tmp"), "CI": "true"},
        confinement=sandbox.Confinement(writable=writable, readable=runtime.readable, user=user),
        timeout_seconds=timeout_seconds,
        on_line=lambda line: on_line(redactor.text(line)),
        pulse=pulse,
    )
    log = tuple(redactor.text(line) for line in done.tail)
    if done.exit_code == _NO_TESTS_COLLECTED and not done.timed_out:
        return _without_tests("The test run found no tests.", started)
    return _judged(done, log, timeout_seconds, started, " ".join(application.test))


def _without_tests(what: str, started: float) -> GateResult:
    return GateResult(
        passed=True,
        summary=f"{what} Nothing was tested.",
        findings=(GateFinding("no tests: add some, or name their command as `test` in prodsprints.yaml"),),
        seconds=time.monotonic() - started,
    )


def _judged(
    done: sandbox.Completed, log: tuple[str, ...], timeout_seconds: float, started: float, command: str
) -> GateResult:
    last = next((line.strip() for line in reversed(log) if line.strip()), "")
    result = next((line.strip(" =") for line in reversed(log) if _RESULT.fullmatch(line.strip())), last) or "no output"
    if done.timed_out:
        wrote = f"their last line: {last}" if last else "they had written nothing"
        summary = f"The tests did not end within {timeout_seconds:.0f} s and were stopped; {wrote}"
        step = f"Run `{command}` in the repository and see where it hangs; a release does not wait longer."
    elif done.exit_code != 0:
        first = next((found["test"] for line in log if (found := _FAILED.fullmatch(line.strip()))), "")
        summary = f"The tests failed (exit code {done.exit_code}): {result}{f'; first: {first}' if first else ''}"
        missing = next((line for line in log if "No module named" in line), None)
        step = (
            f"{missing.strip()}: add it to the repository's test dependencies."
            if missing
            else f"Run `{command}` in the repository, correct what fails, commit and release again."
        )
    else:
        summary, step = f"The tests passed: {result}", ""
    return GateResult(passed=not step, summary=summary, seconds=time.monotonic() - started, next_step=step)
