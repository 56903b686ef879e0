"""The story of the tour: the risks, an audit, two releases under traffic, and a third one that is rolled back."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.rule import Rule
from rich.text import Text

import prodsprints
from prodsprints.cli import following
from prodsprints.cli.commands import audit
from prodsprints.cli.errors import StoryError
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform
from prodsprints.cli.tour import breaking
from prodsprints.cli.tour.breaking import Drills
from prodsprints.cli.tour.traffic import Traffic
from prodsprints.kernel.settings import Settings

Json = dict[str, Any]

_RATE = 300
_PATHS = ("/", "/api/products")
_AFTERWARDS_SECONDS = 2.0


@dataclass
class Ending:
    """How the story came out, in figures: the last line of `make run ONCE=1`."""

    released: list[str] = field(default_factory=list)
    rolled_back: list[str] = field(default_factory=list)
    verdict_seconds: float | None = None
    rollback_seconds: float | None = None
    requests: int = 0
    failed_requests: int = 0
    canary_errors: int = 0
    drills: Drills = field(default_factory=Drills)
    register: dict[str, int] = field(default_factory=dict)


_STATUSES = ("proven", "attested", "unproven", "stale", "failing", "contradicted", "invalid")


def play(settings: Settings, out: Output, *, again: bool) -> Ending | None:
    """Play the example. If its second version serves already and not `again`, say so instead, and return None.

    Raises StoryError when it does not come out as it should.
    """
    teller = _Teller(Platform(settings), out)
    teller.show_risks()
    serving = teller.environment("shop")
    if serving and serving["current_label"] == "v2" and not again:
        teller.say(
            f"\nThe shop's v2 serves at {serving['address']}, as the tour left it. "
            f"Play it again: {_command('up --tour --once')} (or make run ONCE=1)."
        )
        teller.say_next()
        return None
    ending = teller.tell()
    teller.break_things(ending, wait_for_all=again)
    teller.say_next()
    return ending


def release_own(settings: Settings, out: Output, repository: Path) -> None:
    """Audit and release the user's own repository instead of the example."""
    teller = _Teller(Platform(settings), out)
    teller.show_risks()
    if teller.audit(repository):
        teller.release_own(repository)


class _Teller:
    def __init__(self, platform: Platform, out: Output) -> None:
        self._platform = platform
        self._out = out

    def show_risks(self) -> None:
        from prodsprints.cli import registers
        from prodsprints.register import heatmap

        found = self._register()
        summary = found["summary"]
        console = self._out.console
        self._chapter(f"The risk document: {summary['risks']} risks, {summary['mitigations']} mitigations")
        today = registers.as_today(found)
        self.say(Text.from_ansi(heatmap.text(today, min(console.width, 100), colour=console.is_terminal)))
        self.say(Text(summary["text"], style="bold"))
        self.say("A claim is not a proof: a row turns green only after a drill has shown it holding.")
        for review in summary["overdue"][:1]:
            self.say(f"Next: review {review['subject']}; look at a risk: {_command('register show R001')}.")

    def break_things(self, ending: Ending, *, wait_for_all: bool) -> None:
        """Drills, and what they make of the register."""
        self._chapter("What is claimed, broken on purpose: with the control, and without it")
        ending.drills = breaking.play(self._platform, self._out, wait_for_all=wait_for_all)
        found = self._register()
        summary = found["summary"]
        ending.register = {name: summary[name] for name in ("risks", "mitigations", *_STATUSES)}
        self.say(Text(f"\n{summary['text']}", style="bold"))
        self.say(
            f"{found['closing_line']} in {breaking.ENVIRONMENT}; nothing of this speaks for any other environment."
        )

    def tell(self) -> Ending:
        """From the audit to the rollback."""
        from prodsprints.release.examples import lay_out_shop

        ending = Ending()
        repository = lay_out_shop(_examples(), self._platform.settings.home / "examples")
        if not self.audit(repository):
            raise StoryError("The example cannot be released.", next_step="Please report it; the reasons are above.")
        played_before = self.environment("shop") is not None
        if not played_before:
            self._chapter("v1: the first version, nothing to compare it with")
            self._release(repository, "v1", "released", ending.released)
        address = self._address("shop")
        urls = [address + path for path in _PATHS]
        with Traffic(urls, rate=_RATE, canary="v3") as traffic:
            if played_before:
                self._chapter(f"v1: once more, by canary, under {_RATE} requests a second")
                self._release(repository, "v1", "released", ending.released)
                self._say_counts(traffic)
            self._chapter(f"v2: by canary, under {_RATE} requests a second")
            self._release(repository, "v2", "released", ending.released)
            self._say_counts(traffic)
            self._chapter("v3: errs on 5 % of its requests, and nobody knows yet")
            rejected = self._release(repository, "v3", "rolled_back", ending.rolled_back)
            time.sleep(_AFTERWARDS_SECONDS)
        self._say_counts(traffic)
        ending.verdict_seconds = rejected["figures"].get("verdict_seconds")
        ending.rollback_seconds = rejected["figures"].get("rollback_seconds")
        ending.requests = traffic.counts["requests"]
        ending.failed_requests = traffic.counts["failed_requests"]
        ending.canary_errors = traffic.counts["canary_errors"]
        return ending

    def audit(self, repository: Path) -> bool:
        """Show what the repository is; whether it can be released."""
        self._chapter(f"The audit of {repository}")
        found = audit.run(repository)
        for part in audit.rendered(found):
            self.say(part)
        return found.application is not None

    def release_own(self, repository: Path) -> None:
        self._chapter(f"The release of {repository.name}")
        queued = self._platform.post("/releases", {"path": str(repository)})
        ended = following.watch(self._platform, queued, self._out, self._out.stage)
        self.say(following.ending(ended))
        if ended["status"] != "released":
            self.say(f"Its output: {_command('logs --project ' + ended['project'])}")
            return
        address = self._address(ended["project"])
        self.say(f"It serves at {address}.")
        self.say("To see a canary: commit a change, send it requests, and release again:")
        self.say(f"  {sys.executable} -m prodsprints.cli.tour.load {address}/ --rate 50")
        self.say(f"  {_command('release ' + str(repository))}")

    def environment(self, project: str) -> Json | None:
        """The project's production, if anything serves it."""
        for entry in self._platform.environments():
            if entry["project"] == project and entry["name"] == "production" and entry["current_label"]:
                return entry
        return None

    def say(self, what: Any) -> None:
        self._out.tell(what)

    def say_next(self) -> None:
        self.say(Text(f"\nNow your own repository: {_command('audit ~/app')}", style="bold"))

    def _register(self) -> Json:
        found: Json = self._platform.get("/register", environment=breaking.ENVIRONMENT)
        return found

    def _address(self, project: str) -> str:
        serving = self.environment(project)
        if serving is None:
            raise StoryError(f"Nothing serves {project}.", next_step=f"Look at {self._platform.address}.")
        return str(serving["address"])

    def _release(self, repository: Path, version: str, expected: str, into: list[str]) -> Json:
        queued = self._platform.post("/releases", {"path": str(repository), "ref": version})
        ended = self._see_through(queued, version, expected)
        into.append(version)
        return ended

    def _see_through(self, queued: Json, version: str, expected: str) -> Json:
        ended = following.watch(self._platform, queued, self._out, self._out.stage)
        self.say(following.ending(ended))
        if (ended["status"], ended["label"]) != (expected, version):
            raise StoryError(
                f"The tour expected {version}, {expected}; it came to {ended['label']}, {ended['status']}.",
                why=ended.get("reason") or "",
                next_step=f"Its steps are at {self._platform.address}/releases/{ended['id']}.",
            )
        return ended

    def _say_counts(self, traffic: Traffic) -> None:
        counts = traffic.counts
        self.say(
            Text(
                f"  {counts['requests']:,} requests so far, {counts['failed_requests']} failed, "
                f"{counts['canary_errors']} answered with v3's own errors.",
                style="dim",
            )
        )

    def _chapter(self, title: str) -> None:
        self.say("")
        self.say(Rule(Text(title, style="bold"), align="left", style="dim"))


def _examples() -> Path:
    """The folder `examples` of the source repository; a wheel does not carry it."""
    found = Path(prodsprints.__file__).parents[2] / "examples"
    if not (found / "shop").is_dir():
        raise StoryError(
            "The tour's example is not installed.",
            why="It is in the source repository, and this is an installed package.",
            next_step="Run the tour in a clone, or with a repository of yours: prodsprints up --tour --repo PATH.",
        )
    return found


def _command(rest: str) -> str:
    """The command as it can be typed where the tour was started."""
    own = Path(".venv/bin/prodsprints")
    return f"{own if own.exists() else 'prodsprints'} {rest}"
