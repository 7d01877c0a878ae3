"""Accounts at a state root, read-only."""

from __future__ import annotations

from lazai_core.api.types import Address, Hash32, Wei

from .accounts import JournaledAccounts
from .database import NodeReader, StateDatabase, require_root


class StateView:
    """State at one root; a `StatePort` with nonces. Raises StorageError when the store does not hold the root."""

    def __init__(self, nodes: NodeReader, state_root: Hash32) -> None:
        require_root(nodes, state_root)
        self.state_root = state_root
        self._nodes = nodes
        self._accounts = JournaledAccounts(StateDatabase(nodes), state_root)

    def balance(self, address: Address) -> Wei:
        """Balance in wei, 0 for an account that does not exist."""
        return Wei(self._accounts.get_balance(address))

    def nonce(self, address: Address) -> int:
        """Nonce of the account's next transaction."""
        return int(self._accounts.get_nonce(address))

    def code(self, address: Address) -> bytes:
        """Runtime code, empty where there is none."""
        return bytes(self._accounts.get_code(address))

    def code_hash(self, address: Address) -> Hash32:
        """Keccak-256 of the runtime code."""
        return Hash32(self._accounts.get_code_hash(address))

    def storage(self, address: Address, slot: int) -> int:
        """The word at `slot`."""
        return int(self._accounts.get_storage(address, slot))
