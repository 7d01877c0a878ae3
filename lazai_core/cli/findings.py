"""Findings of `lazai doctor`, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import frozen

from lazai_core.api.service import HealthFinding, Severity

from .output import plural, style

_MARKS = {Severity.OK: ("ok", "green"), Severity.WARNING: ("warn", "yellow"), Severity.FAILURE: ("FAIL", "red")}


@frozen(kw_only=True)
class Finding:
    """A finding, the check it is from, and the plugin that offered the check (empty for the core's own)."""

    check: str
    severity: Severity
    summary: str
    fix: str = ""
    plugin: str = ""

    @classmethod
    def of(cls, check: str, finding: HealthFinding, plugin: str) -> Finding:
        """A plugin's finding."""
        return cls(
            check=check,
            severity=Severity(finding.severity),
            summary=str(finding.summary),
            fix=str(finding.fix),
            plugin=plugin,
        )


def fine(check: str, summary: str) -> Finding:
    """Nothing to do."""
    return Finding(check=check, severity=Severity.OK, summary=summary)


def warning(check: str, summary: str, fix: str = "") -> Finding:
    """The node runs, but not as well or as safely as it could."""
    return Finding(check=check, severity=Severity.WARNING, summary=summary, fix=fix)


def failure(check: str, summary: str, fix: str = "") -> Finding:
    """The node does not run, or must not."""
    return Finding(check=check, severity=Severity.FAILURE, summary=summary, fix=fix)


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Severity, check and summary in columns; what to do on a line of its own below."""
    shown = list(findings)
    width = max((len(finding.check) for finding in shown), default=0)
    for finding in shown:
        mark, colour = _MARKS[finding.severity]
        first, *rest = finding.summary.splitlines() or [""]
        yield f"{style(mark.ljust(4), colour)}  {finding.check.ljust(width)}  {first}".rstrip()
        indent = " " * (8 + width)
        yield from (indent + line for line in rest)
        if finding.fix:
            yield f"{indent}{style('fix:', 'cyan')} {finding.fix}"


def summary_line(findings: Iterable[Finding]) -> str:
    """How many of each severity."""
    counts = dict.fromkeys(Severity, 0)
    for finding in findings:
        counts[finding.severity] += 1
    warnings = plural(counts[Severity.WARNING], "warning")
    failures = plural(counts[Severity.FAILURE], "failure")
    return f"{counts[Severity.OK]} ok, {warnings}, {failures}"


def findings_document(findings: Iterable[Finding]) -> dict[str, Any]:
    """The findings for scripts."""
    shown = list(findings)
    return {
        "healthy": all(finding.severity is not Severity.FAILURE for finding in shown),
        "findings": [
            {
                "check": finding.check,
                "severity": str(finding.severity),
                "summary": finding.summary,
                "fix": finding.fix,
                "plugin": finding.plugin,
            }
            for finding in shown
        ],
    }
