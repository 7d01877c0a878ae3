"""The verifier of programs that was written from PROTOCOL.md alone, held against the plugin's: they always agree."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen
from circuit_cases import KINDS, case_of
from second_cases import BRANCHES, Build, beyond_the_field, model_of
from second_compiler import Compiler
from second_gadgets import Sizes
from second_program_verifier import read_key, verify_program
from test_second_verifier import Refused

from lazai_core.api.errors import ProofError, ProvingFailed, UnsupportedProgram
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.proof import AcceptancePolicy, Statement, VerifyingKey
from lazai_core.exact.codec import encode_inputs
from lazai_core.exact.model import ExactModel
from lazai_core.testing.samples import Sample, exact_programs
from lazai_proof_stark.key_data import encode_key_data
from lazai_proof_stark.options import StarkOptions
from lazai_proof_stark.runs import prove_run, run_model
from lazai_proof_stark.system import StarkProofSystem

ANY_STRENGTH = AcceptancePolicy(security_bits_min=1)


@frozen(kw_only=True)
class Proved:
    """A run of a program with its proof, made by the plugin."""

    system: StarkProofSystem
    key: VerifyingKey
    statement: Statement
    proof: bytes

    def plugin_accepts(self) -> bool:
        envelope = ProofEnvelope(system="stark", version=1, data=self.proof)
        try:
            self.system.verify(self.key, self.statement, envelope, ANY_STRENGTH)
        except ProofError:
            return False
        return True

    def second_accepts(self) -> bool:
        try:
            verify_program(self.key, self.statement, self.proof)
        except Refused:
            return False
        return True

    def verdicts(self) -> tuple[bool, bool]:
        return self.plugin_accepts(), self.second_accepts()


@cache
def system_of(parameters: str) -> StarkProofSystem:
    return StarkProofSystem(StarkOptions(parameters=parameters, threads=1, kernels="processor"))


def drawn_inputs(model: ExactModel, dim: int, seed: int = 3) -> bytes:
    """Elements of all the interval, a third of them at its ends."""
    generator = np.random.default_rng(seed)
    arrays = []
    for declared in model.program.inputs:
        shape = [dim if extent == -1 else extent for extent in declared.shape]
        values = generator.integers(declared.low, declared.high + 1, shape)
        ends = generator.choice([declared.low, declared.high], shape)
        arrays.append(np.where(generator.random(shape) < 0.3, ends, values))
    return encode_inputs(model.program, arrays, dim)


def proved(
    model: ExactModel, *, job: bytes = b"", dim: int = 0, parameters: str = "dev", sizes: Any = None
) -> Proved:
    system = system_of(parameters)
    key = system.prepare(model.program, model)
    if sizes is not None:
        changed = evolve(key.weight_key, sizes=evolve(key.weight_key.sizes, **sizes))
        # Other sizes may cost a verifier more: the price is not what is looked at here.
        changed = evolve(changed.decode(changed.encode()), gas=100 * changed.gas)
        verifying = evolve(key.verifying_key, data=encode_key_data(model.program, changed))
        key = evolve(key, weight_key=changed, verifying_key=verifying)
    run = run_model(model, job or drawn_inputs(model, dim))
    envelope = prove_run(system, key, run).envelope
    return Proved(system=system, key=key.verifying_key, statement=run.statement, proof=envelope.data)


def _changed_element(data: bytes, start: int, size: int, low: int, high: int) -> bytes:
    value = int.from_bytes(data[start : start + size], "little", signed=True)
    other = low if value != low else high
    assert other != value
    return data[:start] + other.to_bytes(size, "little", signed=True) + data[start + size :]


def other_statements(model: ExactModel, statement: Statement) -> Iterator[Statement]:
    """Another first element of the output, and of the input."""
    program = model.program
    first = program.values[program.outputs[0].value]
    if first.low != first.high:
        output = _changed_element(statement.output, 0, first.dtype.size, first.low, first.high)
        yield evolve(statement, output=output)
    given = program.inputs[0]
    yield evolve(statement, input=_changed_element(statement.input, 4, given.dtype.size, given.low, given.high))


def changed_proofs(proof: bytes) -> Iterator[bytes]:
    """A bit of each of eight places from the first message to the last, and other lengths."""
    for place in range(8):
        offset = place * (len(proof) - 1) // 7
        yield proof[:offset] + bytes([proof[offset] ^ 1 << place]) + proof[offset + 1 :]
    yield from (proof[:-4], b"", proof + bytes(4))


def require_agreement(model: ExactModel, honest: Proved) -> None:
    assert honest.verdicts() == (True, True)
    for statement in other_statements(model, honest.statement):
        assert evolve(honest, statement=statement).verdicts() == (False, False)
    for place, proof in enumerate(changed_proofs(honest.proof)):
        assert evolve(honest, proof=proof).verdicts() == (False, False), place


@pytest.mark.parametrize("kind", KINDS)
def test_operations_of_every_kind_as_outputs_and_as_columns(kind: str) -> None:
    for hide in (False, True):
        case = case_of(kind, hide=hide)
        made = proved(case.model, job=encode_inputs(case.model.program, case.inputs))
        assert made.verdicts() == (True, True)


@pytest.mark.parametrize("build", BRANCHES, ids=lambda build: build.__name__)
def test_branches_are_accepted_and_changes_refused(build: Build) -> None:
    model = model_of(build)
    require_agreement(model, proved(model, dim=7 if model.program.dim else 0))


def samples() -> list[Any]:
    return [
        pytest.param(sample, id=sample.name, marks=[pytest.mark.slow] if "attention" in sample.name else [])
        for sample in exact_programs()
    ]


@pytest.mark.parametrize("sample", samples())
def test_whole_models_are_accepted_and_changes_refused(sample: Sample) -> None:
    dim = sample.model.program.dim
    require_agreement(sample.model, proved(sample.model, dim=dim.maximum - 1 if dim else 0))


def test_several_values_of_the_dimension() -> None:
    model = model_of(next(build for build in BRANCHES if build.__name__ == "rows_symbolic"))
    for dim in (1, 2, 9):
        assert proved(model, dim=dim).verdicts() == (True, True), dim


@pytest.mark.parametrize(
    ("range_bits", "tabled", "merged"), [(8, True, True), (11, True, False), (9, False, True), (12, False, False)]
)
def test_any_table_sizes_that_compile(range_bits: int, tabled: bool, merged: bool) -> None:
    clamps = tuple((width, 31, tabled, merged) for width in (81, 127, 255))
    for kind in ("table_merged", "relu", "requantize_long", "layer_norm", "reduce_mean", "argmax", "softmax"):
        case = case_of(kind, hide=True)
        job = encode_inputs(case.model.program, case.inputs)
        made = proved(case.model, job=job, sizes={"range_bits": range_bits, "clamps": clamps})
        assert made.verdicts() == (True, True), kind
    case = case_of("requantize_channels")
    assert proved(case.model, sizes={"range_bits": range_bits, "clamps": ()}).verdicts() == (True, True)


@pytest.mark.parametrize("build", beyond_the_field(), ids=lambda build: build.__name__)
def test_programs_that_may_leave_the_field_are_refused_by_both(build: Build) -> None:
    model = model_of(build)
    with pytest.raises((ProvingFailed, UnsupportedProgram)):
        system_of("dev").prepare(model.program, model)
    shifts = {index: array.tolist() for index, array in enumerate(model.constants) if array.dtype == np.int8}
    inputs = [np.zeros(declared.shape, dtype=np.int64) for declared in model.program.inputs]
    with pytest.raises(Refused):
        Compiler(model.program.bind(), Sizes(range_bits=9, clamps=[]), shifts, {}, inputs).compile()


def test_another_key_is_refused() -> None:
    case = case_of("requantize_channels")
    honest = proved(case.model, job=encode_inputs(case.model.program, case.inputs))
    data = honest.key.data
    assert read_key(data).shifts == {2: [1, 3, 0, -1, 4]}
    for offset in (7, 40, len(data) - 600, len(data) - 540, len(data) - 40):
        changed = evolve(honest.key, data=data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
        assert evolve(honest, key=changed).verdicts() == (False, False), offset


def test_proven100() -> None:
    model = model_of(next(build for build in BRANCHES if build.__name__ == "moved_products"))
    honest = proved(model, parameters="proven100")
    assert honest.verdicts() == (True, True)
    assert evolve(honest, proof=honest.proof[:-1] + bytes([honest.proof[-1] ^ 1])).verdicts() == (False, False)
