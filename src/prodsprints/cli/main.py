"""The command line's entry: finds the verb, runs it, and gives every ending its exit code and clear words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from prodsprints import __version__
from prodsprints.kernel.errors import ExitCode, ProdSprintsError

_INTERRUPTED = 130

# Verb → what `prodsprints --help` says of it. A verb's module has the same name and is imported only when it runs.
_SECTIONS = {
    "Release": {
        "audit": "What a repository is, by file and line; can it be released?",
        "init": "Write prodsprints.yaml; asks only what the audit could not find.",
        "release": "Gates, image, canary, verdict; goes back by itself.",
        "rollback": "Serve the version before this one again.",
        "abort": "Stop the running release; the version before it stays.",
        "promote": "Give the running canary all traffic, without its verdict.",
        "unlock": "Take a stuck lease away; with --force also from the living.",
        "project": "The projects; delete one, and bring it back whole.",
    },
    "Look": {
        "status": "What every environment serves; what is watched; the status page.",
        "logs": "The output of the application that serves an environment.",
        "config": "The effective configuration, each value with its source.",
        "drill": "Break one real thing on purpose; did its control hold?",
        "register": "The risks, claimed beside proven; import, export, gate.",
        "notify": "Tell an audience something; Slack, else e-mail, else SMS.",
        "dependencies": "Whom the platform calls, and how they are.",
        "freeze": "Leave a provider alone for a while, in all processes.",
        "thaw": "Call a frozen provider again.",
        "incident": "A risk that happened: declare it, link a drill, close it.",
        "quotas": "Use against limit, the day it is reached, and asking for more.",
        "evidence": "Export what was signed, and verify it anywhere, offline.",
        "bench": "Run a benchmark beside its named peers.",
    },
    "Platform": {
        "up": "Start everything on this machine and serve until Ctrl-C.",
        "worker": "One more worker against one PostgreSQL.",
        "node": "Only this machine's applications, Envoy and routes.",
        "web": "Only the API and the pages.",
        "login": "A link that logs a browser in, once, within a minute.",
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and prints every error as words, never as a traceback."""
    from prodsprints.cli import failure

    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        code = cli.main(given, prog_name="prodsprints", standalone_mode=False)
    except ProdSprintsError as error:
        return failure.report(error, as_json=as_json)
    except click.ClickException as error:
        return failure.report(failure.usage(error), as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except Exception as error:
        return failure.report(failure.crash(error), as_json=as_json)
    return code if isinstance(code, int) else ExitCode.DONE


class _LazyGroup(click.Group):
    """A group that knows its commands' names and one line of each, and imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [name for verbs in _SECTIONS.values() for name in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"prodsprints.cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the same
        for section, verbs in _SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(list(verbs.items()))


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="prodsprints")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """From commit to compliant production, with a risk register that proves itself.

    Begin with `prodsprints audit .` in a repository of yours, and `prodsprints up` in another terminal.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


if __name__ == "__main__":
    sys.exit(main())
