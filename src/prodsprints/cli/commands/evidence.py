"""`prodsprints evidence`: export what was signed, and verify it anywhere: without server, database or network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from prodsprints.cli import options
from prodsprints.cli.output import Output
from prodsprints.cli.platform import Platform
from prodsprints.kernel.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from prodsprints.ledger.examination import Report

_SHOWN_FINDINGS = 10

_of = click.option("--tenant", default="default", show_default=True, metavar="NAME", help="Whose log.")


@click.group("evidence")
def command() -> None:
    """What was signed: take it with you, and verify it where nobody here could have touched it.

    \b
    Example: prodsprints evidence export evidence.json
    """


@command.command("export")
@click.argument("file", type=click.Path(path_type=Path), default="-", metavar="[FILE]")
@click.option("--index", "indices", type=int, multiple=True, metavar="N", help="Only this entry, with its proof.")
@options.tenant
def export(file: Path, indices: tuple[int, ...], platform: Platform) -> None:
    """Write the log, with its keys and its checkpoint, to FILE or to stdout.

    \b
    Example: prodsprints evidence export evidence.json
    """
    from prodsprints.kernel import files

    content = platform.content("/evidence/export", index=indices)
    if str(file) == "-":
        sys.stdout.buffer.write(content)
        return
    target = file.expanduser().absolute()
    try:
        files.replace(target, content, mode=0o644)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.", next_step="Name another file.") from None
    click.echo(f"Wrote {target}. Next: prodsprints evidence verify {file}", err=True)


@command.command("verify")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--keys", type=click.Path(path_type=Path), metavar="KEYS", help="Public keys that you took earlier.")
@click.option("--checkpoint", type=click.Path(path_type=Path), metavar="NOTE", help="A checkpoint that you kept.")
@options.as_json
def verify(file: Path, keys: Path | None, checkpoint: Path | None, out: Output) -> int:
    """Verify an exported log offline: signatures, order, completeness, and that it continues a checkpoint you kept.

    Exit codes: 0 it is as it was signed, 3 it is not, 64 it is no bundle.

    \b
    Example: prodsprints evidence verify evidence.json --keys keys.json --checkpoint note.txt
    """
    from prodsprints.ledger.bundle import verify_bundle
    from prodsprints.ledger.checkpoint import Checkpoint
    from prodsprints.ledger.keys import read_keys

    report = verify_bundle(
        _read(file),
        keys=None if keys is None else read_keys(_read(keys)),
        checkpoint=None if checkpoint is None else Checkpoint.newest(_read(checkpoint).decode(errors="replace")),
    )
    out.line("verification", _as_json(report, pinned_keys=keys is not None, pinned_checkpoint=checkpoint is not None))
    out.say(("✓ " if report.holds else "✗ ") + str(report))
    for finding in report.findings[1:_SHOWN_FINDINGS]:
        out.say(f"  {finding.sentence}")
    if keys is None:
        out.say("  The keys are the file's own: whoever wrote it could have made them. Pin them with --keys.")
    if checkpoint is None:
        out.say("  No checkpoint was given: an end that was cut off before the export would not show.")
    return ExitCode.DONE if report.holds else ExitCode.REFUSED


@command.command("keys")
@options.tenant
@options.as_json
def keys(platform: Platform, out: Output) -> None:
    """The public keys that speak for the log, and from which entry to which. With --json to be kept, and pinned.

    \b
    Example: prodsprints evidence keys --json > keys.json
    """
    from rich.table import Table

    found = platform.get("/evidence/keys")["keys"]
    table = Table("key", "speaks for", "from", "until", "revoked", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for key in found:
        out.line("key", key)
        until, revoked = key["until_index"], key["revoked"]
        table.add_row(
            key["id"],
            key["role"],
            str(key["from_index"]),
            "now" if until is None else str(until),
            "" if revoked is None else f"from {revoked} on",
        )
    out.say(table if found else "Nothing was signed yet.")


@command.command("rotate")
@click.argument("role", type=click.Choice(["drill", "person", "platform", "log"]))
@_of
@options.as_json
def rotate(role: str, tenant: str, out: Output) -> None:
    """Have ROLE sign with a new key from now on. What the old one signed stays verifiable.

    Keys are files of this home, and no API reaches them: run it where `prodsprints up` runs, while it runs.

    \b
    Example: prodsprints evidence rotate drill
    """
    from prodsprints.cli.running import keys as running
    from prodsprints.ledger import rotation
    from prodsprints.ledger.keys import Role

    with running.keyring_of(tenant) as (db, tenant_id, keyring):
        new = rotation.rotate(db, tenant_id, keyring, Role(role))
    out.line("key", new.as_json())
    out.say(f"{new.id} speaks for {role} from entry {new.from_index} on.")


@command.command("revoke")
@click.argument("key_id", metavar="KEY")
@click.option(
    "--from",
    "from_index",
    type=click.IntRange(0),
    required=True,
    metavar="INDEX",
    help="The first entry not to believe.",
)
@_of
@options.as_json
def revoke(key_id: str, from_index: int, tenant: str, out: Output) -> None:
    """Believe nothing that KEY signed at INDEX or later; what it shows then no longer counts as proven.

    A key that still speaks is rotated first. Run it where `prodsprints up` runs, while it runs.

    \b
    Example: prodsprints evidence revoke 1f0c… --from 4711
    """
    from prodsprints.cli.running import keys as running
    from prodsprints.ledger import rotation

    with running.keyring_of(tenant) as (db, tenant_id, keyring):
        revoked = rotation.revoke(db, tenant_id, keyring, key_id, from_index=from_index)
    out.line("key", revoked.as_json())
    out.say(f"Nothing that {revoked.id} signed from entry {revoked.revoked} on is believed any more.")


def _read(path: Path) -> bytes:
    from prodsprints.ledger.bundle import MAX_BYTES

    try:
        with path.expanduser().open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", next_step="Name a file that you may read."
        ) from None


def _as_json(report: Report, *, pinned_keys: bool, pinned_checkpoint: bool) -> dict[str, object]:
    return {
        "holds": report.holds,
        "size": report.size,
        "revoked": report.revoked,
        "pinned_keys": pinned_keys,
        "pinned_checkpoint": pinned_checkpoint,
        "findings": [vars(finding) for finding in report.findings],
    }
