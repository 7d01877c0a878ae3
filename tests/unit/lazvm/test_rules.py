"""What LazVM adds to py-evm, and the rules of single transactions, on whole chains."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import evolve

from lazai_core.api.errors import InvalidGenesis, InvalidTransaction, StorageError
from lazai_core.api.precompile import PrecompileCall
from lazai_core.api.types import AI_CALL_ADDRESS, Address, Gas, Hash32, Height, Wei
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.block import randao_of
from lazai_core.chain.genesis import GenesisContract
from lazai_core.chain.system_contracts import HISTORY_STORAGE_ADDRESS
from lazai_core.chain.transaction import ACCESS_LIST, LEGACY, SET_CODE, SetCodeAuthorization, Transaction
from lazai_core.lazvm.fork import contract_address
from lazai_core.lazvm.validation import NonceAhead
from lazai_core.lazvm.vm import BlockPlan, CallRequest, LazVM
from tests.unit.lazvm.world import (
    ACCOUNTS,
    CHAIN_ID,
    GWEI,
    KEYS,
    PROPOSER,
    FlatPolicy,
    advance,
    genesis,
    machine,
    plan,
    precompiles,
    transaction,
)

TARGET = Address(b"\x77" * 20)
STORES_ONE = bytes.fromhex("6001600155")
"""PUSH1 1, PUSH1 1, SSTORE."""


def with_code(code: bytes, **changes: object) -> LazVM:
    """A machine whose account `TARGET` holds this code from the start."""
    start = genesis(**changes)
    return machine(start=evolve(start, contracts={**start.contracts, TARGET: GenesisContract(code=code)}))


def both(start: LazVM, other: LazVM, *items: Transaction) -> None:
    """Build on one, check on the other, commit on both."""
    built = start.build_block(plan(start, *items))
    assert built.refused == ()
    checked = other.check_block(built.executed.block)
    start.commit(built.executed)
    other.commit(checked)
    assert start.head == other.head


@pytest.mark.parametrize("type_id", [LEGACY, ACCESS_LIST, 2])
def test_each_type_moves_coins_on_both_sides(type_id: int) -> None:
    vm, other = machine(), machine()
    item = transaction(0, 0, TARGET, value=9, type_id=type_id)
    if type_id == ACCESS_LIST:
        item = evolve(item, access_list=((TARGET, (1, 2)),)).signed(KEYS[0])

    both(vm, other, item)

    assert vm.state().balance(TARGET) == 9
    assert vm.history.receipts(1)[0].type_id == type_id
    spent = vm.history.receipts(1)[0].cumulative_gas_used
    assert spent == 21_000 + (2_400 + 2 * 1_900 if type_id == ACCESS_LIST else 0)


def test_a_set_code_transaction_lends_code_on_both_sides() -> None:
    vm, other = with_code(STORES_ONE), with_code(STORES_ONE)
    permission = SetCodeAuthorization(chain_id=CHAIN_ID, address=TARGET, nonce=0).signed(KEYS[1])
    item = evolve(transaction(0, 0, ACCOUNTS[1], gas=200_000), type_id=SET_CODE, authorizations=(permission,)).signed(
        KEYS[0]
    )

    both(vm, other, item)

    assert vm.state().code(ACCOUNTS[1]) == b"\xef\x01\x00" + TARGET
    assert vm.state().storage(ACCOUNTS[1], 1) == 1
    assert vm.state().nonce(ACCOUNTS[1]) == 1


@pytest.mark.parametrize("change", [{"chain_id": 1}, {"nonce": 5}, {"s": 1}, {"nonce": 2**64 - 1}])
def test_a_wrong_authorisation_is_skipped(change: Mapping[str, int]) -> None:
    vm = with_code(STORES_ONE)
    permission = SetCodeAuthorization(chain_id=CHAIN_ID, address=TARGET, nonce=0)
    permission = evolve(permission, **change) if "s" not in change else permission
    signed = permission.signed(KEYS[1])
    signed = evolve(signed, **change) if "s" in change else signed
    item = evolve(transaction(0, 0, TARGET, gas=200_000), type_id=SET_CODE, authorizations=(signed,)).signed(KEYS[0])

    advance(vm, item)

    assert vm.state().code(ACCOUNTS[1]) == b""


def test_a_lent_account_can_still_send() -> None:
    vm = with_code(STORES_ONE)
    permission = SetCodeAuthorization(chain_id=CHAIN_ID, address=TARGET, nonce=0).signed(KEYS[1])
    lend = evolve(transaction(0, 0, ACCOUNTS[1], gas=200_000), type_id=SET_CODE, authorizations=(permission,))
    advance(vm, lend.signed(KEYS[0]))

    advance(vm, transaction(1, 1, ACCOUNTS[2], value=1))

    assert vm.state().nonce(ACCOUNTS[1]) == 2


REFUSED: Mapping[str, tuple[Transaction, str]] = {
    "another chain": (evolve(transaction(0, 0, TARGET), chain_id=1).signed(KEYS[0]), "for chain 1"),
    "fee below base fee": (
        evolve(transaction(0, 0, TARGET), max_fee_per_gas=Wei(5), max_priority_fee_per_gas=Wei(0)).signed(KEYS[0]),
        "below the block's base fee",
    ),
    "tip above fee": (
        evolve(transaction(0, 0, TARGET), max_priority_fee_per_gas=Wei(10**12)).signed(KEYS[0]),
        "is above",
    ),
    "fee beyond all numbers": (
        evolve(transaction(0, 0, TARGET), max_fee_per_gas=Wei(2**255)).signed(KEYS[0]),
        "256 bits",
    ),
    "too little gas": (transaction(0, 0, TARGET, gas=20_999), "below the 21000"),
    "calldata floor": (transaction(0, 0, TARGET, data=b"\x01" * 100, gas=24_000), "below the 25000"),
    "too much gas": (transaction(0, 0, TARGET, gas=30_000_001), "above the"),
    "init code too long": (transaction(0, 0, data=bytes(49_153), gas=5_000_000), "49153 bytes"),
    "used nonce": (transaction(1, 0, TARGET), "the next one"),
    "not enough coins": (transaction(0, 0, TARGET, value=10**25), "may cost"),
    "impossible signature": (evolve(transaction(0, 0, TARGET), r=0), "signature"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_transaction_says_why_and_changes_nothing(name: str) -> None:
    item, reason = REFUSED[name]
    vm = machine()
    advance(vm, transaction(1, 0, TARGET))

    with pytest.raises(InvalidTransaction, match=reason):
        vm.simulate(item.raw)
    built = vm.build_block(plan(vm, item, transaction(2, 0, TARGET, value=1)))

    assert [raw for raw, _ in built.refused] == [item.raw]
    assert len(built.executed.block.transactions) == 1
    assert vm.build_block(plan(vm, transaction(2, 0, TARGET, value=1))).executed.block == built.executed.block


def test_a_nonce_ahead_waits_for_its_turn() -> None:
    vm = machine()
    later = transaction(0, 1, TARGET)

    with pytest.raises(NonceAhead):
        vm.simulate(later.raw)
    assert vm.build_block(plan(vm, later)).left_over == (later.raw,)
    assert vm.build_block(plan(vm, transaction(0, 0, TARGET), later)).left_over == ()


def test_a_contract_cannot_send() -> None:
    start = genesis()
    vm = machine(start=evolve(start, contracts={**start.contracts, ACCOUNTS[0]: GenesisContract(code=b"\x00")}))

    with pytest.raises(InvalidTransaction, match="is a contract"):
        vm.simulate(transaction(0, 1, TARGET).raw)


def test_what_does_not_fit_is_left_over() -> None:
    vm = machine(start=genesis(block_gas_limit=Gas(1_000_000)))
    big, small = transaction(0, 0, TARGET, gas=990_000), transaction(1, 0, TARGET, gas=21_000)
    third = transaction(2, 0, TARGET, gas=990_000)

    built = vm.build_block(plan(vm, big, small, third))

    assert built.left_over == (third.raw,)
    assert built.executed.block.header.gas_used == 42_000


def test_the_block_context_is_what_the_formats_say() -> None:
    # BLOCKHASH of the parent, PREVRANDAO, CHAINID, BLOBBASEFEE, COINBASE, BASEFEE, NUMBER, TIMESTAMP as words.
    code = bytes.fromhex("60014303405244602052466040524a606052416080524860a0524360c0524260e052")
    code = bytes.fromhex("6001430340") + bytes.fromhex("5f52") + code[6:] + bytes.fromhex("6101005ff3")
    vm = with_code(code)
    advance(vm, transaction(0, 0, ACCOUNTS[1], value=1))

    output = vm.call(CallRequest(to=TARGET)).output
    words = [output[start : start + 32] for start in range(0, 256, 32)]

    parent = vm.head
    assert words[0] == parent.hash
    assert words[1] == randao_of(parent.hash)
    assert [int.from_bytes(word, "big") for word in words[2:]] == [
        CHAIN_ID,
        1,
        0,
        GWEI,
        parent.height + 1,
        parent.header.timestamp + 1,
    ]


def test_the_history_contract_knows_older_blocks() -> None:
    vm = machine()
    for nonce in range(3):
        advance(vm, transaction(0, nonce, TARGET))

    for height in range(3):
        outcome = vm.call(CallRequest(to=HISTORY_STORAGE_ADDRESS, data=height.to_bytes(32, "big")))
        assert outcome.output == vm.history.block_hash(height)


def test_calls_see_what_they_change_and_keep_nothing() -> None:
    # SSTORE 1 at 1, then return SLOAD 1.
    vm = with_code(STORES_ONE + bytes.fromhex("6001545f5260205ff3"))
    before = vm.state().state_root

    outcome = vm.call(CallRequest(to=TARGET))
    refused = vm.call(CallRequest(to=TARGET, is_static=True))

    assert outcome.output == (1).to_bytes(32, "big")
    assert (refused.succeeded, refused.error.split(":")[0]) == (False, "WriteProtection")
    assert vm.state().storage(TARGET, 1) == 0
    assert vm.state().state_root == before


def test_a_call_gives_its_revert_data() -> None:
    vm = with_code(bytes.fromhex("602a5f5260205ffd"))

    outcome = vm.call(CallRequest(to=TARGET))

    assert (outcome.succeeded, outcome.output, outcome.error) == (False, (42).to_bytes(32, "big"), "Revert")
    assert 0 < outcome.gas_used < 100


def test_calls_on_older_states() -> None:
    vm = with_code(STORES_ONE)
    old = vm.head.header.state_root
    advance(vm, transaction(0, 0, TARGET))

    assert vm.state().storage(TARGET, 1) == 1
    assert vm.state(old).storage(TARGET, 1) == 0
    with pytest.raises(StorageError, match="lacks the state node"):
        vm.state(Hash32(b"\x01" * 32))


def test_a_call_that_creates_and_one_without_funds() -> None:
    vm = machine()

    created = vm.call(CallRequest(to=b"", data=bytes.fromhex("602a5f5260205ff3")))
    poor = vm.call(CallRequest(to=TARGET, value=Wei(1), sender=TARGET))

    assert created.output == (42).to_bytes(32, "big")
    assert poor.error.startswith("InsufficientFunds")


def test_creation_where_storage_exists_fails() -> None:
    address = contract_address(ACCOUNTS[0], 0)
    start = genesis()
    # Code at the address is taken away by nobody; storage alone must be enough to refuse (EIP-7610), so that the
    # account is given storage and neither code nor nonce.
    vm = machine(start=start)
    from lazai_core.lazvm.accounts import JournaledAccounts
    from lazai_core.lazvm.database import StateDatabase

    database = StateDatabase(vm._nodes)
    accounts = JournaledAccounts(database, vm.head.header.state_root)
    accounts.touch_account(address)
    accounts.set_storage(address, 3, 4)
    root = Hash32(accounts.make_state_root())
    vm._nodes.remember(database.written)
    opened = vm._open_block(None, PROPOSER, {}, root=root)

    outcome = opened.add(transaction(0, 0, data=bytes.fromhex("602a5f5260205ff3"), gas=200_000))

    assert not outcome.succeeded
    assert outcome.gas_used == 200_000
    assert outcome.error.startswith("ContractCreationCollision")


def test_curve_work_is_bounded_by_the_block() -> None:
    # CALL the BN254 multiplication with 128 zero bytes, then stop; 9 units of slow work.
    code = bytes.fromhex("5f5f60805f5f60075af15f5500")
    start = machine(start=evolve(genesis(), contracts={**genesis().contracts, TARGET: GenesisContract(code=code)}))
    advance(start, transaction(0, 0, TARGET, gas=100_000))
    # Fifty calls in a loop of a pairing check with two pairs each: far beyond the limit of one block.
    pairing = bytes.fromhex("60325b5f5f6101805f5f60085af150600190038060025700")
    vm = machine(start=evolve(genesis(), contracts={**genesis().contracts, TARGET: GenesisContract(code=pairing)}))
    greedy = transaction(0, 0, TARGET, gas=29_000_000)

    with pytest.raises(InvalidTransaction, match="slow curve work"):
        vm.simulate(greedy.raw)
    built = vm.build_block(plan(vm, greedy, transaction(1, 0, ACCOUNTS[0])))
    assert built.left_over == (greedy.raw,)
    assert len(built.executed.block.transactions) == 1
    assert vm.call(CallRequest(to=TARGET)).error.startswith("no block can hold it")


def test_our_precompiles_may_not_hide_ethereums() -> None:
    with pytest.raises(ValueError, match="belongs to a precompile of Ethereum"):
        LazVM(
            genesis=genesis(),
            store=MemoryStore(),
            precompiles={Address(bytes(19) + b"\x01"): precompiles()[AI_CALL_ADDRESS]},
            gas_policy=FlatPolicy(),
            verify_record=lambda job, record, state: None,
        )


def test_a_precompile_is_there_from_its_height_on() -> None:
    class Answers:
        def required_gas(self, call: PrecompileCall) -> Gas:
            return Gas(5)

        def run(self, call: PrecompileCall) -> bytes:
            return b"here"

    vm = LazVM(
        genesis=genesis(),
        store=MemoryStore(),
        precompiles={TARGET: Answers()},
        gas_policy=FlatPolicy(),
        verify_record=lambda job, record, state: None,
        active_from={TARGET: Height(3)},
    )
    answers = []
    for nonce in range(3):
        answers.append(vm.call(CallRequest(to=TARGET)).output)
        advance(vm, transaction(0, nonce, ACCOUNTS[1]))

    assert answers == [b"", b"", b"here"]


def test_a_store_of_another_chain_is_refused() -> None:
    store = MemoryStore()
    machine(store=store)

    with pytest.raises(InvalidGenesis, match="belongs to the chain with genesis"):
        machine(store=store, start=genesis(chain_id=7))


def test_reopening_gives_the_same_head() -> None:
    store = MemoryStore()
    vm = machine(store=store)
    advance(vm, transaction(0, 0, TARGET, value=3))

    again = machine(store=store)

    assert again.head == vm.head
    assert again.state().balance(TARGET) == 3
    advance(again, transaction(0, 1, TARGET, value=3))


def test_a_store_without_its_head_is_damaged() -> None:
    store = MemoryStore()
    machine(store=store)
    batch = store.batch()
    batch.delete(b"h")
    batch.commit()

    with pytest.raises(StorageError, match="no head block"):
        machine(store=store)


def test_only_the_next_block_is_committed() -> None:
    vm = machine()
    executed = vm.build_block(plan(vm)).executed
    vm.commit(executed)

    with pytest.raises(ValueError, match="does not follow"):
        vm.commit(executed)


def test_fees_and_summary() -> None:
    vm = machine()
    built = advance(vm, transaction(0, 0, TARGET))

    assert vm.next_base_fees() == (GWEI, GWEI)
    assert vm.fees().gas_target == 15_000_000
    summary = vm.summary(built.executed)
    assert (summary.height, summary.transactions, summary.gas_used) == (1, 1, 21_000)
    assert summary.block_hash == vm.head.hash


def test_free_text_stands_in_the_header() -> None:
    vm = machine()
    wanted = BlockPlan(transactions=(), timestamp=vm.head.header.timestamp + 5, proposer=PROPOSER, extra_data=b"hi")

    executed = vm.build_block(wanted).executed

    assert executed.block.header.extra_data == b"hi"
    assert machine().check_block(executed.block).block == executed.block
