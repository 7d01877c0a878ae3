"""How a failure is shown, and which exit code it has."""

from __future__ import annotations

import traceback

import click

from lazai_core.api.errors import (
    AssemblyError,
    ConfigError,
    InvalidGenesis,
    LazAIError,
    PluginError,
    ProofError,
)

from .output import plural, style

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 4
EXIT_BUG = 70

_USAGE = (ConfigError, PluginError, AssemblyError, InvalidGenesis)


def exit_code(error: BaseException) -> int:
    """The exit code of what ended a command."""
    if isinstance(error, _USAGE):
        return EXIT_USAGE
    if isinstance(error, ProofError):
        return EXIT_REFUSED
    if isinstance(error, LazAIError | OSError):
        return EXIT_FAILED
    return EXIT_BUG


def report(error: BaseException, *, debug: bool) -> int:
    """Print what happened to standard error and return the exit code."""
    code = exit_code(error)
    if debug or code == EXIT_BUG:
        click.echo("".join(traceback.format_exception(error)).rstrip(), err=True)
    if isinstance(error, ConfigError):
        _report_problems(error)
    elif isinstance(error, LazAIError):
        _report_line(error.message, error.hint)
    elif isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        _report_line(f"{place}{error.strerror or error}", "")
    else:
        _report_line(
            f"this is a bug in LazAI: {type(error).__name__}: {error}",
            "please report it with the lines above and the output of `lazai version`",
        )
    return code


def _report_problems(error: ConfigError) -> None:
    for problem in error.problems:
        click.echo(str(problem), err=True)
    count = len(error.problems)
    click.echo(style(f"{plural(count, 'problem')}; nothing was started", "red", err=True), err=True)


def _report_line(message: str, hint: str) -> None:
    click.echo(f"{style('error:', 'red', err=True)} {message}", err=True)
    if hint:
        click.echo(f"{style('hint:', 'cyan', err=True)}  {hint}", err=True)
