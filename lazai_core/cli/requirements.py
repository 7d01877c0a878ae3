"""Whether installed packages are within the ranges that the tests ran on, read from the distributions' metadata.

Only what our own distributions write is understood: `name>=1.2,<3` and `name==1.2b1`, with at most an extra's marker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, requires, version
from itertools import zip_longest

from attrs import frozen

_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(;.*)?$")
_CLAUSE = re.compile(r"^\s*(>=|<=|==|!=|<|>|~=)\s*(\S+)\s*$")
_RELEASE = re.compile(r"^v?(?:\d+!)?(\d+(?:\.\d+)*)(.*)$")
_PRERELEASE = re.compile(r"^[._-]?(?:a|b|c|rc|alpha|beta|pre|preview|dev)", re.IGNORECASE)


@frozen(kw_only=True)
class Misfit:
    """A package that is absent or outside the tested range."""

    package: str
    installed: str
    wanted: str
    needed_by: str


def misfits(distribution: str) -> Iterator[Misfit]:
    """Requirements of an installed distribution that its environment does not meet; extras are left out."""
    for text in requires(distribution) or ():
        match = _REQUIREMENT.match(text.strip())
        if match is None or match[3]:
            continue
        name, wanted = match[1], match[2].strip()
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = ""
        if not installed or not within(installed, wanted):
            yield Misfit(package=name, installed=installed, wanted=wanted or "any", needed_by=distribution)


def within(installed: str, wanted: str) -> bool:
    """Whether a version meets every clause of a range. Clauses that are not understood are met."""
    return all(_meets(installed, clause) for clause in wanted.split(",") if clause.strip())


def prereleases() -> list[tuple[str, str]]:
    """Name and version of every installed pre-release, in order of name."""
    found = {}
    for distribution in distributions():
        text = distribution.version or ""
        if is_prerelease(text):
            found[distribution.name] = text
    return sorted(found.items())


def is_prerelease(text: str) -> bool:
    """Whether a version is an alpha, beta, release candidate or development version."""
    match = _RELEASE.match(text.partition("+")[0])
    return match is not None and bool(_PRERELEASE.match(match[2]))


def _meets(installed: str, clause: str) -> bool:
    match = _CLAUSE.match(clause)
    if match is None:
        return True
    operator, wanted = match[1], match[2]
    public = installed.partition("+")[0]
    if operator == "==" and not wanted.endswith(".*"):
        same_release = not is_prerelease(wanted) and _order(public, wanted) == 0
        return public == wanted or same_release
    order = _order(public, wanted.removesuffix(".*"))
    return {">=": order >= 0, "<=": order <= 0, ">": order > 0, "<": order < 0, "!=": order != 0}.get(operator, True)


def _order(left: str, right: str) -> int:
    """Negative, zero or positive; a pre-release comes before its release."""
    for one, other in zip_longest(_numbers(left), _numbers(right), fillvalue=0):
        if one != other:
            return one - other
    return int(is_prerelease(right)) - int(is_prerelease(left))


def _numbers(text: str) -> list[int]:
    match = _RELEASE.match(text)
    return [int(part) for part in match[1].split(".")] if match else [0]
