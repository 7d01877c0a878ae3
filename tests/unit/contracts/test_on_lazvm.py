"""The contracts on the real machine: precompile, witness and settlement together."""

from __future__ import annotations

import pytest
from attrs import evolve

from lazai_core.api.authorization import Authorization
from lazai_core.api.gas import Ratio
from lazai_core.api.job import JobKind
from lazai_core.api.precompile import NeedsCompute
from lazai_core.api.types import (
    DATA_REGISTRY_ADDRESS,
    GAS_PARAMETERS_ADDRESS,
    SETTLEMENT_ADDRESS,
    DatId,
    Hash32,
    Wei,
)
from lazai_core.builtin.flat_gas import FlatGasPolicy
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import (
    DEPOSIT,
    GRANT,
    REGISTER_DAT,
    Settled,
    decode_outputs,
    encode_execute,
    encode_set_parameters,
)
from lazai_core.chain.system_contracts import DEFAULT_GAS_PARAMETERS
from lazai_core.chain.system_state import earnings_of, escrow_of, next_counter
from lazai_core.exact.cost import planned_usage
from tests.unit.lazvm.world import (
    ACCOUNTS,
    CHAIN_ID,
    KEYS,
    advance,
    digits_sample,
    machine,
    plan,
    register_model,
    transaction,
    worker_record,
)

COIN = 10**18
USER, NODE, OWNER, WORKER = 1, 2, 3, 7


def test_a_signed_request_runs_on_two_machines_alike_and_pays_the_node() -> None:
    vm, other, sample = machine(), machine(), digits_sample()
    dat = DatId(1)
    for one in (vm, other):
        model = register_model(one, sample)
        advance(
            one,
            transaction(USER, 0, SETTLEMENT_ADDRESS, encode_call(DEPOSIT), value=COIN),
            transaction(OWNER, 0, DATA_REGISTRY_ADDRESS, encode_call(REGISTER_DAT, b"\x01" * 32, "", 500), gas=300_000),
            transaction(OWNER, 1, DATA_REGISTRY_ADDRESS, encode_call(GRANT, dat, ACCOUNTS[USER], 2**40)),
        )
    request = Authorization(
        user=ACCOUNTS[USER],
        node=ACCOUNTS[NODE],
        model=model,
        body_hash=Hash32(b"\x02" * 32),
        dats=(dat,),
        max_cost=Wei(COIN // 100),
        expiry=2**40,
        lane=3,
        counter=0,
    ).signed(KEYS[USER], CHAIN_ID, SETTLEMENT_ADDRESS)
    job_input = sample.job_input(seed=4)
    data = encode_execute(request, (job_input,), "signing")
    sent = transaction(NODE, 0, SETTLEMENT_ADDRESS, data, gas=3_000_000)

    with pytest.raises(NeedsCompute) as stop:
        vm.simulate(sent.raw)
    record = worker_record(stop.value.job, sample, WORKER)
    built = vm.build_block(plan(vm, sent), {record.job_id: record})

    outcome = built.executed.outcomes[0]
    assert outcome.succeeded, outcome
    assert decode_outputs(outcome.output) == (record.output,)
    assert other.check_block(built.executed.block).block == built.executed.block
    vm.commit(built.executed)
    state = vm.state()
    settled = Settled.from_log(outcome.logs[0].topics, outcome.logs[0].data)
    expected = FlatGasPolicy().compute_gas(
        JobKind.INFERENCE, planned_usage(sample.model.program.bind_input(job_input)), state
    )
    assert settled.compute_gas == expected
    assert earnings_of(state, ACCOUNTS[WORKER]) == expected * DEFAULT_GAS_PARAMETERS.tip
    assert earnings_of(state, ACCOUNTS[OWNER]) == 500
    assert escrow_of(state, ACCOUNTS[USER]) == COIN - settled.cost
    assert next_counter(state, ACCOUNTS[USER], 3) == 1
    receipt = vm.history.receipts(vm.head.height)[0]
    price = 2 * 10**9
    paid, spent = earnings_of(state, ACCOUNTS[NODE]), receipt.cumulative_gas_used * price
    assert 0 <= 100 * (paid - spent) <= spent
    with_replay = vm.build_block(plan(vm, transaction(NODE, 1, SETTLEMENT_ADDRESS, data, gas=3_000_000)), {})
    assert not with_replay.executed.outcomes[0].succeeded


def test_the_governor_changes_what_a_run_costs() -> None:
    vm, sample = machine(), digits_sample()
    register_model(vm, sample)
    usage = planned_usage(sample.model.program.bind_input(sample.job_input(seed=1)))
    doubled = evolve(DEFAULT_GAS_PARAMETERS, gamma=50_000, alpha=Ratio(numerator=1, denominator=250))
    nonce = vm.state().nonce(ACCOUNTS[0])
    before = FlatGasPolicy().compute_gas(JobKind.INFERENCE, usage, vm.state())

    advance(vm, transaction(0, nonce, GAS_PARAMETERS_ADDRESS, encode_set_parameters(doubled), gas=300_000))

    after = FlatGasPolicy().compute_gas(JobKind.INFERENCE, usage, vm.state())
    assert before == 25_000 - (-usage.flops // 500) - (-usage.memory_bytes_peak // 20)
    assert after == 50_000 - (-usage.flops // 250) - (-usage.memory_bytes_peak // 20)
