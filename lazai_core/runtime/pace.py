"""How many transactions this machine executes in the time that a block may take."""

from __future__ import annotations

from attrs import define

PACE_TRANSACTIONS_MIN = 32
"""A block of fewer says little about the machine's speed, and none is ever held to fewer."""
TRANSACTION_MS_FIRST = 2.0
"""What a transaction takes, until the first blocks tell better."""


@define(kw_only=True)
class BlockPace:
    """Learns from blocks that were built here and from those of others that were checked: both execute the same.

    A proposer whose block takes longer than the others wait for it loses its round, and its work with it.
    """

    build_ms_max: int
    transaction_ms: float = TRANSACTION_MS_FIRST

    def most(self) -> int:
        """Transactions that the next block may try."""
        return max(PACE_TRANSACTIONS_MIN, int(self.build_ms_max / max(self.transaction_ms, 1e-6)))

    def took(self, transactions: int, milliseconds: float) -> None:
        """A block was executed; half of what is known comes from it."""
        if transactions >= PACE_TRANSACTIONS_MIN:
            self.transaction_ms = (self.transaction_ms + milliseconds / transactions) / 2
