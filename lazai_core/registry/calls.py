"""Calling hooks after assembly: checks, benchmarks, routing, and blocks that became durable.

Implementations are called one by one in pluggy's order; a failure is returned, charged to its plugin, and the next
one is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeVar

import pluggy
from attrs import field, frozen

from lazai_core.api.errors import PluginError
from lazai_core.api.job import ComputeJob
from lazai_core.api.precompile import BlockSummary
from lazai_core.api.service import Benchmark, HealthCheck

from . import messages
from .discover import Candidate
from .guard import guarded

ENTRIES_MAX = 256
"""More entries from one hook are an endless generator, not an offer."""

Item = TypeVar("Item")


@frozen(kw_only=True)
class Collected(Generic[Item]):
    """What implementations of a hook returned, each with its plugin, and what went wrong."""

    items: tuple[tuple[Candidate, Item], ...] = ()
    failures: tuple[PluginError, ...] = ()


def collect_entries(candidate: Candidate, hook: str, call: Callable[[], Any], entry_class: type[Item]) -> list[Item]:
    """Materialise the entries of one implementation. Raises PluginBroken, PluginContractError."""
    expected = f"an iterable of {entry_class.__name__}"
    answer = guarded(candidate, f"hook {hook}", call)
    if answer is None or isinstance(answer, str | bytes | Mapping) or not hasattr(answer, "__iter__"):
        raise messages.wrong_return(candidate, hook, expected, answer)
    items: list[Item] = guarded(candidate, f"hook {hook}", lambda: list(islice(answer, ENTRIES_MAX + 1)))
    if len(items) > ENTRIES_MAX:
        raise messages.too_many(candidate, hook, ENTRIES_MAX)
    for item in items:
        if not isinstance(item, entry_class):
            raise messages.wrong_return(candidate, hook, expected, item)
    return items


@frozen(kw_only=True)
class HookCalls:
    """The hooks of the loaded plugins, ready to be called."""

    _manager: pluggy.PluginManager = field(alias="manager", repr=False)
    _candidates: Mapping[str, Candidate] = field(alias="candidates", repr=False)

    def health_checks(self) -> Collected[HealthCheck]:
        """Checks for `lazai doctor`."""
        return self._collect("lazai_health_checks", HealthCheck)

    def benchmarks(self) -> Collected[Benchmark]:
        """Benchmarks for `lazai bench`."""
        return self._collect("lazai_benchmarks", Benchmark)

    def route_job(self, job: ComputeJob, candidates: Sequence[str]) -> tuple[str | None, tuple[PluginError, ...]]:
        """The proof system a job goes to: the first answer among `candidates`; None when nobody has an opinion."""
        failures: list[PluginError] = []
        for candidate, call in self._calls("lazai_route_job", job=job, candidates=tuple(candidates)):
            try:
                answer = guarded(candidate, "hook lazai_route_job", call)
                if answer is not None and answer not in candidates:
                    raise messages.bad_routing(candidate, answer, candidates)
            except PluginError as error:
                failures.append(error)
                continue
            if answer is not None:
                return str(answer), tuple(failures)
        return None, tuple(failures)

    def block_committed(self, summary: BlockSummary) -> tuple[PluginError, ...]:
        """Tell every observer of a durable block. Returns the failures, for the log; raises nothing of theirs."""
        failures: list[PluginError] = []
        for candidate, call in self._calls("lazai_block_committed", summary=summary):
            try:
                guarded(candidate, "hook lazai_block_committed", call)
            except PluginError as error:
                failures.append(error)
        return tuple(failures)

    def _collect(self, hook: str, item_class: type[Item]) -> Collected[Item]:
        items: list[tuple[Candidate, Item]] = []
        failures: list[PluginError] = []
        for candidate, call in self._calls(hook):
            try:
                found = collect_entries(candidate, hook, call, item_class)
            except PluginError as error:
                failures.append(error)
            else:
                items.extend((candidate, item) for item in found)
        return Collected(items=tuple(items), failures=tuple(failures))

    def _calls(self, hook: str, **arguments: object) -> Iterator[tuple[Candidate, Callable[[], Any]]]:
        # pluggy keeps implementations in the reverse of the order in which it calls them.
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            values = [arguments[name] for name in implementation.argnames]
            yield self._candidates[implementation.plugin_name], partial(implementation.function, *values)
