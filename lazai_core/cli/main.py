"""Entry point of `lazai`: the table of commands, exit codes, and the one place where failures are printed.

Exit codes: 0 fine, 1 ran and failed, 2 wrong usage or configuration, 3 doctor found problems, 4 a proof or receipt was
refused, 70 our own bug, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

import lazai_core

from .lazy import LazyCommand, LazyGroup

EXIT_INTERRUPTED = 130

COMMANDS = {
    "init": LazyCommand("lazai_core.cli.init:init", "Write a configuration, a genesis and an encrypted key."),
    "run": LazyCommand("lazai_core.cli.run:run", "Run the node of a configuration."),
    "devnet": LazyCommand("lazai_core.cli.devnet:devnet", "A network of validators on this machine, shown live."),
    "demo": LazyCommand("lazai_core.cli.demo:demo", "A node on this machine and real requests, step by step."),
    "verify": LazyCommand("lazai_core.cli.verify:verify", "Check receipts offline."),
    "headers": LazyCommand("lazai_core.cli.headers:headers", "Headers and certificates for those who have no node."),
    "validator": LazyCommand("lazai_core.cli.validator:validator", "Become a validator of a running chain."),
    "plugins": LazyCommand("lazai_core.cli.plugins:plugins", "What is installed, what it offers, what is broken."),
    "doctor": LazyCommand("lazai_core.cli.doctor:doctor", "Check this machine and a configuration."),
    "simulate": LazyCommand(
        "lazai_core.cli.simulate:simulate", "Networks of validators in virtual time, with every fault there is."
    ),
    "bench": LazyCommand("lazai_core.cli.bench:bench", "Measure this machine."),
    "config": LazyCommand("lazai_core.cli.config:config", "Check a configuration, or show it with its origins."),
    "version": LazyCommand("lazai_core.cli.version:version", "Versions of the core, the hook API and Python."),
    "completion": LazyCommand("lazai_core.cli.completion:completion", "Print a shell's completion script."),
}


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 failed, 2 usage or configuration, 3 doctor found problems, "
    "4 proof or receipt refused, 70 a bug of ours.",
)
@click.version_option(lazai_core.__version__, prog_name="lazai-core")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """LazAI: an open node for AI that can be checked."""
    if isinstance(context.obj, dict):
        context.obj["debug"] = debug


def run_cli(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code. Nothing but the exit code leaves here."""
    state = {"debug": False}
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="lazai",
            standalone_mode=False,
            obj=state,
        )
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output, for example `head`, has seen enough.
        sys.stderr.close()
        return 0
    except Exception as error:
        from .failures import report

        return report(error, debug=state["debug"])


def main() -> NoReturn:
    """Entry point of the `lazai` script."""
    sys.exit(run_cli())
