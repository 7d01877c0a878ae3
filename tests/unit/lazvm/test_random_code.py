"""Random code ends in an outcome, never in an exception of the machine's, and both sides agree on it."""

from __future__ import annotations

import random

import pytest

from lazai_core.api.precompile import NeedsCompute
from tests.unit.lazvm.world import ACCOUNTS, machine, plan, transaction

OPCODES = [
    *range(0x0C),
    *range(0x10, 0x1E),
    0x20,
    *range(0x30, 0x4B),
    *range(0x50, 0xA5),
    *(0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xFA, 0xFD, 0xFE, 0xFF),
]
FAVOURED = (0xF1, 0xF2, 0xF4, 0xFA, 0xF0, 0xF5, 0x37, 0x39, 0x3C, 0x3E, 0x5E, 0x20, 0xA1, 0x52, 0x55, 0x5D)


def random_code(case: random.Random) -> bytes:
    """Pushes of small numbers, offsets and addresses of precompiles first, so that much of it runs."""
    code = bytearray()
    for _ in range(case.randrange(10, 40)):
        code += b"\x61\x0a\x01" if case.random() < 0.1 else bytes([0x60, case.choice((0, 0, 1, 2, 5, 8, 9, 32, 255))])
    for _ in range(case.randrange(5, 80)):
        code.append(case.choice(FAVOURED if case.random() < 0.2 else OPCODES))
    return bytes(code)


@pytest.mark.parametrize("seed", range(8))
def test_random_code(seed: int) -> None:
    case = random.Random(seed)
    vm, other = machine(), machine()
    for _ in range(40):
        gas = case.choice((60_000, 200_000, 2_000_000))
        items = [
            transaction(0, vm.state().nonce(ACCOUNTS[0]), data=random_code(case) + case.randbytes(20), gas=gas),
            transaction(1, vm.state().nonce(ACCOUNTS[1]), ACCOUNTS[2], value=1),
        ]

        built = vm.build_block(plan(vm, *items))

        assert built.executed.outcomes[-1].succeeded
        checked = other.check_block(built.executed.block)
        assert checked.block == built.executed.block
        vm.commit(built.executed)
        other.commit(checked)


def test_a_stopped_transaction_leaves_no_trace_in_random_company() -> None:
    # The same block with and without a transaction that waits for compute.
    from lazai_core.api.types import AI_CALL_ADDRESS
    from lazai_core.chain.system_calls import InferCall
    from tests.unit.lazvm.world import digits_sample, register_model

    vm, sample = machine(), digits_sample()
    model = register_model(vm, sample)
    call = InferCall(model=model, input=sample.job_input(seed=1), proof_system="signing").encode()
    waiting = transaction(5, 0, AI_CALL_ADDRESS, call, gas=2_000_000)
    case = random.Random(5)
    company = [transaction(sender, 0, data=random_code(case), gas=300_000) for sender in (1, 2, 3, 4)]

    alone = vm.build_block(plan(vm, *company)).executed
    for place in range(5):
        mixed = [*company[:place], waiting, *company[place:]]
        built = vm.build_block(plan(vm, *mixed))
        assert [raw for raw, _ in built.waiting] == [waiting.raw]
        assert built.executed.block == alone.block
    with pytest.raises(NeedsCompute):
        vm.simulate(waiting.raw)
