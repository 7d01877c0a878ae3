"""Finding, checking and naming plugins.

`discover` lists candidates from the metadata of installed distributions and imports nothing; `load_catalog` imports
and checks them and returns a `Catalog`, a value: two nodes with different plugins fit in one process.

    catalog = load_catalog(discover(allow=None, deny=("acme-gas",)))
    offer = catalog.find(Kind.GAS_POLICY, "eip1559")      # or PluginMissing, PluginBroken, PluginConflict
"""

from __future__ import annotations

from .catalog import BrokenPlugin, Catalog, Conflict, LoadedPlugin, Offer
from .discover import Candidate, Discovery, discover
from .kinds import Kind
from .manager import Collected, load_catalog

__all__ = [
    "BrokenPlugin",
    "Candidate",
    "Catalog",
    "Collected",
    "Conflict",
    "Discovery",
    "Kind",
    "LoadedPlugin",
    "Offer",
    "discover",
    "load_catalog",
]
