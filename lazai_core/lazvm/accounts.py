"""Accounts and storage during a block: current values in dictionaries, one undo list, tries touched at the end.

It stands where py-evm has its layered journals, and promises the same. Nodes and code go to the database when the root
is made; until then nothing outside sees a change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazai_core.api.errors import StorageError
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import Address, to_hex
from lazai_core.chain.rlp_codec import decode, encode, integer, to_bytes, to_integer, to_list
from lazai_core.chain.trie import EMPTY_ROOT

from . import state_trie
from .database import StateDatabase

EMPTY_CODE_HASH = keccak256(b"")
_UINT64_MAX = 2**64 - 1
_UINT256_MAX = 2**256 - 1


class Account:
    """Nonce, balance, storage root and code hash; never changed in place."""

    __slots__ = ("balance", "code_hash", "nonce", "storage_root")

    def __init__(
        self, nonce: int = 0, balance: int = 0, storage_root: bytes = EMPTY_ROOT, code_hash: bytes = EMPTY_CODE_HASH
    ) -> None:
        self.nonce = nonce
        self.balance = balance
        self.storage_root = storage_root
        self.code_hash = code_hash

    @property
    def is_empty(self) -> bool:
        """EIP-161: neither nonce nor balance nor code."""
        return self.nonce == 0 and self.balance == 0 and self.code_hash == EMPTY_CODE_HASH

    def encode(self) -> bytes:
        """Bytes in the state trie."""
        return encode([integer(self.nonce), integer(self.balance), self.storage_root, self.code_hash])

    @classmethod
    def decode(cls, data: bytes) -> Account:
        """Inverse of `encode`."""
        nonce, balance, storage_root, code_hash = to_list(decode(data), 4)
        return cls(to_integer(nonce), to_integer(balance), to_bytes(storage_root), to_bytes(code_hash))


_NOTHING = Account()


class JournaledAccounts:
    """py-evm's `AccountDatabaseAPI`, as far as its states use it, with transient storage beside it.

    A checkpoint is a length of the undo list, so that taking and keeping one costs nothing. Raises StorageError
    when the database lacks a node.
    """

    def __init__(self, database: StateDatabase, state_root: bytes = EMPTY_ROOT) -> None:
        self.state_root = state_root
        self._database = database
        self._accounts: dict[Address, Account | None] = {}
        self._slots: dict[Address, dict[int, int]] = {}
        self._codes: dict[bytes, bytes] = {}
        self._changed: set[Address] = set()
        self._changed_slots: dict[Address, set[int]] = {}
        self._cleared: set[Address] = set()
        self._undo: list[Callable[[], object]] = []
        # What follows lasts for one transaction.
        self._originals: dict[tuple[Address, int], int] = {}
        self._warm: set[Any] = set()
        self._transient: dict[tuple[Address, int], bytes] = {}

    # Checkpoints.

    def record(self) -> int:
        """A checkpoint."""
        return len(self._undo)

    def discard(self, checkpoint: int) -> None:
        """Undo everything since the checkpoint."""
        undo = self._undo
        while len(undo) > checkpoint:
            undo.pop()()

    def commit(self, checkpoint: int) -> None:
        """Keep everything since the checkpoint; an outer one can still undo it."""

    def lock_changes(self) -> None:
        """A new transaction begins: earlier changes stay, and access lists and transient storage are empty."""
        self._undo.clear()
        self._originals.clear()
        self._warm.clear()
        self._transient.clear()

    # Accounts.

    def _account(self, address: Address) -> Account | None:
        try:
            return self._accounts[address]
        except KeyError:
            data = state_trie.read(self._database.node, self.state_root, keccak256(address))
            found = Account.decode(data) if data else None
            self._accounts[address] = found
            return found

    def _put(self, address: Address, account: Account | None) -> None:
        old, accounts, changed = self._account(address), self._accounts, self._changed
        accounts[address] = account
        if address in changed:
            self._undo.append(lambda: accounts.__setitem__(address, old))
            return
        changed.add(address)

        def undo() -> None:
            accounts[address] = old
            changed.discard(address)

        self._undo.append(undo)

    def get_balance(self, address: Address) -> int:
        """Balance in wei."""
        return (self._account(address) or _NOTHING).balance

    def set_balance(self, address: Address, balance: int) -> None:
        """Set the balance in wei."""
        assert 0 <= balance <= _UINT256_MAX, "a balance left its range"
        old = self._account(address) or _NOTHING
        self._put(address, Account(old.nonce, balance, old.storage_root, old.code_hash))

    def get_nonce(self, address: Address) -> int:
        """Nonce."""
        return (self._account(address) or _NOTHING).nonce

    def set_nonce(self, address: Address, nonce: int) -> None:
        """Set the nonce."""
        assert 0 <= nonce <= _UINT64_MAX, "a nonce left its range"
        old = self._account(address) or _NOTHING
        self._put(address, Account(nonce, old.balance, old.storage_root, old.code_hash))

    def increment_nonce(self, address: Address) -> None:
        """Add one to the nonce."""
        self.set_nonce(address, self.get_nonce(address) + 1)

    def get_code_hash(self, address: Address) -> bytes:
        """Keccak-256 of the code."""
        return (self._account(address) or _NOTHING).code_hash

    def get_code(self, address: Address) -> bytes:
        """Code, empty where there is none."""
        digest = self.get_code_hash(address)
        if digest == EMPTY_CODE_HASH:
            return b""
        code = self._codes.get(digest)
        if code is None:
            code = self._codes[digest] = self._read_code(address, digest)
        return code

    def _read_code(self, address: Address, digest: bytes) -> bytes:
        try:
            return self._database[digest]
        except KeyError:
            raise StorageError(
                f"the store lacks the code of {to_hex(address)}",
                hint="the data folder is damaged; synchronise from peers into an empty folder",
            ) from None

    def set_code(self, address: Address, code: bytes) -> None:
        """Set the code."""
        digest = keccak256(code)
        self._codes[digest] = code
        old = self._account(address) or _NOTHING
        self._put(address, Account(old.nonce, old.balance, old.storage_root, digest))

    def delete_code(self, address: Address) -> None:
        """Take the code away."""
        self.set_code(address, b"")

    def account_exists(self, address: Address) -> bool:
        """Whether the trie will hold the account, be it empty."""
        return self._account(address) is not None

    def account_is_empty(self, address: Address) -> bool:
        """EIP-161."""
        return (self._account(address) or _NOTHING).is_empty

    def account_has_code_or_nonce(self, address: Address) -> bool:
        """Whether a contract was or an account is there."""
        account = self._account(address) or _NOTHING
        return account.nonce != 0 or account.code_hash != EMPTY_CODE_HASH

    def has_storage(self, address: Address) -> bool:
        """Whether the account had storage when the block began and was not cleared since (EIP-7610)."""
        account = self._account(address)
        return account is not None and account.storage_root != EMPTY_ROOT and address not in self._cleared

    def touch_account(self, address: Address) -> None:
        """Let the account exist, be it empty; clearing empty accounts is the transaction's business."""
        if self._account(address) is None:
            self._put(address, _NOTHING)

    def delete_account(self, address: Address) -> None:
        """The account and its storage are gone."""
        self.delete_storage(address)
        self._put(address, None)

    # Storage.

    def _read_slot(self, address: Address, slot: int) -> int:
        account = self._account(address)
        if account is None or account.storage_root == EMPTY_ROOT or address in self._cleared:
            return 0
        key = keccak256(slot.to_bytes(32, "big"))
        data = state_trie.read(self._database.node, account.storage_root, key)
        return to_integer(decode(data)) if data else 0

    def get_storage(self, address: Address, slot: int, from_journal: bool = True) -> int:
        """The word at `slot`; without the journal, as it was when the transaction began (EIP-2200)."""
        if not from_journal and (address, slot) in self._originals:
            return self._originals[address, slot]
        slots = self._slots.setdefault(address, {})
        value = slots.get(slot)
        if value is None:
            value = slots[slot] = self._read_slot(address, slot)
        return value

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        """Set the word at `slot`."""
        assert 0 <= value <= _UINT256_MAX, "a word left its range"
        old = self.get_storage(address, slot)
        self._originals.setdefault((address, slot), old)
        slots = self._slots[address]
        slots[slot] = value
        self._changed_slots.setdefault(address, set()).add(slot)
        self._undo.append(lambda: slots.__setitem__(slot, old))

    def delete_storage(self, address: Address) -> None:
        """Every slot is 0."""
        slots, changed = self._slots.pop(address, None), self._changed_slots.pop(address, None)
        was_cleared = address in self._cleared
        self._cleared.add(address)

        def undo() -> None:
            if not was_cleared:
                self._cleared.discard(address)
            _restore(self._slots, address, slots)
            _restore(self._changed_slots, address, changed)

        self._undo.append(undo)

    # For one transaction.

    def _mark(self, key: Any) -> None:
        if key not in self._warm:
            self._warm.add(key)
            self._undo.append(lambda: self._warm.discard(key))

    def is_address_warm(self, address: Address) -> bool:
        """EIP-2929."""
        return address in self._warm

    def mark_address_warm(self, address: Address) -> None:
        """EIP-2929."""
        self._mark(address)

    def is_storage_warm(self, address: Address, slot: int) -> bool:
        """EIP-2929."""
        return (address, slot) in self._warm

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        """EIP-2929."""
        self._mark((address, slot))

    def get_transient(self, address: Address, slot: int) -> bytes:
        """EIP-1153."""
        return self._transient.get((address, slot), b"")

    def set_transient(self, address: Address, slot: int, value: bytes) -> None:
        """EIP-1153."""
        old = self._transient.get((address, slot), b"")
        self._transient[address, slot] = value
        self._undo.append(lambda: self._transient.__setitem__((address, slot), old))

    def clear_transient(self) -> None:
        """A transaction has ended."""
        self._transient.clear()

    # Roots.

    def make_state_root(self) -> bytes:
        """Write every change into the tries; nothing before can be undone after it."""
        self._undo.clear()
        for address, slots in self._changed_slots.items():
            self._write_storage(address, slots)
        changes = {}
        for address in self._changed:
            account = self._accounts[address]
            changes[bytes(keccak256(address))] = b"" if account is None else account.encode()
            if account is not None and account.code_hash in self._codes:
                self._write_code(account.code_hash)
        self.state_root = state_trie.update(self._database.node, self.state_root, changes, self._database.written)
        self._changed.clear()
        self._changed_slots.clear()
        self._cleared.clear()
        return self.state_root

    def persist(self) -> None:
        """Make the root; nodes and code are in the database's layer then."""
        self.make_state_root()

    def _write_storage(self, address: Address, slots: set[int]) -> None:
        account = self._account(address)
        if account is None:
            return
        root = EMPTY_ROOT if address in self._cleared else account.storage_root
        values = self._slots[address]
        changes = {
            bytes(keccak256(slot.to_bytes(32, "big"))): encode(integer(values[slot])) if values[slot] else b""
            for slot in slots
        }
        root = state_trie.update(self._database.node, root, changes, self._database.written)
        self._accounts[address] = Account(account.nonce, account.balance, root, account.code_hash)
        self._changed.add(address)

    def _write_code(self, digest: bytes) -> None:
        if digest != EMPTY_CODE_HASH and digest not in self._database:
            self._database[digest] = self._codes[digest]


def _restore(table: dict[Address, Any], address: Address, value: Any) -> None:
    if value is None:
        table.pop(address, None)
    else:
        table[address] = value
