"""The catalog: what the loaded plugins offer, by kind and name. A value, passed to whoever needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import field, frozen

from lazai_core.api.entries import Entry, PluginInfo, PrecompileEntry
from lazai_core.api.errors import PluginBroken, PluginConflict, PluginError, PluginMissing

from . import messages
from .discover import Candidate, Discovery
from .kinds import CONSENSUS_CRITICAL, Kind

if TYPE_CHECKING:
    from .calls import HookCalls


@frozen(kw_only=True)
class Offer:
    """An entry, and the plugin that offers it."""

    kind: Kind
    entry: Entry
    candidate: Candidate

    @property
    def name(self) -> str:
        """What the configuration says to choose it."""
        return self.entry.name

    @property
    def source(self) -> str:
        """Who provides it, for people."""
        return self.candidate.source

    @property
    def genesis_key(self) -> str:
        """Its word in a genesis file, for example "proof/attestation"."""
        return f"{self.kind}/{self.name}"

    @property
    def genesis_version(self) -> int:
        """The version that a genesis fixes; 0 for kinds that it does not fix."""
        return int(getattr(self.entry, "version", 0)) if self.kind in CONSENSUS_CRITICAL else 0


@frozen(kw_only=True)
class LoadedPlugin:
    """A plugin that passed every check. `load_ms` is the time its import and hooks took."""

    candidate: Candidate
    info: PluginInfo
    offers: tuple[Offer, ...]
    hooks: tuple[str, ...]
    load_ms: float = field(eq=False)


@frozen(kw_only=True)
class BrokenPlugin:
    """A plugin that cannot be used, why, and the names it would have offered as far as they are known."""

    candidate: Candidate
    errors: tuple[PluginError, ...]
    traceback: str = ""
    offered: frozenset[tuple[Kind, str]] = frozenset()


@frozen(kw_only=True)
class Conflict:
    """A name or an address that several plugins want; fatal only for a node that uses one of `offers`."""

    kind: Kind
    offers: tuple[Offer, ...]
    error: PluginConflict


@frozen(kw_only=True)
class Catalog:
    """What is there. Build it with `load_catalog`."""

    discovery: Discovery
    plugins: tuple[LoadedPlugin, ...]
    broken: tuple[BrokenPlugin, ...]
    conflicts: tuple[Conflict, ...]
    calls: HookCalls = field(repr=False, eq=False)
    _offers: Mapping[tuple[Kind, str], Offer] = field(repr=False, alias="offers_by_name")

    def offers(self, kind: Kind) -> tuple[Offer, ...]:
        """Offers of a kind in order of name, without those whose name is in conflict."""
        found = (offer for (offer_kind, _), offer in self._offers.items() if offer_kind is kind)
        return tuple(sorted(found, key=lambda offer: offer.name))

    def find(self, kind: Kind, name: str) -> Offer:
        """The offer of this name.

        Raises PluginConflict when several plugins offer it, PluginBroken when its plugin is known and cannot be
        used, PluginMissing otherwise; each text says what to do.
        """
        offer = self._offers.get((kind, name))
        if offer is not None:
            return offer
        for conflict in self.conflicts:
            if conflict.kind is kind and all(item.name == name for item in conflict.offers):
                raise conflict.error
        for plugin in self.broken:
            if _would_offer(plugin, kind, name):
                raise messages.unusable(name, plugin)
        for candidate in self.discovery.denied:
            if _is_known_provider(candidate, kind, name):
                raise messages.denied(name, candidate)
        raise messages.missing(kind, name, self.offers(kind), self.broken)

    def precompiles(self, names: Sequence[str] | None = None) -> tuple[Offer, ...]:
        """The precompiles of these names, or the built-in ones, in order of address.

        Raises as `find`, and PluginConflict when two of them want one address.
        """
        if names is None:
            chosen = [offer for offer in self.offers(Kind.PRECOMPILE) if offer.candidate.built_in]
        else:
            chosen = [self.find(Kind.PRECOMPILE, name) for name in dict.fromkeys(names)]
        by_address: dict[bytes, Offer] = {}
        for offer in chosen:
            other = by_address.setdefault(address_of(offer), offer)
            if other is not offer:
                raise messages.address_taken(address_of(offer), (other, offer))
        return tuple(by_address[address] for address in sorted(by_address))


def address_of(offer: Offer) -> bytes:
    """Address of an offered precompile."""
    assert isinstance(offer.entry, PrecompileEntry), "only precompiles have addresses"
    return offer.entry.address


def _would_offer(plugin: BrokenPlugin, kind: Kind, name: str) -> bool:
    if plugin.offered:
        return (kind, name) in plugin.offered
    return _is_known_provider(plugin.candidate, kind, name)


def _is_known_provider(candidate: Candidate, kind: Kind, name: str) -> bool:
    """Whether a plugin that was not read offers a name, by the table or by "lazai-<area>-<name>"."""
    known = messages.KNOWN_PROVIDERS.get((kind, name))
    if known is not None and known.distribution == candidate.distribution:
        return True
    return candidate.name == name or candidate.name.endswith(f"-{name}")


LookupFailure = PluginMissing | PluginBroken | PluginConflict
"""What `Catalog.find` may raise."""
