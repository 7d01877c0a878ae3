"""The kernels under the contract's suite, and proofs made through it: the same bytes as without."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from attack_cases import ACCEPT_DEV, honest, network, tables
from processor_kernels import ProcessorKernels

from lazai_core.api.compute import CancelToken
from lazai_core.api.entries import ProofSystemEntry
from lazai_core.api.errors import AssemblyError, Cancelled, ComputeError, OutOfMemory, ProvingFailed
from lazai_core.api.field_kernels import FieldKernels
from lazai_core.exact.model import ExactModel
from lazai_core.testing.conformance import FieldKernelsConformance
from lazai_core.testing.parts import build_entry
from lazai_core.testing.sample import Claim, Sample, make_claim
from lazai_core.testing.samples import attention, convolution
from lazai_proof_stark import plugin, prover
from lazai_proof_stark.device_steps import DeviceSteps, DeviceTree, view
from lazai_proof_stark.key_data import with_skeleton
from lazai_proof_stark.merkle import MerkleTree, hash_leaves
from lazai_proof_stark.model_key import make_key
from lazai_proof_stark.options import StarkOptions
from lazai_proof_stark.parameters import parameter_set
from lazai_proof_stark.steps import PROCESSOR, ChosenSteps
from lazai_proof_stark.system import StarkProofSystem

DEV = StarkOptions(parameters="dev", kernels="processor")


class TestProcessorKernels(FieldKernelsConformance):
    @pytest.fixture
    def kernels(self) -> FieldKernels:
        return ProcessorKernels()


def coprocessor(fields: FieldKernels | None) -> Any:
    """What `ChosenSteps` looks at."""
    return SimpleNamespace(fields=fields, info=SimpleNamespace(name="stand-in"))


def prove_with(system: StarkProofSystem, sample: Sample) -> tuple[bytes, bytes]:
    """Key and proof bytes."""
    claim: Claim = make_claim(sample, proof_system="stark")
    key = system.prepare(sample.model.program, sample.model)
    envelope = system.prove_staged(key, claim.statement, claim.trace, CancelToken())
    return key.verifying_key.data, envelope.data


@pytest.mark.parametrize("sample", [convolution(), attention()], ids=lambda sample: sample.name)
def test_keys_and_proofs_are_the_same_bytes_from_a_device(sample: Sample) -> None:
    device = StarkProofSystem(StarkOptions(parameters="dev"), coprocessor(ProcessorKernels()))
    assert prove_with(device, sample) == prove_with(StarkProofSystem(DEV), sample)


@pytest.mark.parametrize("model", [network(), tables((3,)), tables((40, 33))], ids=["dense", "small", "padded"])
@pytest.mark.parametrize("parameters", ["dev", "proven100"])
def test_proofs_of_small_and_odd_circuits_are_the_same_bytes(model: ExactModel, parameters: str) -> None:
    run = honest(model, parameters=parameters)
    steps = DeviceSteps(ProcessorKernels())
    key = with_skeleton(make_key(model.program, model.constants, parameter_set(parameters), steps))
    assert key.verifying_key == run.key.verifying_key
    proof = prover.prove(key, run.statement, run.trace, CancelToken(), steps=steps)
    assert proof == run.proof


@pytest.mark.parametrize(("leaves", "cap_height"), [(16, 0), (64, 4), (1 << 11, 4), (1 << 13, 3)])
def test_a_tree_on_a_device_is_the_same_tree(leaves: int, cap_height: int) -> None:
    kernels = ProcessorKernels()
    values = np.random.default_rng(1).integers(0, 1 << 20, (leaves * 16,), dtype=np.uint32)
    code = kernels.encode(kernels.load_base(view(values)), 4, 0)
    tree = DeviceTree.over(kernels, code, cap_height)
    expected = MerkleTree.build(hash_leaves(code.words), cap_height)
    assert np.array_equal(tree.cap, expected.cap)
    for indices in ([0], [1, 2, leaves - 1], list(range(0, leaves, 3)), list(range(leaves))):
        assert np.array_equal(tree.siblings(kernels, indices), expected.siblings(indices))


# What the configuration chooses.


def test_the_choice_of_kernels() -> None:
    slow = ProcessorKernels()
    slow.accelerated = False
    assert ChosenSteps("auto", None).get() is PROCESSOR
    assert ChosenSteps("auto", coprocessor(None)).get() is PROCESSOR
    assert ChosenSteps("auto", coprocessor(slow)).get() is PROCESSOR
    assert ChosenSteps("processor", coprocessor(ProcessorKernels())).get() is PROCESSOR
    for chosen in (ChosenSteps("auto", coprocessor(ProcessorKernels())), ChosenSteps("coprocessor", coprocessor(slow))):
        assert isinstance(chosen.get(), DeviceSteps)
        assert chosen.get() is chosen.get()


def test_kernels_that_are_not_there_are_refused_with_a_way_out() -> None:
    with pytest.raises(AssemblyError) as refusal:
        StarkProofSystem(StarkOptions(kernels="coprocessor"))
    assert "processor" in refusal.value.hint
    system = StarkProofSystem(StarkOptions(parameters="dev", kernels="coprocessor"), coprocessor(None))
    with pytest.raises(ProvingFailed, match="no field kernels"):
        system.prepare(convolution().model.program, convolution().model)
    with pytest.raises(ValueError, match="kernels"):
        StarkOptions(kernels="abacus")


def test_a_coprocessor_is_not_opened_to_verify() -> None:
    class Closed:
        @property
        def fields(self) -> FieldKernels | None:
            raise AssertionError("opened")

    claim = make_claim(convolution(), proof_system="stark")
    prover_system = StarkProofSystem(DEV)
    key = prover_system.prepare(convolution().model.program, convolution().model)
    envelope = prover_system.prove_staged(key, claim.statement, claim.trace, CancelToken())
    StarkProofSystem(StarkOptions(), Closed()).verify(  # type: ignore[arg-type]
        key.verifying_key, claim.statement, envelope, ACCEPT_DEV
    )


def test_the_entry_builds_with_a_nodes_coprocessor() -> None:
    (entry,) = plugin.lazai_proof_systems()
    assert isinstance(entry, ProofSystemEntry)
    built = build_entry(entry, options=DEV, coprocessor=coprocessor(ProcessorKernels()))
    assert isinstance(built, StarkProofSystem)


# Failures of a device.


class Full(ProcessorKernels):
    """Runs out of memory at the second code word."""

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == 2:
            raise OutOfMemory("the device is full")
        return super().encode(*arguments)


def test_a_full_device_is_a_failed_proof_and_the_next_one_works() -> None:
    sample = convolution()
    system = StarkProofSystem(StarkOptions(parameters="dev"), coprocessor(Full()))
    with pytest.raises(ProvingFailed, match="full"):
        prove_with(system, sample)
    assert prove_with(system, sample) == prove_with(StarkProofSystem(DEV), sample)


def test_a_cancelled_proof_is_cancelled_and_not_failed() -> None:
    sample = convolution()
    claim = make_claim(sample, proof_system="stark")
    system = StarkProofSystem(StarkOptions(parameters="dev"), coprocessor(ProcessorKernels()))
    key = system.prepare(sample.model.program, sample.model)
    cancel = CancelToken()
    with pytest.raises(Cancelled):
        system.prove_staged(key, claim.statement, claim.trace, cancel, progress=lambda _stage: cancel.cancel())


def test_a_key_of_another_place_is_refused() -> None:
    run = honest(network())
    elsewhere = DeviceSteps(ProcessorKernels())
    with pytest.raises(ComputeError, match="prepared"):
        prover.prove(run.key, run.statement, run.trace, CancelToken(), steps=elsewhere)
    key = with_skeleton(make_key(run.model.program, run.model.constants, parameter_set("dev"), elsewhere))
    with pytest.raises(ComputeError, match="prepared"):
        prover.prove(key, run.statement, run.trace, CancelToken())
