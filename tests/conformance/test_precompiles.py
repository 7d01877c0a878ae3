"""The built-in precompiles over a state that holds two models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest

from lazai_core.api import PrecompileEntry
from lazai_core.api.compute import CancelToken
from lazai_core.api.gas import GasPolicy
from lazai_core.api.job import ComputeRecord
from lazai_core.api.needs import ProofSystems
from lazai_core.api.precompile import Precompile, PrecompileCall
from lazai_core.api.proof import ProofSystem
from lazai_core.api.types import MODEL_REGISTRY_ADDRESS, Address
from lazai_core.builtin.flat_gas import build_flat_gas
from lazai_core.builtin.precompiles.proof_check import encode_statement
from lazai_core.chain.abi import encode_arguments
from lazai_core.chain.storage_layout import array_slot, mapping_slot
from lazai_core.chain.system_calls import ComputeGasCall, InferCall, InferInlineCall, InferResult, VerifyCall
from lazai_core.registry import Kind
from lazai_core.testing.chain_port import MemoryState, MemoryWitness, gas_parameter_state, precompile_call
from lazai_core.testing.conformance import Example, PrecompileConformance
from lazai_core.testing.parts import KnownIdentity, account_key, build_entry, chain_parameters
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import Claim, Sample, make_claim
from lazai_core.testing.samples import perceptron, perceptron_batch
from tests.conformance.installed import catalog

MODELS, CONSTANTS = 0, 1
PROGRAM_FIELD = 3


class _Storage:
    """Writes the layout that docs/CHAIN.md fixes for the model registry: one chunk a blob."""

    def __init__(self) -> None:
        self.slots = dict(gas_parameter_state().slots)
        self.codes: dict[Address, bytes] = {}

    def put(self, slot: int, word: int) -> None:
        self.slots[MODEL_REGISTRY_ADDRESS, slot] = word

    def put_blob(self, slot: int, data: bytes) -> None:
        chunk = Address((0xC0DE_0000 + len(self.codes)).to_bytes(20, "big"))
        self.codes[chunk] = b"\x00" + data
        self.put(slot, len(data))
        self.put(slot + 1, 1)
        self.put(array_slot(slot + 1, 0), int.from_bytes(chunk, "big"))


@cache
def registered(*samples: Sample) -> MemoryState:
    """A state whose registry holds these models with their constants."""
    storage = _Storage()
    for sample in samples:
        program = sample.model.program
        slot = mapping_slot(MODELS, program.digest())
        storage.put(slot, int.from_bytes(KnownIdentity(5).address, "big"))
        storage.put_blob(slot + PROGRAM_FIELD, program.skeleton())
        for index, constant in enumerate(program.constants):
            storage.put_blob(mapping_slot(CONSTANTS, constant.digest), bytes(sample.model.constant(index).data))
    return MemoryState(slots=storage.slots, codes=storage.codes)


@cache
def attestation() -> ProofSystem:
    entry = catalog().find(Kind.PROOF_SYSTEM, "attestation").entry
    system: ProofSystem = build_entry(entry, samples=(perceptron(), perceptron_batch()))
    return system


def proved(sample: Sample, dim_value: int | None = None) -> tuple[Claim, ComputeRecord]:
    """A job of the sample with its signed record."""
    claim = make_claim(sample, proof_system="attestation", seed=41, dim_value=dim_value)
    system = attestation()
    key = system.prepare(sample.model.program, sample.model)
    proof = system.prove(key, claim.statement, claim.trace, SeededRng(), CancelToken())
    record = ComputeRecord(
        job_id=claim.job.job_id,
        output=claim.statement.output,
        usage=claim.statement.usage,
        proof=proof,
        worker=KnownIdentity().address,
    )
    return claim, record.signed(account_key(0))


def builtin(name: str) -> PrecompileEntry:
    entry = catalog().find(Kind.PRECOMPILE, name).entry
    assert isinstance(entry, PrecompileEntry)
    return entry


class TestAICall(PrecompileConformance):
    @pytest.fixture
    def entry(self) -> PrecompileEntry:
        return builtin("ai-call")

    @pytest.fixture
    def examples(self) -> Sequence[Example]:
        found = []
        for sample, dim_value in ((perceptron(), 0), (perceptron_batch(), 3)):
            claim, record = proved(sample, dim_value)
            job = claim.job
            gas = build_flat_gas().compute_gas(job.kind, record.usage, gas_parameter_state())
            infer = InferCall(model=job.model, input=job.input, proof_system=job.proof_system)
            answer = InferResult(output=record.output, compute_gas=gas, worker=record.worker)
            price = [gas, record.usage.flops, record.usage.memory_bytes_peak]
            name = sample.name
            found += [
                Example(name=f"infer-{name}", data=infer.encode(), output=answer.encode(), static=False),
                Example(
                    name=f"inline-{name}",
                    data=InferInlineCall(model=job.model, input=job.input).encode(),
                    output=encode_arguments(["bytes"], [record.output]),
                ),
                Example(
                    name=f"price-{name}",
                    data=ComputeGasCall(model=job.model, dimension=dim_value).encode(),
                    output=encode_arguments(["uint256"] * 3, price),
                ),
            ]
        return found

    def build(self, entry: PrecompileEntry, options: object) -> Precompile:
        policy: GasPolicy = build_flat_gas()
        chain = chain_parameters(plugins={"proof/attestation": 1})
        built: Precompile = build_entry(entry, options=options, gas=policy, chain=chain)
        return built

    def call(self, data: bytes, *, is_static: bool = False) -> PrecompileCall:
        records = (proved(perceptron(), 0)[1], proved(perceptron_batch(), 3)[1])
        witness = MemoryWitness({record.job_id: record for record in records})
        state = registered(perceptron(), perceptron_batch())
        return precompile_call(data, is_static=is_static, state=state, witness=witness)


class TestProofCheck(PrecompileConformance):
    @pytest.fixture
    def entry(self) -> PrecompileEntry:
        return builtin("proof-check")

    @pytest.fixture
    def examples(self) -> Sequence[Example]:
        found = []
        for sample in (perceptron(), perceptron_batch()):
            claim, record = proved(sample)
            call = VerifyCall(
                system="attestation",
                verifying_key=b"",
                statement=encode_statement(claim.statement),
                proof=record.proof.data,
            )
            found.append(Example(name=sample.name, data=call.encode(), output=claim.statement.digest))
        return found

    def build(self, entry: PrecompileEntry, options: object) -> Precompile:
        systems = ProofSystems({"attestation": attestation()})
        built: Precompile = build_entry(entry, options=options, proofs=systems)
        return built
