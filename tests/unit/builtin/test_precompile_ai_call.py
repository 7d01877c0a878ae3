"""The AI-call precompile on a real chain: answers, prices, and every refusal by its custom error."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import InvalidBlock, PrecompileRevert
from lazai_core.api.gas_parameters import read_gas_parameters
from lazai_core.api.job import JobKind
from lazai_core.api.precompile import NeedsCompute
from lazai_core.api.types import (
    AI_CALL_ADDRESS,
    DATA_REGISTRY_ADDRESS,
    MODEL_REGISTRY_ADDRESS,
    Address,
    DatId,
    Gas,
    ModelId,
    Wei,
)
from lazai_core.chain.abi import decode_arguments, decode_call, encode_call
from lazai_core.chain.genesis import GenesisContract
from lazai_core.chain.system_calls import (
    GRANT,
    REGISTER_DAT,
    REGISTER_MODEL,
    ComputeGasCall,
    InferCall,
    InferInlineCall,
)
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.reference import run_job
from lazai_core.lazvm.adapter import REFUSAL_GAS, REFUSAL_GAS_WORD
from lazai_core.lazvm.vm import CallOutcome, CallRequest, LazVM
from lazai_core.testing.chain_port import precompile_call
from tests.unit.lazvm.world import (
    ACCOUNTS,
    GWEI,
    MODEL_GAS,
    FlatPolicy,
    advance,
    digits_sample,
    genesis,
    machine,
    plan,
    precompiles,
    register_model,
    transaction,
    worker_record,
)

SAMPLE = digits_sample()
PROGRAM = SAMPLE.model.program
MODEL = PROGRAM.digest()
INPUT = SAMPLE.job_input(seed=9)
BOUND = PROGRAM.bind_input(INPUT)
USAGE = planned_usage(BOUND)


@pytest.fixture(scope="module")
def vm() -> LazVM:
    opened = machine()
    register_model(opened, SAMPLE)
    return opened


def infer(**changes: object) -> InferCall:
    return evolve(InferCall(model=MODEL, input=INPUT, proof_system="signing"), **changes)  # type: ignore[arg-type]


def ask(vm: LazVM, data: bytes, **changes: object) -> CallOutcome:
    request = CallRequest(to=AI_CALL_ADDRESS, data=data, sender=ACCOUNTS[1])
    return vm.call(evolve(request, **changes))  # type: ignore[arg-type]


def compute_gas(vm: LazVM) -> int:
    return FlatPolicy().compute_gas(JobKind.INFERENCE, USAGE, vm.state())


def test_a_small_model_answers_inline_also_in_a_static_call(vm: LazVM) -> None:
    outcome = ask(vm, InferInlineCall(model=MODEL, input=INPUT).encode(), is_static=True)

    assert outcome.succeeded, outcome
    (output,) = decode_arguments(["bytes"], outcome.output)
    assert output == run_job(SAMPLE.model, INPUT).output_bytes()


def test_inline_and_recorded_calls_cost_bytes_and_compute(vm: LazVM) -> None:
    outcome = ask(vm, InferInlineCall(model=MODEL, input=INPUT).encode())

    assert outcome.gas_used == 10_000 + 8 * (68 + 40) + compute_gas(vm)


def test_the_price_is_told(vm: LazVM) -> None:
    outcome = ask(vm, ComputeGasCall(model=MODEL, dimension=0).encode(), is_static=True)

    numbers = decode_arguments(["uint256", "uint256", "uint256"], outcome.output)
    assert numbers == (compute_gas(vm), USAGE.flops, USAGE.memory_bytes_peak)
    parameters = read_gas_parameters(vm.state())
    assert numbers[0] >= parameters.gamma > 0


def test_the_compute_base_fee_moves_the_evm_gas() -> None:
    dear = machine(start=genesis(compute_base_fee_per_gas=Wei(3 * GWEI)))
    register_model(dear, SAMPLE)

    outcome = ask(dear, InferInlineCall(model=MODEL, input=INPUT).encode())

    assert outcome.gas_used == 10_000 + 8 * (68 + 40) + 3 * compute_gas(dear)


NOT_PROGRAM = b"these bytes are no program"
NOT_PROGRAM_ID = ModelId(bytes.fromhex("00" * 32))

REFUSALS: Mapping[str, tuple[bytes, dict[str, object], str, tuple[object, ...]]] = {
    "model": (infer(model=ModelId(bytes(32))).encode(), {}, "UnknownModel(bytes32)", (bytes(32),)),
    "inline model": (
        InferInlineCall(model=ModelId(b"\x01" * 32), input=INPUT).encode(),
        {},
        "UnknownModel(bytes32)",
        (b"\x01" * 32,),
    ),
    "static": (infer().encode(), {"is_static": True}, "StaticCall()", ()),
    "value": (infer().encode(), {"value": Wei(1)}, "ValueNotAccepted()", ()),
    "system": (infer(proof_system="stark").encode(), {}, "UnknownProofSystem(string)", ("stark",)),
    "dat": (infer(dats=(DatId(9),)).encode(), {}, "DatNotPermitted(uint256,address)", (9, ACCOUNTS[1])),
    "function": (b"\x01\x02\x03\x04rest", {}, "UnknownFunction(bytes4)", (b"\x01\x02\x03\x04",)),
    "no function": (b"", {}, "UnknownFunction(bytes4)", (bytes(4),)),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_a_custom_error(vm: LazVM, name: str) -> None:
    data, changes, signature, values = REFUSALS[name]

    outcome = ask(vm, data, **changes)

    assert (outcome.succeeded, outcome.error) == (False, "Revert")
    assert decode_call(signature, outcome.output) == values
    assert outcome.gas_used < 100_000


@pytest.mark.parametrize("data", [INPUT[:-1], INPUT + b"\x00", b"\x00\x00\x00\x01" + INPUT[4:], b""])
def test_an_input_of_another_shape(vm: LazVM, data: bytes) -> None:
    for call in (infer(input=data), InferInlineCall(model=MODEL, input=data)):
        (reason,) = decode_call("InvalidInput(string)", ask(vm, call.encode()).output)
        assert reason


def test_an_input_outside_its_interval_is_refused_where_it_runs(vm: LazVM) -> None:
    outcome = ask(vm, InferInlineCall(model=MODEL, input=INPUT[:4] + b"\x7f" * 64).encode())

    assert decode_call("InvalidInput(string)", outcome.output)


def test_malformed_arguments(vm: LazVM) -> None:
    whole = infer().encode()
    for data in (whole[:4], whole[:100], whole[:36] + b"\xff" * 32 + whole[68:]):
        outcome = ask(vm, data)
        assert decode_call("MalformedCall(string)", outcome.output)
        assert outcome.gas_used == REFUSAL_GAS + REFUSAL_GAS_WORD * -(-len(data) // 32)


@given(st.binary(max_size=300), st.sampled_from((infer(), InferInlineCall(model=MODEL, input=INPUT))), st.data())
def test_any_calldata_is_refused_as_a_revert(noise: bytes, call: InferCall, data: st.DataObject) -> None:
    whole = call.encode()
    start = data.draw(st.integers(0, len(whole)))
    precompile = precompiles()[AI_CALL_ADDRESS]

    for calldata in (whole[:start] + noise, whole[:4] + noise, noise):
        with pytest.raises(PrecompileRevert):
            precompile.required_gas(precompile_call(calldata))


def test_a_model_above_the_limit_does_not_run_inline() -> None:
    small = machine(start=genesis(inline_flops_max=USAGE.flops - 1))
    register_model(small, SAMPLE)

    outcome = ask(small, InferInlineCall(model=MODEL, input=INPUT).encode())

    assert decode_call("InlineLimitExceeded(uint256,uint256)", outcome.output) == (
        USAGE.flops,
        USAGE.memory_bytes_peak,
    )
    with pytest.raises(NeedsCompute):
        ask(small, infer().encode())


def test_a_model_without_constants_does_not_run_inline() -> None:
    bare = machine()
    register = encode_call(REGISTER_MODEL, PROGRAM.skeleton(), "digits", "", 0)
    advance(bare, transaction(0, 0, MODEL_REGISTRY_ADDRESS, register, gas=MODEL_GAS))

    outcome = ask(bare, InferInlineCall(model=MODEL, input=INPUT).encode())

    assert decode_call("ConstantsMissing(bytes32)", outcome.output) == (MODEL,)


def test_constants_that_break_their_declaration_do_not_run() -> None:
    # The skeleton says that weights reach from 0 to 1; the stored bytes are those of the real ones.
    lying = evolve(PROGRAM, constants=(evolve(PROGRAM.constants[0], low=0, high=1), *PROGRAM.constants[1:]))
    vm = machine()
    register_model(vm, SAMPLE)
    register = encode_call(REGISTER_MODEL, lying.skeleton(), "lying", "", 0)
    advance(vm, transaction(1, 0, MODEL_REGISTRY_ADDRESS, register, gas=MODEL_GAS))

    outcome = ask(vm, InferInlineCall(model=lying.digest(), input=INPUT).encode())

    assert decode_call("ConstantsMissing(bytes32)", outcome.output) == (lying.digest(),)


def test_registered_junk_is_no_model() -> None:
    import hashlib

    vm = machine()
    register = encode_call(REGISTER_MODEL, NOT_PROGRAM, "junk", "", 0)
    advance(vm, transaction(0, 0, MODEL_REGISTRY_ADDRESS, register, gas=MODEL_GAS))
    digest = ModelId(hashlib.sha256(b"lazai/program/v1\x00" + NOT_PROGRAM).digest())

    for _ in range(2):
        assert decode_call("UnknownModel(bytes32)", ask(vm, infer(model=digest).encode()).output) == (digest,)


def test_a_data_token_must_permit_the_caller() -> None:
    vm = machine()
    register_model(vm, SAMPLE)
    owner, user = 2, 1
    far = vm.head.header.timestamp + 1000
    advance(
        vm,
        transaction(owner, 0, DATA_REGISTRY_ADDRESS, encode_call(REGISTER_DAT, b"\x05" * 32, "", 0), gas=300_000),
        transaction(owner, 1, DATA_REGISTRY_ADDRESS, encode_call(GRANT, 1, ACCOUNTS[user], far), gas=300_000),
    )
    data = infer(dats=(DatId(1),)).encode()

    for sender in (owner, user):
        with pytest.raises(NeedsCompute) as stop:
            ask(vm, data, sender=ACCOUNTS[sender])
        assert stop.value.job.dats == (1,)
    outcome = ask(vm, data, sender=ACCOUNTS[3])
    assert decode_call("DatNotPermitted(uint256,address)", outcome.output) == (1, ACCOUNTS[3])


def test_gas_is_charged_before_any_work(vm: LazVM) -> None:
    # Enough for the transaction itself, not for the job: it fails, and nobody is asked to compute.
    item = transaction(1, 0, AI_CALL_ADDRESS, infer().encode(), gas=45_000)

    outcome = vm.simulate(item.raw)

    assert (outcome.succeeded, outcome.gas_used, outcome.compute_gas) == (False, 45_000, 0)
    assert outcome.error.startswith("OutOfGas")


CALLER = Address(b"\x61" * 20)


def forwarding(opcode: str, ending: str) -> GenesisContract:
    """Code that hands its calldata to the precompile by `opcode`, then ends with what came back."""
    value = "5f" if opcode in ("f1", "f2") else ""
    code = f"365f5f375f5f365f{value}610a015a{opcode}3d5f5f3e3d5f{ending}"
    return GenesisContract(code=bytes.fromhex(code))


@pytest.mark.parametrize("opcode", ["f4", "f2"])
def test_a_contract_cannot_speak_in_its_callers_name(opcode: str) -> None:
    start = genesis()
    vm = machine(start=evolve(start, contracts={**start.contracts, CALLER: forwarding(opcode, "fd")}))
    register_model(vm, SAMPLE)

    outcome = vm.call(CallRequest(to=CALLER, data=infer().encode(), sender=ACCOUNTS[1]))

    assert decode_call("NotCalledDirectly()", outcome.output) == ()


@pytest.mark.parametrize("opcode", ["f1", "fa"])
def test_a_contract_may_call_it(opcode: str) -> None:
    start = genesis()
    vm = machine(start=evolve(start, contracts={**start.contracts, CALLER: forwarding(opcode, "f3")}))
    register_model(vm, SAMPLE)

    outcome = vm.call(CallRequest(to=CALLER, data=InferInlineCall(model=MODEL, input=INPUT).encode()))

    assert decode_arguments(["bytes"], outcome.output) == (run_job(SAMPLE.model, INPUT).output_bytes(),)


def test_compute_gas_counts_also_when_the_caller_reverts() -> None:
    start = genesis()
    contracts = {**start.contracts, CALLER: forwarding("f1", "fd")}
    vm, other = (machine(start=evolve(start, contracts=contracts)) for _ in range(2))
    for one in (vm, other):
        register_model(one, SAMPLE)
    item = transaction(1, 0, CALLER, infer().encode(), gas=2_000_000)
    with pytest.raises(NeedsCompute) as stop:
        vm.simulate(item.raw)
    record = worker_record(stop.value.job, SAMPLE)

    built = vm.build_block(plan(vm, item), {record.job_id: record})

    outcome = built.executed.outcomes[0]
    assert not outcome.succeeded
    assert outcome.compute_gas == built.executed.block.header.compute_gas_used == compute_gas(vm)
    assert built.executed.block.records == (record,)
    assert other.check_block(built.executed.block).block == built.executed.block


def test_two_calls_for_one_job_share_its_record() -> None:
    vm = machine()
    register_model(vm, SAMPLE)
    items = [transaction(sender, 0, AI_CALL_ADDRESS, infer().encode(), gas=2_000_000) for sender in (1, 2)]
    with pytest.raises(NeedsCompute) as stop:
        vm.simulate(items[0].raw)
    record = worker_record(stop.value.job, SAMPLE)

    built = vm.build_block(plan(vm, *items), {record.job_id: record})

    assert built.executed.block.records == (record,)
    assert built.executed.block.header.compute_gas_used == 2 * compute_gas(vm)
    assert [outcome.records for outcome in built.executed.outcomes] == [(record,), ()]


def test_a_block_holds_twice_the_compute_target() -> None:
    start = genesis()
    target = 2 * 10**5
    cheap = evolve(start.gas_parameters, compute_gas_target=Gas(target), gamma=Gas(3 * 10**5))
    from lazai_core.chain.system_contracts import genesis_contracts

    contracts = genesis_contracts(governor=ACCOUNTS[0], gas_parameters=cheap)
    vm = machine(start=evolve(start, gas_parameters=cheap, contracts=contracts))
    register_model(vm, SAMPLE)
    items = [
        transaction(sender, 0, AI_CALL_ADDRESS, InferInlineCall(model=MODEL, input=INPUT).encode(), gas=2_000_000)
        for sender in (1, 2)
    ]

    built = vm.build_block(plan(vm, *items))

    assert built.left_over == (items[1].raw,)
    assert target < built.executed.block.header.compute_gas_used <= 2 * target
    assert vm.head.header.compute_gas_target == target


def test_a_wrong_record_in_the_pool_is_charged_to_its_worker(vm: LazVM) -> None:
    item = transaction(1, 0, AI_CALL_ADDRESS, infer().encode(), gas=2_000_000)
    with pytest.raises(NeedsCompute) as stop:
        vm.simulate(item.raw)
    good = worker_record(stop.value.job, SAMPLE)
    wrong = evolve(good, output=bytes(40))

    with pytest.raises(InvalidBlock) as refusal:
        vm.simulate(item.raw, {wrong.job_id: wrong})
    built = vm.build_block(plan(vm, item), {wrong.job_id: wrong})

    assert refusal.value.blame == ACCOUNTS[7]
    ((raw, error),) = built.refused
    assert (raw, error.blame) == (item.raw, ACCOUNTS[7])  # type: ignore[attr-defined]
    assert built.executed.block.records == ()
