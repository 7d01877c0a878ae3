"""What is installed: the built-ins and every plugin, as a node would find them."""

from __future__ import annotations

from functools import cache

from lazai_core.api import Entry
from lazai_core.registry import Catalog, Kind, discover, load_catalog


@cache
def catalog() -> Catalog:
    """Everything installed beside this checkout."""
    return load_catalog(discover())


def entries(kind: Kind) -> list[Entry]:
    """The installed entries of a kind, in order of name."""
    return [offer.entry for offer in catalog().offers(kind)]


def entry_name(entry: Entry) -> str:
    """For test ids."""
    return entry.name
