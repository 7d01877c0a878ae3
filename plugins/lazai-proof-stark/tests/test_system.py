"""Keys that carry their program, refusals by name, prices, options, and what a verifier may not be talked into."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from lazai_core.api.compute import CancelToken, TensorView
from lazai_core.api.errors import AssemblyError, ProofMalformed, ProofRejected, ProvingFailed, UnsupportedProgram
from lazai_core.api.program import DType
from lazai_core.api.proof import AcceptancePolicy, VerifyingKey
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.testing.cases import cases
from lazai_core.testing.chain_port import MemoryState
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import Sample, make_claim
from lazai_core.testing.samples import convolution, perceptron
from lazai_proof_stark.golden import GOLDEN_SHA256, golden_run
from lazai_proof_stark.health import check_golden_proof
from lazai_proof_stark.key_data import DATA_BYTES_MAX, encode_key_data, read_key
from lazai_proof_stark.options import StarkOptions
from lazai_proof_stark.system import Recent, StarkProofSystem

DEV = AcceptancePolicy(security_bits_min=0)


@pytest.fixture(scope="module")
def system() -> StarkProofSystem:
    return StarkProofSystem(StarkOptions(parameters="dev", threads=1))


@pytest.fixture(scope="module")
def proved(system):
    sample = perceptron()
    claim = make_claim(sample, proof_system="stark")
    key = system.prepare(sample.model.program, sample.model)
    return claim, key, system.prove(key, claim.statement, claim.trace, SeededRng(), CancelToken())


def test_the_verifier_needs_nothing_but_key_statement_and_proof(proved) -> None:
    claim, key, envelope = proved

    verdict = StarkProofSystem(StarkOptions()).verify(key.verifying_key, claim.statement, envelope, DEV)

    assert "dev" in verdict.proven
    assert "does not hide" in verdict.assumed


def test_weak_parameters_are_refused_by_default(system, proved) -> None:
    claim, key, envelope = proved

    with pytest.raises(ProofRejected, match="security: parameter set dev"):
        system.verify(key.verifying_key, claim.statement, envelope, AcceptancePolicy())


def test_unknown_parameters_are_an_error_of_the_operator() -> None:
    with pytest.raises(AssemblyError, match="unknown"):
        StarkProofSystem(StarkOptions(parameters="strongest"))


@pytest.mark.parametrize(
    "options", [{"threads": -1}, {"threads": 5000}, {"models_prepared_max": 0}, {"parameters": ""}]
)
def test_options_are_checked(options) -> None:
    with pytest.raises(ValueError, match="must"):
        StarkOptions(**options)


def test_keys_of_two_models_differ_and_are_kept(system, proved) -> None:
    _, key, _ = proved
    other = system.prepare(convolution().model.program, convolution().model)

    assert other.verifying_key.digest != key.verifying_key.digest
    assert system.prepare(perceptron().model.program, perceptron().model) is key


def test_a_key_reads_back_canonically(proved) -> None:
    _, key, _ = proved
    material = read_key(key.verifying_key)

    assert material.program == key.program
    assert encode_key_data(material.program, material.weight_key) == key.verifying_key.data


def test_a_key_with_another_models_program_is_refused(system, proved) -> None:
    claim, key, envelope = proved
    other = system.prepare(convolution().model.program, convolution().model).verifying_key
    swapped = evolve(key.verifying_key, data=other.data)

    with pytest.raises(ProofRejected, match="key:"):
        system.verify(swapped, claim.statement, envelope, DEV)


def test_an_oversized_key_is_refused_before_it_is_read(proved) -> None:
    _, key, _ = proved

    with pytest.raises(ProofMalformed, match="more than"):
        read_key(evolve(key.verifying_key, data=bytes(DATA_BYTES_MAX + 1)))


def test_mutated_keys_raise_proof_errors_only(proved) -> None:
    _, key, _ = proved
    for case in cases(200):
        with case:
            data = case.mutate(key.verifying_key.data)
            if data == key.verifying_key.data:
                continue
            try:
                material = read_key(evolve(key.verifying_key, data=data))
            except (ProofMalformed, ProofRejected):
                continue
            assert encode_key_data(material.program, material.weight_key) == data


def test_the_price_grows_with_bytes_and_is_refused_for_impossible_sizes(system, proved) -> None:
    _, key, envelope = proved
    state = MemoryState()
    size = len(envelope.data)
    price = system.verification_gas(key.verifying_key, size, state)

    assert 0 < price < system.verification_gas(key.verifying_key, size + 4, state)
    for wrong in (0, size + 1, 2**40):
        with pytest.raises(ProofMalformed, match="bytes"):
            system.verification_gas(key.verifying_key, wrong, state)
    with pytest.raises(ProofMalformed):
        system.verification_gas(evolve(key.verifying_key, data=b""), size, state)
    with pytest.raises(ProofMalformed):
        system.verification_gas(evolve(key.verifying_key, system="other"), size, state)


def test_a_key_that_states_less_than_its_circuit_costs_is_refused(system, proved) -> None:
    claim, key, envelope = proved
    data = key.verifying_key.data
    cheap = evolve(key.verifying_key, data=(int.from_bytes(data[:8], "big") - 1).to_bytes(8, "big") + data[8:])

    with pytest.raises(ProofMalformed, match="gas that the key pays for"):
        system.verify(cheap, claim.statement, envelope, DEV)


def test_a_larger_program_costs_more_to_verify(system, proved) -> None:
    _, key, _ = proved
    state = MemoryState()
    other = system.prepare(convolution().model.program, convolution().model)

    small, large = (system.verification_gas(k.verifying_key, 40_000, state) for k in (key, other))

    assert small < large


def test_another_usage_is_not_proved_and_not_accepted(system, proved) -> None:
    claim, key, envelope = proved
    usage = evolve(claim.statement.usage, flops=claim.statement.usage.flops - 1)
    cheaper = evolve(claim.statement, usage=usage)

    with pytest.raises(ProvingFailed, match="usage"):
        system.prove(key, cheaper, claim.trace, SeededRng(), CancelToken())
    with pytest.raises(ProofRejected, match="usage:"):
        system.verify(key.verifying_key, cheaper, envelope, DEV)


def test_a_trace_of_another_run_is_not_proved(system, proved) -> None:
    claim, key, _ = proved
    other = make_claim(perceptron(), proof_system="stark", seed=5)

    with pytest.raises(ProvingFailed, match="not of the run"):
        system.prove(key, claim.statement, other.trace, SeededRng(), CancelToken())


def test_a_trace_with_a_wrong_shape_is_not_proved(system, proved) -> None:
    claim, key, _ = proved

    class Cut:
        def value(self, index: int) -> TensorView:
            view = claim.trace.value(index)
            return evolve(view, shape=(*view.shape, 1)) if index == 0 else view

    with pytest.raises(ProvingFailed, match="shape"):
        system.prove(key, claim.statement, Cut(), SeededRng(), CancelToken())


def test_a_key_of_another_system_is_not_used(system, proved) -> None:
    claim, _, _ = proved

    class Other:
        verifying_key = VerifyingKey(system="other", version=1, program_digest=claim.statement.program_digest)

    with pytest.raises(ProvingFailed, match="another proof system"):
        system.prove(Other(), claim.statement, claim.trace, SeededRng(), CancelToken())


def test_a_layer_that_may_leave_the_field_is_refused_by_name(system) -> None:
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT16, (1, 250))
    wide = builder.dense(x, np.full((2, 250), 127), np.zeros(2, dtype=np.int64))
    builder.output("y", builder.argmax(wide, axis=1))
    model = builder.build()

    with pytest.raises(UnsupportedProgram, match=r"operation 1 \(argmax\)"):
        system.prepare(model.program, model)


def test_a_tensor_too_large_for_a_verifiers_memory_is_refused_by_name(system) -> None:
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (2, (1 << 22) + 1), low=0, high=1)
    builder.output("y", builder.reduce_max(x, axes=(1,)))

    model = builder.build()

    with pytest.raises(UnsupportedProgram, match="8388610 cells"):
        system.prepare(model.program, model)


def test_programs_with_a_symbolic_dimension_are_proved_at_its_ends(system) -> None:
    from lazai_core.testing.samples import perceptron_batch

    sample: Sample = perceptron_batch()
    key = system.prepare(sample.model.program, sample.model)
    for dim_value in (sample.dims[0], sample.dims[-1]):
        claim = make_claim(sample, proof_system="stark", dim_value=dim_value)
        envelope = system.prove(key, claim.statement, claim.trace, SeededRng(), CancelToken())

        system.verify(key.verifying_key, claim.statement, envelope, DEV)


def test_the_small_proof_is_the_known_one_on_this_processor() -> None:
    assert golden_run() == GOLDEN_SHA256
    (finding,) = check_golden_proof({})
    assert finding.severity == "ok"


def test_recent_values_are_kept_and_the_oldest_is_dropped() -> None:
    made: list[int] = []
    recent: Recent[int, int] = Recent(2)

    def get(key: int) -> int:
        return recent.get(key, lambda: made.append(key) or key * 10)

    assert [get(key) for key in (1, 2, 1, 3, 1, 2)] == [10, 20, 10, 30, 10, 20]
    assert made == [1, 2, 3, 2]
