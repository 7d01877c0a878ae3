"""Exact programs as circuits: right values, no second output, limits named."""

from __future__ import annotations

import random
from copy import copy
from math import isqrt
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from lazai_core.api.compute import CancelToken
from lazai_core.api.encoding import Writer
from lazai_core.api.errors import InvalidInput, ProofMalformed, ProofRejected, ProvingFailed, UnsupportedProgram
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.program import BoundProgram, DType, Program
from lazai_core.api.proof import AcceptancePolicy, VerifyingKey
from lazai_core.exact.codec import decode_inputs
from lazai_core.testing.chain_port import MemoryState
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import Fill, Sample, SampleBuilder, finish, make_claim
from lazai_core.testing.samples import attention, convolution, perceptron, perceptron_batch, token_mixer
from lazai_proof_plonk import system_verify
from lazai_proof_plonk.circuit import Builder, violations
from lazai_proof_plonk.model_key import public_count, read_model_key, stated_public, write_model_key
from lazai_proof_plonk.options import PlonkOptions
from lazai_proof_plonk.parameters import ORDER
from lazai_proof_plonk.program.cells import Cell
from lazai_proof_plonk.program.compile_program import compile_program
from lazai_proof_plonk.program.estimate import estimated_rows, unsupported_reason
from lazai_proof_plonk.program.normal import inverse_root, reciprocal
from lazai_proof_plonk.program.operation_names import SUPPORTED
from lazai_proof_plonk.program.registry import OPERATIONS
from lazai_proof_plonk.system import PlonkProofSystem
from lazai_proof_plonk.system_verify import public_values

ROWS_MAX = 1 << 17


def all_operations() -> Sample:
    """Every supported operation at least once, on small tensors."""
    builder = SampleBuilder(11)
    x = builder.input("x", DType.INT8, (2, 6))
    wide = builder.dense(x, builder.draw(-127, 127, 4, 6), builder.draw(-9, 9, 4))
    narrow = builder.requantize(wide, shifts=np.array([3, 7, 9, 0]), axis=1, dtype=DType.INT16)
    small = builder.narrow(wide, shift=10)
    looked = builder.table(small, builder.constant(builder.draw(-100, 100, 256), DType.INT8), offset=-128)
    grown = builder.apply("requantize", [small], {"shift": -2, "axis": 0, "low": -300, "high": 300, "dtype": 2})
    added = builder.apply("add", [small, looked], {"shift_left": 1, "shift_right": 0})
    less = builder.apply("subtract", [added, grown], {"shift_left": 0, "shift_right": 1})
    squared = builder.apply("multiply", [small, looked], {})
    flipped = builder.apply("transpose", [small], {"permutation": (1, 0)})
    crossed = builder.apply("matmul", [small, flipped], {"transpose_right": 0})
    again = builder.apply("matmul", [small, looked], {"transpose_right": 1})
    joined = builder.apply("concat", [small, looked], {"axis": 1})
    part = builder.apply("slice", [joined], {"axis": 1, "start": 2, "length": 4})
    mean = builder.apply("reduce_mean", [part], {"axes": (1,), "keepdims": 0})
    summed = builder.apply("reduce_sum", [part], {"axes": (0,), "keepdims": 1})
    most = builder.apply("reduce_max", [less], {"axes": (0, 1), "keepdims": 0})
    best = builder.apply("argmax", [less], {"axis": 1})
    entries = builder.apply("gather", [builder.constant(builder.draw(-99, 99, 4), DType.INT32), best], {})
    rows = builder.apply("gather", [builder.constant(builder.draw(-99, 99, 4, 2, 3), DType.INT16), best], {})
    return finish(
        "all",
        builder,
        rows=rows,
        narrow=narrow,
        less=less,
        squared=squared,
        crossed=crossed,
        again=again,
        mean=mean,
        summed=summed,
        most=most,
        best=best,
        entries=entries,
    )


@pytest.mark.parametrize("sample", [perceptron(), convolution(), all_operations()], ids=lambda sample: sample.name)
def test_circuits_compute_what_programs_do(sample: Sample) -> None:
    program = sample.model.program
    compiled = compile_program(program, sample.model)
    assert len(compiled.builder.gates) <= estimated_rows(BoundProgram(program=program, dim_value=0))
    for seed, fill in enumerate((Fill.RANDOM, Fill.LOW, Fill.HIGH, Fill.ENDS, Fill.RANDOM)):
        job_input = sample.job_input(seed=seed, fill=fill)
        values = compiled.solve(job_input)
        assert violations(compiled.builder, values) == []
        bound, arrays = decode_inputs(program, job_input)
        expected = public_values(bound, arrays, sample.run(job_input).output_bytes())
        assert tuple(values[variable] for variable in compiled.builder.public) == expected


SYMBOLIC = [
    (perceptron_batch(), (1, 4)),
    (token_mixer(), (2, 3)),
    (attention(), (1, 3)),
    (attention(causal=False), (2,)),
]


@pytest.mark.parametrize(("sample", "dims"), SYMBOLIC, ids=lambda value: getattr(value, "name", ""))
def test_circuits_of_each_size_compute_what_programs_do(sample: Sample, dims: tuple[int, ...]) -> None:
    program = sample.model.program
    for dim_value in dims:
        compiled = compile_program(program, sample.model, dim_value=dim_value)
        assert len(compiled.builder.gates) <= estimated_rows(BoundProgram(program=program, dim_value=dim_value))
        for seed, fill in enumerate((Fill.RANDOM, Fill.LOW, Fill.HIGH, Fill.ENDS)):
            job_input = sample.job_input(seed=seed, fill=fill, dim_value=dim_value)
            values = compiled.solve(job_input)
            assert violations(compiled.builder, values) == []
            bound, arrays = decode_inputs(program, job_input)
            expected = public_values(bound, arrays, sample.run(job_input).output_bytes())
            assert tuple(values[variable] for variable in compiled.builder.public) == expected
    with pytest.raises(InvalidInput, match="the circuit is of dimension"):
        compiled.solve(sample.job_input(dim_value=dims[-1] + 1))


def test_roots_and_reciprocals_have_one_value() -> None:
    # Row 13: the advice of layer_norm and softmax, moved by one, by two, negated, and by what wraps around the field.
    for name, function, value, right in (
        ("root", inverse_root, 7, isqrt(1000 // 7)),
        ("root", inverse_root, 1, isqrt(1000)),
        ("root", inverse_root, 1000, 1),
        ("root", inverse_root, 1001, 0),
        ("reciprocal", reciprocal, 7, 142),
        ("reciprocal", reciprocal, 1000, 1),
        ("reciprocal", reciprocal, 1999, 0),
    ):
        builder = Builder()
        wire = builder.input("x")
        found = function(builder, 1000, Cell(wire, 1, 1999))
        honest = builder.solve({"x": value})
        assert violations(builder, honest) == []
        assert honest[found.wire.variable] == right, name
        for other in (right + 1, right - 1, right + 2, -right - 1, 1000 * pow(value, -1, ORDER), ORDER // 2):
            if other % ORDER != right:
                # Everything after the advice is computed again from the false value.
                forged = solved_with(builder, {"x": value}, found.wire.variable, other % ORDER)
                assert violations(builder, forged), (name, value, other)


def solved_with(builder: Builder, inputs: dict[str, int], variable: int, value: int) -> list[int]:
    hints = list(builder._hints)
    place = next(at for at, (_, _, first, _) in enumerate(hints) if first == variable)
    builder._hints[place] = (lambda *_: value, hints[place][1], variable, 1)
    try:
        return builder.solve(inputs)
    finally:
        builder._hints[:] = hints


@pytest.mark.parametrize(("sample", "dim_value"), [(all_operations(), 0), (attention(), 2)], ids=["all", "attention"])
def test_no_second_output_is_accepted(sample: Sample, dim_value: int) -> None:
    # Row 12: change computed wires at random; whenever all gates hold, the public values are still the same.
    compiled = compile_program(sample.model.program, sample.model, dim_value=dim_value)
    builder = compiled.builder
    honest = compiled.solve(sample.job_input(seed=1, dim_value=dim_value or None))
    source = random.Random(5)
    inputs = {variable for _, variable in builder.inputs}
    outputs = [variable for variable in builder.public if variable not in inputs]
    for _ in range(60):
        forged = list(honest)
        for wire in source.sample(range(1, builder.variables), source.randint(1, 3)):
            if wire not in inputs:
                forged[wire] = (forged[wire] + source.choice([1, -1, 256, pow(2, -8, ORDER)])) % ORDER
        moved = source.choice(outputs)
        forged[moved] = (forged[moved] + source.choice([1, -1])) % ORDER
        assert violations(builder, forged, 1)


def test_what_has_no_circuit_is_named() -> None:
    assert "symbolic dimension batch" in unsupported_reason(perceptron_batch().model.program, ROWS_MAX)
    assert unsupported_reason(perceptron_batch().model.program, ROWS_MAX, (1, 2)) == ""
    assert "batch is never 99" in unsupported_reason(perceptron_batch().model.program, ROWS_MAX, (1, 99))
    assert "rows, 100 are allowed" in unsupported_reason(perceptron().model.program, 100)
    unknown = evolve(perceptron().model.program.ops[0], kind="sort")
    program = perceptron().model.program
    object.__setattr__(unnamed := copy(program), "ops", (unknown, *program.ops[1:]))
    assert unsupported_reason(unnamed, ROWS_MAX) == "operation 0 (sort) has no circuit"
    with pytest.raises(UnsupportedProgram, match="sort"):
        compile_program(unnamed, perceptron().model)


def test_the_list_of_operations_is_the_table_of_operations() -> None:
    assert set(OPERATIONS) == SUPPORTED


def test_a_system_without_a_ceremony_says_what_to_do() -> None:
    system = PlonkProofSystem(PlonkOptions())
    sample = perceptron()
    assert system.supports(sample.model.program).supported
    with pytest.raises(UnsupportedProgram, match="ceremony"):
        system.prepare(sample.model.program, sample.model)


def test_keys_of_the_test_ceremony_are_refused_by_default() -> None:
    # Row 26: development parameters.
    sample = perceptron()
    insecure = PlonkProofSystem(PlonkOptions(setup="insecure-test"))
    key = insecure.prepare(sample.model.program, sample.model)
    claim = make_claim(sample, proof_system="plonk")
    proof = insecure.prove(key, claim.statement, claim.trace, SeededRng(0), CancelToken())
    insecure.verify(key.verifying_key, claim.statement, proof, AcceptancePolicy())
    with pytest.raises(ProofRejected, match="everybody knows"):
        PlonkProofSystem(PlonkOptions()).verify(key.verifying_key, claim.statement, proof, AcceptancePolicy())


def test_a_symbolic_dimension_is_proved_at_the_sizes_that_are_named() -> None:
    sample = perceptron_batch()
    dim = sample.model.program.dim
    assert dim is not None
    system = PlonkProofSystem(PlonkOptions(setup="insecure-test", dim_values=(3, 1)))
    assert system.supports(sample.model.program).supported
    key = system.prepare(sample.model.program, sample.model)
    proofs = {}
    for dim_value in (1, 3):
        claim = make_claim(sample, proof_system="plonk", dim_value=dim_value, seed=dim_value)
        proofs[dim_value] = system.prove(key, claim.statement, claim.trace, SeededRng(0), CancelToken())
        system.verify(key.verifying_key, claim.statement, proofs[dim_value], AcceptancePolicy())
        if dim_value == 3:
            with pytest.raises(ProofRejected):
                system.verify(key.verifying_key, claim.statement, proofs[1], AcceptancePolicy())
    two = make_claim(sample, proof_system="plonk", dim_value=2)
    with pytest.raises(ProvingFailed, match="no circuit of dimension 2"):
        system.prove(key, two.statement, two.trace, SeededRng(0), CancelToken())
    with pytest.raises(ProofRejected, match="no circuit of dimension 2"):
        system.verify(key.verifying_key, two.statement, proofs[1], AcceptancePolicy())


def test_an_attention_block_is_proved() -> None:
    sample = attention()
    system = PlonkProofSystem(PlonkOptions(setup="insecure-test", dim_values=(2,)))
    key = system.prepare(sample.model.program, sample.model)
    claim = make_claim(sample, proof_system="plonk", dim_value=2)
    proof = system.prove(key, claim.statement, claim.trace, SeededRng(0), CancelToken())
    system.verify(key.verifying_key, claim.statement, proof, AcceptancePolicy())
    other = make_claim(sample, proof_system="plonk", dim_value=2, seed=1)
    with pytest.raises(ProofRejected, match="pairing"):
        system.verify(key.verifying_key, other.statement, proof, AcceptancePolicy())


def test_keys_of_several_circuits_have_one_form() -> None:
    sample = perceptron_batch()
    system = PlonkProofSystem(PlonkOptions(setup="insecure-test", dim_values=(1, 2)))
    parsed = read_model_key(system.prepare(sample.model.program, sample.model).verifying_key)
    native = parsed.natives[1]
    assert list(parsed.natives) == [1, 2]
    skeleton, plain = sample.model.program.skeleton(), perceptron()
    for dims in ((), (2, 1), (1, 1), (0, 1), (0,), tuple(range(1, 66))):
        writer = Writer().u32(native.public).bytes_(skeleton).u32(len(dims))
        for dim_value in dims:
            writer.u32(dim_value).bytes_(native.encode())
        key = VerifyingKey(
            system="plonk", version=1, program_digest=sample.model.program.digest(), data=writer.finish()
        )
        with pytest.raises(ProofMalformed):
            read_model_key(key)
    for natives in ({1: native}, {0: native, 1: native}):
        with pytest.raises(ProofMalformed):
            read_model_key(write_model_key(plain.model.program, natives))
    for values in ((0,), (1, 1), tuple(range(1, 66))):
        with pytest.raises(ValueError, match="dim_values"):
            PlonkOptions(dim_values=values)


def test_the_price_is_known_before_anything_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Public values of the largest circuit stand in front; the rest may be anything until it is paid for."""
    sample = perceptron_batch()
    system = PlonkProofSystem(PlonkOptions(setup="insecure-test", dim_values=(1, 2)))
    key, state = system.prepare(sample.model.program, sample.model).verifying_key, MemoryState()
    parsed = read_model_key(key)
    most = max(native.public for native in parsed.natives.values())
    assert stated_public(key) == most == public_count(sample.model.program, 2)
    price = system.verification_gas(key, 800, state)

    def never(*_: object) -> None:
        raise AssertionError("a skeleton was read before it was paid for")

    with monkeypatch.context() as patch:
        patch.setattr(Program, "from_skeleton", never)
        noise = evolve(key, data=key.data[:4] + bytes(len(key.data) - 4))
        assert system.verification_gas(noise, 800, state) == price
        more = evolve(key, data=(most + 10).to_bytes(4, "big") + key.data[4:])
        assert system.verification_gas(more, 800, state) == price + 1000
        for wrong in (evolve(key, data=key.data[:4]), evolve(key, data=b"\xff" * 8), evolve(key, system="other")):
            with pytest.raises(ProofMalformed):
                system.verification_gas(wrong, 800, state)
    for stated in (most - 1, most + 1, 0):
        with pytest.raises(ProofMalformed, match="states another number"):
            read_model_key(evolve(key, data=stated.to_bytes(4, "big") + key.data[4:]))
    fewer = {1: parsed.natives[1], 2: evolve(parsed.natives[2], public=most - 1)}
    with pytest.raises(ProofMalformed, match="than the program"):
        read_model_key(write_model_key(sample.model.program, fewer))


def test_an_input_of_a_size_without_a_circuit_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = perceptron_batch()
    system = PlonkProofSystem(PlonkOptions(setup="insecure-test", dim_values=(1,)))
    key = system.prepare(sample.model.program, sample.model)
    claim = make_claim(sample, proof_system="plonk", dim_value=2)
    envelope = ProofEnvelope(system="plonk", version=1, data=bytes(800))
    monkeypatch.setattr(system_verify, "expected_public", lambda *_: pytest.fail("the input was read"))
    with pytest.raises(ProofRejected, match="no circuit of dimension 2"):
        system.verify(key.verifying_key, claim.statement, envelope, AcceptancePolicy())


def digits_shape() -> Sample:
    """A classifier of 64, 32 and 10 units with a shift for each channel: the shape of the digits model."""
    builder = SampleBuilder(5)
    x = builder.input("pixels", DType.INT8, (1, 64), low=-127)
    wide = builder.dense(x, builder.draw(-60, 60, 32, 64), builder.draw(-9000, 9000, 32))
    hidden = builder.requantize(wide, shifts=builder.draw(8, 13, 32), axis=1, dtype=DType.INT8)
    scores = builder.dense(hidden, builder.draw(-110, 110, 10, 32), builder.draw(-30000, -700, 10))
    narrow = builder.requantize(scores, shifts=builder.draw(1, 2, 10), axis=1, low=-32767, dtype=DType.INT16)
    return finish("digits", builder, scores=narrow)


def test_the_digits_classifier_fits_the_public_ceremony(ceremony_path: Path) -> None:
    sample = digits_shape()
    system = PlonkProofSystem(PlonkOptions(ceremony=str(ceremony_path)))
    key = system.prepare(sample.model.program, sample.model)
    claim = make_claim(sample, proof_system="plonk", seed=4)
    proof = system.prove(key, claim.statement, claim.trace, SeededRng(0), CancelToken())
    assert len(proof.data) == 1024

    verdict = PlonkProofSystem(PlonkOptions()).verify(key.verifying_key, claim.statement, proof, AcceptancePolicy())
    assert "hermez" in verdict.assumed


def test_inputs_outside_their_interval_are_refused() -> None:
    builder = SampleBuilder(2)
    x = builder.input("x", DType.INT8, (1, 4), low=0, high=15)
    sample = finish("small", builder, y=builder.dense(x, builder.draw(-9, 9, 2, 4), builder.draw(-9, 9, 2)))
    compiled = compile_program(sample.model.program, sample.model)
    with pytest.raises(InvalidInput):
        compiled.solve(bytes(4) + bytes([16, 0, 0, 0]))


@pytest.mark.parametrize("setup", ["", "Hermez", "none"])
def test_unknown_setups_are_refused(setup: str) -> None:
    with pytest.raises(ValueError, match="setup must be one of"):
        PlonkOptions(setup=setup)


@pytest.mark.parametrize("rows", [0, 7, 1 << 21])
def test_limits_of_rows(rows: int) -> None:
    with pytest.raises(ValueError, match="rows_max"):
        PlonkOptions(rows_max=rows)
