"""The journal of accounts against a plain model that copies everything at each checkpoint."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from lazai_core.api.types import Address
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.trie import EMPTY_ROOT
from lazai_core.lazvm.accounts import JournaledAccounts
from lazai_core.lazvm.database import NodeReader, StateDatabase

ADDRESSES = [Address(bytes([number]) * 20) for number in range(1, 5)]
SLOTS = (0, 1, 2**255)


class Model:
    """Accounts as dictionaries; a checkpoint is a deep copy."""

    def __init__(self) -> None:
        self.accounts: dict[Address, dict[str, Any]] = {}
        self.warm: set[Any] = set()
        self.transient: dict[Any, bytes] = {}

    def account(self, address: Address) -> dict[str, Any]:
        return self.accounts.setdefault(address, {"nonce": 0, "balance": 0, "code": b"", "slots": {}})

    def slot(self, address: Address, slot: int) -> int:
        return int(self.accounts.get(address, {"slots": {}})["slots"].get(slot, 0))


def fresh_root(model: Model) -> bytes:
    """Root of a state written once from the model, with no journal involved."""
    accounts = JournaledAccounts(StateDatabase(NodeReader(MemoryStore())))
    for address, values in model.accounts.items():
        accounts.touch_account(address)
        accounts.set_nonce(address, values["nonce"])
        accounts.set_balance(address, values["balance"])
        if values["code"]:
            accounts.set_code(address, values["code"])
        for slot, value in values["slots"].items():
            if value:
                accounts.set_storage(address, slot, value)
    return accounts.make_state_root()


def act(case: random.Random, accounts: JournaledAccounts, model: Model) -> None:
    address, slot, value = case.choice(ADDRESSES), case.choice(SLOTS), case.choice((0, 1, 7, 2**256 - 1))
    action = case.randrange(8)
    if action == 0:
        accounts.set_balance(address, value)
        model.account(address)["balance"] = value
    elif action == 1:
        accounts.set_nonce(address, value % 2**64)
        model.account(address)["nonce"] = value % 2**64
    elif action == 2:
        code = bytes([value % 256]) * 3
        accounts.set_code(address, code)
        model.account(address)["code"] = code
    elif action in (3, 4):
        accounts.touch_account(address)
        accounts.set_storage(address, slot, value)
        model.account(address)["slots"][slot] = value
    elif action == 5:
        accounts.delete_account(address)
        model.accounts.pop(address, None)
    elif action == 6:
        accounts.mark_storage_warm(address, slot)
        model.warm.add((address, slot))
    else:
        accounts.set_transient(address, slot, b"\x01")
        model.transient[address, slot] = b"\x01"


def require_equal(accounts: JournaledAccounts, model: Model) -> None:
    for address in ADDRESSES:
        expected = model.accounts.get(address)
        assert accounts.account_exists(address) == (expected is not None)
        values = expected or {"nonce": 0, "balance": 0, "code": b"", "slots": {}}
        assert accounts.get_nonce(address) == values["nonce"]
        assert accounts.get_balance(address) == values["balance"]
        assert accounts.get_code(address) == values["code"]
        for slot in SLOTS:
            assert accounts.get_storage(address, slot) == model.slot(address, slot)
            assert accounts.is_storage_warm(address, slot) == ((address, slot) in model.warm)
            assert accounts.get_transient(address, slot) == model.transient.get((address, slot), b"")


@pytest.mark.parametrize("seed", range(40))
def test_random_histories_equal_the_model(seed: int) -> None:
    case = random.Random(seed)
    accounts, model = JournaledAccounts(StateDatabase(NodeReader(MemoryStore()))), Model()
    for _ in range(case.randrange(1, 6)):
        accounts.lock_changes()
        model.warm, model.transient = set(), {}
        before = copy.deepcopy(model)
        checkpoints: list[tuple[int, Model]] = []
        for _ in range(case.randrange(1, 25)):
            step = case.random()
            if step < 0.2:
                checkpoints.append((accounts.record(), copy.deepcopy(model)))
            elif step < 0.35 and checkpoints:
                checkpoint, model = checkpoints.pop()
                accounts.discard(checkpoint)
            elif step < 0.45 and checkpoints:
                accounts.commit(checkpoints.pop()[0])
            else:
                act(case, accounts, model)
            require_equal(accounts, model)
        for address in ADDRESSES:
            for slot in SLOTS:
                if address in before.accounts and address in model.accounts:
                    changed = accounts.get_storage(address, slot, from_journal=False)
                    assert changed in (before.slot(address, slot), 0)
        if case.random() < 0.5:
            assert accounts.make_state_root() == fresh_root(model)
    assert accounts.make_state_root() == fresh_root(model)
    assert (accounts.state_root == EMPTY_ROOT) == (not model.accounts)


def test_the_original_value_is_that_of_the_transactions_start() -> None:
    accounts, address = JournaledAccounts(StateDatabase(NodeReader(MemoryStore()))), ADDRESSES[0]
    accounts.touch_account(address)
    accounts.set_storage(address, 1, 5)
    accounts.lock_changes()

    checkpoint = accounts.record()
    accounts.set_storage(address, 1, 6)
    accounts.set_storage(address, 1, 7)

    assert accounts.get_storage(address, 1, from_journal=False) == 5
    accounts.discard(checkpoint)
    assert accounts.get_storage(address, 1) == 5


def test_storage_that_was_there_blocks_a_creation() -> None:
    database = StateDatabase(NodeReader(MemoryStore()))
    accounts, address = JournaledAccounts(database), ADDRESSES[0]
    accounts.touch_account(address)
    accounts.set_storage(address, 1, 5)
    root = accounts.make_state_root()
    later = JournaledAccounts(database, root)

    assert later.has_storage(address)
    checkpoint = later.record()
    later.delete_account(address)
    assert not later.has_storage(address)
    later.discard(checkpoint)
    assert later.has_storage(address)
    assert not later.account_has_code_or_nonce(address)
