"""A small chain for tests: funded accounts, the system contracts, a flat gas policy, and one registered model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from attrs import evolve

from lazai_core.api.consensus import Validator
from lazai_core.api.gas import FeeState, GasQuote
from lazai_core.api.gas_parameters import read_gas_parameters
from lazai_core.api.hashing import address_of_private_key
from lazai_core.api.job import ComputeJob, ComputeRecord, JobKind, ProofEnvelope, ResourceUsage
from lazai_core.api.precompile import Precompile, StatePort
from lazai_core.api.program import DType
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import (
    AI_CALL_ADDRESS,
    MODEL_REGISTRY_ADDRESS,
    PROOF_CHECK_ADDRESS,
    Address,
    Gas,
    ModelId,
    Wei,
)
from lazai_core.builtin.precompiles.ai_call import AICallPrecompile
from lazai_core.builtin.precompiles.proof_check import ProofCheckPrecompile
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.abi import encode_call
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.system_calls import REGISTER_MODEL, STORE_CONSTANTS
from lazai_core.chain.system_contracts import DEFAULT_GAS_PARAMETERS, genesis_contracts
from lazai_core.chain.transaction import DYNAMIC_FEE, LEGACY, Transaction
from lazai_core.chain.witness import RecordCheck
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.reference import run_job
from lazai_core.lazvm.records import RecordVerifier
from lazai_core.lazvm.vm import BlockPlan, BuiltBlock, LazVM
from lazai_core.testing.sample import Sample, SampleBuilder, finish
from tests.unit.lazvm.signing_system import SigningSystem

CHAIN_ID = 4242
KEYS = tuple(bytes([number]) * 32 for number in range(1, 9))
ACCOUNTS = tuple(address_of_private_key(key) for key in KEYS)
PROPOSER = Address(bytes(19) + b"\xbb")
GWEI = 10**9
MODEL_GAS = 6_000_000


class FlatPolicy:
    """`GasPolicy` with base fees that never move."""

    name = "flat"
    version = 1

    def compute_gas(self, kind: JobKind, usage: ResourceUsage, state: StatePort) -> Gas:
        parameters = read_gas_parameters(state)
        work = parameters.alpha.ceil_of(usage.flops) + parameters.beta.ceil_of(usage.memory_bytes_peak)
        return Gas(parameters.gamma + work)

    def quote(self, kind: JobKind, planned: ResourceUsage, fees: FeeState, state: StatePort, tip: Wei) -> GasQuote:
        raise NotImplementedError

    def next_base_fees(self, parent: FeeState) -> tuple[Wei, Wei]:
        return parent.base_fee_per_gas, parent.compute_base_fee_per_gas

    def compute_gas_target(self, state: StatePort) -> Gas:
        return read_gas_parameters(state).compute_gas_target

    def evm_gas(self, compute_gas: Gas, base_fee_per_gas: Wei, compute_base_fee_per_gas: Wei) -> Gas:
        return Gas(-(-compute_gas * compute_base_fee_per_gas // base_fee_per_gas))


@cache
def digits_sample() -> Sample:
    """64 pixels to ten scores: what the contract DigitReader expects."""
    builder = SampleBuilder(3)
    pixels = builder.input("pixels", DType.INT8, (1, 64), low=0, high=16)
    scores = builder.dense(pixels, builder.draw(-20, 20, 10, 64), builder.draw(-99, 99, 10))
    return finish("digits", builder, scores=scores)


def genesis(**changes: object) -> Genesis:
    """A genesis with eight rich accounts; the first is the governor."""
    value = Genesis(
        chain_id=CHAIN_ID,
        timestamp=1_700_000_000,
        block_gas_limit=Gas(30_000_000),
        base_fee_per_gas=Wei(GWEI),
        compute_base_fee_per_gas=Wei(GWEI),
        inline_flops_max=1_000_000,
        inline_memory_bytes_max=1_000_000,
        validators=(Validator(address=PROPOSER, power=1),),
        governor=ACCOUNTS[0],
        gas_parameters=DEFAULT_GAS_PARAMETERS,
        balances={account: Wei(10**24) for account in ACCOUNTS},
        plugins={"proof/signing": 1, "precompile/ai-call": 1, "gas/flat": 1},
        contracts=genesis_contracts(governor=ACCOUNTS[0], gas_parameters=DEFAULT_GAS_PARAMETERS),
    )
    return evolve(value, **changes)  # type: ignore[arg-type]


def precompiles() -> Mapping[Address, Precompile]:
    """The precompiles in the box, over the flat policy and the signing system."""
    return {
        AI_CALL_ADDRESS: AICallPrecompile(gas_policy=FlatPolicy(), proof_systems=frozenset({"signing"})),
        PROOF_CHECK_ADDRESS: ProofCheckPrecompile({"signing": SigningSystem()}),
    }


def machine(
    store: KeyValueStore | None = None, start: Genesis | None = None, check: RecordCheck | None = None
) -> LazVM:
    """A fresh machine on its own store."""
    return LazVM(
        genesis=start or genesis(),
        store=store or MemoryStore(),
        precompiles=precompiles(),
        gas_policy=FlatPolicy(),
        verify_record=check or RecordVerifier({"signing": SigningSystem()}),
    )


def transaction(
    sender: int,
    nonce: int,
    to: bytes = b"",
    data: bytes = b"",
    value: int = 0,
    gas: int = 100_000,
    type_id: int = DYNAMIC_FEE,
) -> Transaction:
    """A signed transaction of test account `sender`."""
    fee = 3 * GWEI
    return Transaction(
        type_id=type_id,
        chain_id=CHAIN_ID,
        nonce=nonce,
        max_fee_per_gas=Wei(fee),
        max_priority_fee_per_gas=Wei(fee if type_id in (LEGACY, 1) else GWEI),
        gas=Gas(gas),
        to=to,
        value=Wei(value),
        data=data,
    ).signed(KEYS[sender])


def plan(vm: LazVM, *transactions: Transaction) -> BlockPlan:
    """A block of these transactions one second after the head."""
    return BlockPlan(
        transactions=[item.raw for item in transactions],
        timestamp=vm.head.header.timestamp + 1,
        proposer=PROPOSER,
    )


def advance(vm: LazVM, *transactions: Transaction, records: Mapping = {}) -> BuiltBlock:  # type: ignore[type-arg]
    """Build and commit a block; every transaction must be in it and succeed."""
    built = vm.build_block(plan(vm, *transactions), records)
    assert built.refused == ()
    assert len(built.executed.block.transactions) == len(transactions)
    assert all(outcome.succeeded for outcome in built.executed.outcomes), built.executed.outcomes
    vm.commit(built.executed)
    return built


def register_model(vm: LazVM, sample: Sample, sender: int = 0) -> ModelId:
    """Put the sample's skeleton and constants into the registry."""
    nonce = vm.state().nonce(ACCOUNTS[sender])
    program = sample.model.program
    calls = [encode_call(REGISTER_MODEL, program.skeleton(), sample.name, "", 0)]
    for index in range(len(program.constants)):
        calls.append(encode_call(STORE_CONSTANTS, bytes(sample.model.constant(index).data)))
    advance(
        vm,
        *(
            transaction(sender, nonce + index, MODEL_REGISTRY_ADDRESS, data, gas=MODEL_GAS)
            for index, data in enumerate(calls)
        ),
    )
    return program.digest()


def worker_record(job: ComputeJob, sample: Sample, worker: int = 7) -> ComputeRecord:
    """What an honest worker publishes for `job`."""
    from lazai_core.lazvm.records import statement_of

    run = run_job(sample.model, job.input)
    unsigned = ComputeRecord(
        job_id=job.job_id,
        output=run.output_bytes(),
        usage=planned_usage(run.bound),
        proof=ProofEnvelope(system="signing", version=1, data=b""),
        worker=ACCOUNTS[worker],
    )
    proof = SigningSystem().sign(statement_of(job, unsigned), KEYS[worker])
    return evolve(unsigned, proof=proof).signed(KEYS[worker])
