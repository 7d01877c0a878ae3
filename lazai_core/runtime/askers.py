"""Which transactions are to be run before a block does it: those that may ask for an inference."""

from __future__ import annotations

from collections.abc import Callable

from lazai_core.api.precompile import StatePort
from lazai_core.api.types import Address
from lazai_core.chain.transaction import Transaction

from .gossip.bounds import Recent

CONTRACTS_MAX = 4096


class Askers:
    """What contracts have been seen to do. A wrong guess costs time only: the builder finds out, and work goes on.

    A contract that has once asked for an inference counts as one that may for as long as it is remembered.
    """

    def __init__(self, state: Callable[[], StatePort]) -> None:
        self._state = state
        self._known: Recent[bytes, bool] = Recent(CONTRACTS_MAX)

    def may_ask(self, transaction: Transaction) -> bool:
        """Whether it is worth a run of its own to find out what the transaction needs."""
        if not transaction.to:
            return True
        known = self._known.get(transaction.to)
        if known is None:
            # Accounts without code never ask, and are too many to remember.
            return bool(self._state().code(Address(transaction.to)))
        return known

    def ran(self, transaction: Transaction) -> None:
        """It ran to its end without asking for anything."""
        if transaction.to and not self._known.get(transaction.to):
            self._known.put(transaction.to, False)

    def asked(self, transaction: Transaction) -> None:
        """It asked."""
        if transaction.to:
            self._known.put(transaction.to, True)
