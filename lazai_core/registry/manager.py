"""Loading plugins: import, check, collect their entries, and charge every failure to its plugin."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pluggy
from attrs import field, frozen, mutable

from lazai_core.api.entries import Entry, PluginInfo
from lazai_core.api.errors import PluginError

from . import checks, messages
from .calls import Collected, HookCalls, collect_entries
from .catalog import BrokenPlugin, Catalog, Conflict, LoadedPlugin, Offer, address_of
from .discover import Candidate, Discovery
from .guard import guarded, import_plugin, traceback_of
from .kinds import KIND_RULES, Kind

__all__ = ["Collected", "load_catalog"]


@frozen(kw_only=True)
class _Loaded:
    """A loaded plugin beside its module, which only the manager keeps."""

    plugin: LoadedPlugin
    module: object


@mutable(kw_only=True)
class _Attempt:
    """One plugin on its way from candidate to loaded or broken."""

    candidate: Candidate
    module: object = None
    manager: pluggy.PluginManager = field(factory=checks.new_manager)
    errors: list[PluginError] = field(factory=list)
    traceback: str = ""
    offers: list[Offer] = field(factory=list)

    def blame(self, error: PluginError) -> None:
        self.errors.append(error)
        if error.__cause__ is not None and not self.traceback:
            self.traceback = traceback_of(error)

    def broken(self) -> BrokenPlugin:
        offered = frozenset((offer.kind, offer.name) for offer in self.offers)
        return BrokenPlugin(
            candidate=self.candidate, errors=tuple(self.errors), traceback=self.traceback, offered=offered
        )


def load_catalog(discovery: Discovery) -> Catalog:
    """Load every candidate. Raises nothing that a plugin does: what fails is recorded in `Catalog.broken`."""
    loaded: list[_Loaded] = []
    broken: list[BrokenPlugin] = []
    for candidate in discovery.candidates:
        outcome = _load_plugin(candidate)
        if isinstance(outcome, BrokenPlugin):
            broken.append(outcome)
        else:
            loaded.append(outcome)
    loaded, twice = _without_namesakes(loaded)
    offers = [offer for item in loaded for offer in item.plugin.offers]
    unique, conflicts = _resolve(offers)
    return Catalog(
        discovery=discovery,
        plugins=tuple(item.plugin for item in loaded),
        broken=(*broken, *twice),
        conflicts=tuple(conflicts),
        calls=_hook_calls(loaded),
        offers_by_name=unique,
    )


def _load_plugin(candidate: Candidate) -> _Loaded | BrokenPlugin:
    started_ns = time.perf_counter_ns()
    attempt = _Attempt(candidate=candidate)
    try:
        attempt.module = import_plugin(candidate)
        problems = guarded(
            candidate, messages.MODULE_MOMENT, lambda: list(checks.hook_problems(candidate, attempt.module))
        )
    except PluginError as error:
        attempt.blame(error)
        return attempt.broken()
    attempt.errors.extend(problems)
    info = _ask_who_it_is(attempt)
    if attempt.errors:
        return attempt.broken()
    _collect(attempt)
    # Every hook was checked by name above; this catches what pluggy knows about and the checks do not.
    attempt.manager.check_pending()
    if attempt.errors or info is None:
        return attempt.broken()
    plugin = LoadedPlugin(
        candidate=candidate,
        info=info,
        offers=tuple(attempt.offers),
        hooks=_implemented(attempt),
        load_ms=(time.perf_counter_ns() - started_ns) / 1e6,
    )
    return _Loaded(plugin=plugin, module=attempt.module)


def _ask_who_it_is(attempt: _Attempt) -> PluginInfo | None:
    """Ask `lazai_plugin`, even beside misspelt hooks: another hook API is the better explanation of those."""
    candidate = attempt.candidate
    functions = [
        function
        for hook, _, function in checks.marked_functions(attempt.manager, attempt.module)
        if hook == checks.PLUGIN_HOOK
    ]
    if len(functions) != 1:
        return None
    function: Any = functions[0]
    try:
        info = guarded(candidate, f"hook {checks.PLUGIN_HOOK}", function)
    except PluginError as error:
        attempt.blame(error)
        return None
    errors = list(checks.info_problems(candidate, info))
    if checks.is_version_problem(errors):
        attempt.errors[:] = errors
    else:
        attempt.errors.extend(errors)
    return info if isinstance(info, PluginInfo) else None


def _collect(attempt: _Attempt) -> None:
    """Register the module on the attempt's own manager and collect its entries, kind by kind."""
    candidate, manager = attempt.candidate, attempt.manager
    manager.register(attempt.module, name=_key(candidate))
    for kind, rules in KIND_RULES.items():
        for implementation in getattr(manager.hook, rules.hook).get_hookimpls():
            try:
                entries = collect_entries(candidate, rules.hook, implementation.function, rules.entry_class)
            except PluginError as error:
                attempt.blame(error)
                continue
            _accept(attempt, kind, entries)


def _accept(attempt: _Attempt, kind: Kind, entries: Iterable[Entry]) -> None:
    for entry in entries:
        attempt.errors.extend(checks.entry_problems(attempt.candidate, kind, entry))
        attempt.offers.append(Offer(kind=kind, entry=entry, candidate=attempt.candidate))


def _implemented(attempt: _Attempt) -> tuple[str, ...]:
    marked = checks.marked_functions(attempt.manager, attempt.module)
    return tuple(sorted({hook for hook, _, _ in marked}))


def _key(candidate: Candidate) -> str:
    return f"{candidate.distribution}:{candidate.name}"


def _without_namesakes(loaded: Sequence[_Loaded]) -> tuple[list[_Loaded], list[BrokenPlugin]]:
    """Take out plugins that share a name, all of them: which one is meant is the operator's choice."""
    by_name: dict[str, list[_Loaded]] = defaultdict(list)
    for item in loaded:
        by_name[item.plugin.info.name].append(item)
    kept, broken = [], []
    for item in loaded:
        namesakes = by_name[item.plugin.info.name]
        if len(namesakes) == 1:
            kept.append(item)
            continue
        error = messages.plugin_twice(item.plugin.info.name, [other.plugin.candidate for other in namesakes])
        offered = frozenset((offer.kind, offer.name) for offer in item.plugin.offers)
        broken.append(BrokenPlugin(candidate=item.plugin.candidate, errors=(error,), offered=offered))
    return kept, broken


def _resolve(offers: Sequence[Offer]) -> tuple[dict[tuple[Kind, str], Offer], list[Conflict]]:
    """Split offers into names that are unique and names, or addresses, that are not."""
    by_name: dict[tuple[Kind, str], list[Offer]] = defaultdict(list)
    by_address: dict[bytes, list[Offer]] = defaultdict(list)
    for offer in offers:
        by_name[offer.kind, offer.name].append(offer)
        if offer.kind is Kind.PRECOMPILE:
            by_address[address_of(offer)].append(offer)
    unique, conflicts = {}, []
    for (kind, name), same in by_name.items():
        if len(same) == 1:
            unique[kind, name] = same[0]
            continue
        error = messages.provided_twice(kind, name, [offer.candidate for offer in same])
        conflicts.append(Conflict(kind=kind, offers=tuple(same), error=error))
    for address, same in by_address.items():
        if len({offer.name for offer in same}) > 1:
            error = messages.address_taken(address, same)
            conflicts.append(Conflict(kind=Kind.PRECOMPILE, offers=tuple(same), error=error))
    return unique, conflicts


def _hook_calls(loaded: Sequence[_Loaded]) -> HookCalls:
    manager = checks.new_manager()
    for item in loaded:
        manager.register(item.module, name=_key(item.plugin.candidate))
    manager.check_pending()
    return HookCalls(
        manager=manager, candidates={_key(item.plugin.candidate): item.plugin.candidate for item in loaded}
    )
