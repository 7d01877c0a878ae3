"""Which plugins there are, read from the metadata of installed distributions. Nothing is imported here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points

from attrs import frozen

import lazai_core
from lazai_core.api.hookspecs import ENTRY_POINT_GROUP

CORE_DISTRIBUTION = "lazai-core"
BUILTIN_NAME = "builtin"


@frozen(kw_only=True)
class Candidate:
    """A plugin that could be loaded. `name` is the entry point's; `module` what it points at."""

    name: str
    module: str
    distribution: str
    version: str
    built_in: bool = False

    @property
    def source(self) -> str:
        """Who provides it, for people: "built in" or "lazai-gpu-torch 0.1.0"."""
        return "built in" if self.built_in else f"{self.distribution} {self.version}".strip()

    @property
    def label(self) -> str:
        """The plugin and its distribution, for messages that blame it."""
        return f"plugin {self.name} ({self.source})"


BUILT_IN = Candidate(
    name=BUILTIN_NAME,
    module="lazai_core.builtin.plugin",
    distribution=CORE_DISTRIBUTION,
    version=lazai_core.__version__,
    built_in=True,
)
"""The plugin in the box. It is loaded through the same hooks, checks and guards as any other."""


@frozen(kw_only=True)
class Discovery:
    """Candidates to load, those the configuration keeps out, and names in its lists that nothing bears."""

    candidates: tuple[Candidate, ...]
    denied: tuple[Candidate, ...] = ()
    unknown_names: tuple[str, ...] = ()


def discover(
    *,
    allow: Sequence[str] | None = None,
    deny: Sequence[str] = (),
    points: Iterable[EntryPoint] | None = None,
    built_in: Candidate | None = BUILT_IN,
) -> Discovery:
    """List candidates in order of distribution and name, the built-in plugin first.

    `allow` and `deny` hold names of distributions or of plugins (entry points), in any spelling of dashes and case;
    `deny` wins, and with `allow` only what it names is loaded. The built-in plugin is never kept out.
    `points` replaces the installed entry points, for tests.
    """
    found = entry_points(group=ENTRY_POINT_GROUP) if points is None else points
    candidates = sorted({_candidate(point) for point in found}, key=_order)
    denied_names = {_normalized(name) for name in deny}
    allowed_names = None if allow is None else {_normalized(name) for name in allow}
    kept: list[Candidate] = []
    denied: list[Candidate] = []
    for candidate in candidates:
        names = {_normalized(candidate.name), _normalized(candidate.distribution)}
        refused = names & denied_names or (allowed_names is not None and not names & allowed_names)
        (denied if refused else kept).append(candidate)
    known = {_normalized(word) for item in candidates for word in (item.name, item.distribution)}
    # A denied plugin that is not installed is what the operator wanted; an allowed one is not.
    unknown = tuple(name for name in allow or () if _normalized(name) not in known)
    first = () if built_in is None else (built_in,)
    return Discovery(candidates=(*first, *kept), denied=tuple(denied), unknown_names=unknown)


def _candidate(point: EntryPoint) -> Candidate:
    distribution = point.dist
    return Candidate(
        name=point.name,
        module=point.value,
        distribution=distribution.name if distribution is not None else "unknown distribution",
        version=distribution.version if distribution is not None else "",
    )


def _order(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.distribution, candidate.name, candidate.module


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
