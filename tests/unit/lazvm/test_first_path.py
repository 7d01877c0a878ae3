"""The data path of one inference: a transaction stops, gets its record, and proposer and validator agree."""

from __future__ import annotations

import pytest

from lazai_core.api.precompile import NeedsCompute
from lazai_core.api.types import AI_CALL_ADDRESS, Address
from lazai_core.chain.abi import encode_arguments, encode_call
from lazai_core.chain.system_calls import InferCall, InferResult
from lazai_core.chain.system_contracts import creation_code
from tests.unit.lazvm.world import (
    ACCOUNTS,
    PROPOSER,
    advance,
    digits_sample,
    machine,
    plan,
    register_model,
    transaction,
    worker_record,
)


def test_a_transfer_moves_coins_and_pays_the_proposer() -> None:
    vm, other = machine(), machine()
    target = Address(b"\x77" * 20)

    built = vm.build_block(plan(vm, transaction(0, 0, target, value=5)))

    assert other.check_block(built.executed.block).block.header == built.executed.block.header
    vm.commit(built.executed)
    assert vm.state().balance(target) == 5
    assert vm.state().nonce(ACCOUNTS[0]) == 1
    assert vm.state().balance(PROPOSER) == 21_000 * 10**9
    assert vm.head.height == 1


def test_a_direct_call_suspends_once_and_both_sides_agree() -> None:
    vm, other = machine(), machine()
    sample = digits_sample()
    for one in (vm, other):
        register_model(one, sample)
    job_input = sample.job_input(seed=4)
    call = InferCall(model=sample.model.program.digest(), input=job_input, proof_system="signing")
    request = transaction(1, 0, AI_CALL_ADDRESS, call.encode(), gas=2_000_000)

    with pytest.raises(NeedsCompute) as stop:
        vm.simulate(request.raw)
    waiting = vm.build_block(plan(vm, request))
    record = worker_record(stop.value.job, sample)
    built = vm.build_block(plan(vm, request), {record.job_id: record})

    assert [job for _, job in waiting.waiting] == [stop.value.job]
    assert waiting.executed.block.transactions == ()
    outcome = built.executed.outcomes[0]
    assert outcome.succeeded
    assert InferResult.decode(outcome.output).output == record.output
    assert built.executed.block.records == (record,)
    checked = other.check_block(built.executed.block)
    assert checked.block.header.state_root == built.executed.block.header.state_root
    assert checked.receipts == built.executed.receipts
    vm.commit(built.executed)
    other.commit(checked)
    assert vm.head == other.head


def test_a_contract_made_call_suspends_once_and_both_sides_agree() -> None:
    vm, other = machine(), machine()
    sample = digits_sample()
    for one in (vm, other):
        register_model(one, sample)
        code = creation_code("DigitReader") + encode_arguments(["bytes32"], [sample.model.program.digest()])
        advance(one, transaction(2, 0, data=code, gas=2_000_000))
    reader = vm.history.receipts(2)[0]
    assert reader.succeeded
    from lazai_core.lazvm.fork import contract_address

    address = contract_address(ACCOUNTS[2], 0)
    pixels = sample.job_input(seed=4)[4:]
    call = encode_call("readProven(bytes,string)", pixels, "signing")
    request = transaction(3, 0, address, call, gas=2_000_000)

    with pytest.raises(NeedsCompute) as stop:
        vm.simulate(request.raw)
    record = worker_record(stop.value.job, sample)
    built = vm.build_block(plan(vm, request), {record.job_id: record})

    outcome = built.executed.outcomes[0]
    assert outcome.succeeded, outcome
    assert len(outcome.logs) == 1
    assert other.check_block(built.executed.block).block == built.executed.block
