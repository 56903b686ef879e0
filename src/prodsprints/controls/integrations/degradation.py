"""What each feature does without the service that it calls: declared once, for the release, the pages and the docs.

A test holds every line to the code that does it, and to the drill or test that shows it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Degradation:
    """One integration that we call.

    `critical`: without its present answer the feature stops, since an old answer or none would do harm. `said` is
    where people find out. `code` does it ("module:name"); a drill ("module:name") or a test ("file::name") shows it.
    """

    name: str
    title: str
    used_for: str
    without: str
    critical: bool
    said: str
    code: tuple[str, ...]
    shown_by: tuple[str, ...]


DECLARED: tuple[Degradation, ...] = (
    Degradation(
        "git-host",
        "Git host",
        "the commit of a release",
        "A release goes on from the local mirror: of a tag or a full commit id always, of a branch within "
        "`mirror_max_age`. Older or unknown: refused. What the host refuses is never taken from the mirror.",
        critical=False,
        said="the release's step `source`, with the mirror's age and why the host does not answer",
        code=("prodsprints.controls.integrations.mirror:Mirrors.obtain", "prodsprints.release.prepare:find_source"),
        shown_by=(
            "prodsprints.controls.integrations.mirror_drills:host_dies",
            "tests/end_to_end/test_releases.py::test_a_tag_is_released_from_the_mirror_after_the_host_died",
        ),
    ),
    Degradation(
        "aws-sts",
        "AWS STS",
        "whether the worker's credentials belong to the account that the commit names",
        "The release stops at the step `account`: who we are is never answered from memory.",
        critical=True,
        said="the release's step `account` fails with AWS's words",
        code=("prodsprints.controls.providers.account:Account.identity", "prodsprints.release.gates.account:compare"),
        shown_by=("prodsprints.controls.integrations.drills:service_fails",),
    ),
    Degradation(
        "aws-iam",
        "AWS IAM",
        "the account's alias, a nicer name for its number",
        "The last known alias is shown with its age, and without one the number alone.",
        critical=False,
        said="the release's step `account`: *as of 3 h ago*",
        code=(
            "prodsprints.controls.integrations.last_good:LastGood",
            "prodsprints.controls.providers.account:Account.alias",
        ),
        shown_by=(
            "prodsprints.controls.integrations.drills:service_fails",
            "prodsprints.controls.integrations.drills:service_dies",
        ),
    ),
    Degradation(
        "dns",
        "DNS",
        "the addresses of providers, Git hosts and watched services",
        "Stale answers are used within their bound, then the pinned addresses of `providers`; TLS is checked by name.",
        critical=False,
        said="the log of the step that connects, and the release's list of degradations",
        code=("prodsprints.controls.dns.resolver:Resolver", "prodsprints.controls.dns.pins:PinnedResolver"),
        shown_by=(
            "prodsprints.controls.dns.drills:dead_servers",
            "prodsprints.controls.dns.pin_drills:pinned_address",
        ),
    ),
    Degradation(
        "package-index",
        "Package index",
        "the dependencies of what is released",
        "Dependencies that were installed once are taken from the cache by the digest of what was asked for; new ones "
        "stop the release at the step that needs them.",
        critical=True,
        said="the release's log: *dependencies: unchanged*; or the step fails and names the index",
        code=("prodsprints.release.image.install:install",),
        shown_by=(
            "tests/release/image/test_build.py::test_a_second_build_needs_no_package_index",
            "tests/release/image/test_build.py::test_an_index_out_of_reach_is_called_by_its_name",
        ),
    ),
    Degradation(
        "notification-channels",
        "Notification channels (Slack, e-mail, SMS)",
        "telling people what happened",
        "The next channel in order takes the message; while none does, it waits in the outbox and nothing is lost.",
        critical=False,
        said="the notification's page and `prodsprints notify`: which channel took it, and which did not",
        code=("prodsprints.controls.integrations.notifier:Notifier",),
        shown_by=("prodsprints.controls.integrations.notify_drills:slack_hangs_mail_resets",),
    ),
    Degradation(
        "watched-services",
        "Services that are watched",
        "the status page",
        "A service that does not answer is down on the page; one that could not be looked at is not measured, and "
        "never called up.",
        critical=False,
        said="the status page, its feed and `GET /v1/status`",
        code=("prodsprints.controls.integrations.monitor:Monitor",),
        shown_by=(
            "prodsprints.controls.integrations.status_drills:service_killed",
            "prodsprints.controls.integrations.status_drills:service_hangs",
        ),
    ),
    Degradation(
        "telemetry",
        "Telemetry collector (OTLP)",
        "figures of the guards, outside of the platform",
        "Calls go on as if there were none: what the collector did not take is lost to it, and stays on the page "
        "*Dependencies* and in the Prometheus scrape.",
        critical=False,
        said="the process's log",
        code=("prodsprints.guard.otlp:start",),
        shown_by=("tests/guard/test_otlp.py::test_without_its_collector_calls_go_on",),
    ),
    Degradation(
        "witness",
        "Outside witness (a Git repository)",
        "checkpoints of the ledger where the database's owner cannot take them back",
        "What is said is still stored and signed; checkpoints wait in the log and are brought later, and their order "
        "is proven then.",
        critical=False,
        said="the worker's log; the evidence page says what no outside witness has seen",
        code=("prodsprints.ledger.sequencer:Sequencer", "prodsprints.ledger.witness:Witness.publish"),
        shown_by=("tests/ledger/test_witness.py::test_the_sequencer_brings_the_witness_what_a_killed_one_did_not",),
    ),
)


def of(name: str) -> Degradation:
    """The declaration called `name`; nothing degrades undeclared."""
    return next(one for one in DECLARED if one.name == name)
