"""Transactions decoded a moment ago: a node meets each one at the door, in a draft, in a block and in its index."""

from __future__ import annotations

from functools import lru_cache

from .transaction import Transaction, decode_transaction

RECENT_MAX = 8192
RECENT_BYTES_MAX = 1024
"""Longer ones are rare, and are decoded each time."""


@lru_cache(maxsize=RECENT_MAX)
def _recent(raw: bytes) -> Transaction:
    return decode_transaction(raw)


def recent_transaction(raw: bytes) -> Transaction:
    """As `decode_transaction`. The same object for the same bytes, so that its sender is recovered once."""
    return _recent(raw) if len(raw) <= RECENT_BYTES_MAX else decode_transaction(raw)
