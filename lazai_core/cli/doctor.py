"""`lazai doctor`: is this machine fit, and are a node's files what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import print_json, wants_debug

if TYPE_CHECKING:
    from .findings import Finding
    from .selection import Selection

EXIT_UNHEALTHY = 3


@click.command(short_help="Check this machine and a configuration.")
@click.argument("path", metavar="[CONFIG]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def doctor(path: Path | None, as_json: bool) -> int:
    """Check this machine and, with CONFIG, that node's plugins, key, genesis, models and ports.

    Ends with 3 when something fails; warnings do not count.
    """
    from lazai_core.api.service import Severity

    from .findings import finding_lines, findings_document, summary_line
    from .progress import progress

    found: list[Finding] = []
    with progress("checking", announce=False) as report:
        for finding in all_findings(path):
            found.append(finding)
            report(0, 0, finding.check)
    if as_json:
        print_json(findings_document(found))
    else:
        for line in finding_lines(found):
            click.echo(line)
        click.echo(f"\n{summary_line(found)}")
    unhealthy = any(finding.severity is Severity.FAILURE for finding in found)
    return EXIT_UNHEALTHY if unhealthy else 0


def all_findings(path: Path | None) -> Iterator[Finding]:
    """Every finding, in the order in which they are shown."""
    from lazai_core.api.errors import ConfigError
    from lazai_core.registry import discover, load_catalog

    from .findings import failure
    from .machine_checks import machine_findings
    from .node_checks import node_findings
    from .selection import load_selection

    selection: Selection | None = None
    problems: list[Finding] = []
    if path is not None:
        try:
            selection = load_selection(path)
        except ConfigError as error:
            problems = [failure("config", str(problem)) for problem in error.problems]
    catalog = selection.catalog if selection is not None else load_catalog(discover())
    folder = selection.loaded.config.node.data_dir if selection is not None else Path.cwd()
    distributions = {plugin.candidate.distribution for plugin in catalog.plugins}
    yield from machine_findings(distributions, folder)
    yield from problems
    if selection is not None:
        yield from node_findings(selection)
        yield from plugin_findings(selection)


def plugin_findings(selection: Selection) -> Iterator[Finding]:
    """What the plugins' own checks find. A check that raises is a failed check."""
    from lazai_core.api.errors import PluginError
    from lazai_core.api.service import HealthFinding
    from lazai_core.registry.guard import guarded, traceback_of

    from .findings import Finding, failure

    collected = selection.catalog.calls.health_checks()
    for error in collected.failures:
        yield failure("plugins", error.message)
    for candidate, check in collected.items:
        try:
            found = guarded(
                candidate,
                f"health check {check.name}",
                lambda check=check: [  # type: ignore[misc]
                    finding for finding in check.run(selection.loaded.table) if isinstance(finding, HealthFinding)
                ],
            )
        except PluginError as error:
            yield failure(check.name, f"{error.message}\n{traceback_of(error)}" if wants_debug() else error.message)
            continue
        for finding in found:
            yield Finding.of(check.name, finding, candidate.name)
