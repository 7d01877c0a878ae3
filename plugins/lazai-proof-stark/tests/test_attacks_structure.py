"""Nothing of the structure comes from the proof; damage of any kind is refused (classes 10, 11, 25, 27, 28)."""

from __future__ import annotations

import os
import tracemalloc
from collections import OrderedDict
from random import Random

import numpy as np
import pytest
from attack_cases import Cheater, Run, honest, key_of, mutate, one_run, refused, tables, verify_quietly
from attrs import evolve

import lazai_proof_stark.system
from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import ProofMalformed, UnsupportedProgram
from lazai_core.api.program import Dim, DType
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.codec import encode_inputs
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.reference import run_job
from lazai_proof_stark import model_key, prover
from lazai_proof_stark.circuit import compile
from lazai_proof_stark.fuzz import mutated
from lazai_proof_stark.key_data import encode_key_data
from lazai_proof_stark.options import StarkOptions
from lazai_proof_stark.system import StarkProofSystem


def test_truncated_and_extended_proofs_are_refused(run: Run) -> None:
    for size in (0, 1, 3, 4, 31, 32, len(run.proof) // 2, len(run.proof) - 4, len(run.proof) - 1):
        refused(lambda size=size: run.verify(run.proof[:size]))
    for tail in (b"\0", b"\0\0\0\0", run.proof):
        assert isinstance(refused(lambda tail=tail: run.verify(run.proof + tail)), ProofMalformed)


def test_a_proof_for_another_size_is_refused() -> None:
    """The symbolic dimension is in the input's bytes; the circuit follows it, not the proof."""
    build = ProgramBuilder(dim=Dim(name="n", minimum=1, maximum=4))
    x = build.input("x", DType.INT8, (-1, 8))
    build.output("y", build.table(x, np.arange(-128, 128)[::-1].copy(), offset=-128))
    model = build.build()
    key = key_of(model)
    runs = {}
    for rows in (2, 3):
        data = encode_inputs(model.program, [np.zeros((rows, 8), dtype=np.int8)])
        found = run_job(model, data, keep_trace=True)
        assert found.trace is not None
        statement = evolve(
            one_run().statement,
            program_digest=model.program.digest(),
            input=data,
            output=found.output_bytes(),
            usage=planned_usage(found.bound),
        )
        trace = tuple(np.asarray(a) for a in found.trace.arrays)
        proof = prover.prove(key, statement, trace, CancelToken())
        runs[rows] = Run(model=model, key=key, statement=statement, trace=trace, proof=proof)
        runs[rows].verify()
    refused(lambda: runs[3].verify(runs[2].proof))
    refused(lambda: runs[2].verify(runs[3].proof))
    refused(lambda: runs[2].verify(runs[2].proof, evolve(runs[3].statement, output=runs[2].statement.output)))


MUTATIONS = int(os.environ.get("LAZAI_MUTATIONS", "2000"))
"""`make fuzz` runs a hundred thousand."""


def test_mutations_are_refused_with_bounded_work(run: Run) -> None:
    """Most on the smallest circuit, which takes the least time to refuse; the same messages are in all."""
    for target, count in ((run, MUTATIONS // 10), (honest(tables((3,))), MUTATIONS - MUTATIONS // 10)):
        found = mutate(target, count, seed=1)
        assert found.tried == count
        assert found.accepted == 0
        assert {"malformed", "merkle path", "lookup level", "grinding"} <= set(found.reasons)


def test_random_bytes_are_refused(run: Run) -> None:
    random = Random(2)
    for _ in range(50):
        refused(lambda: run.verify(random.randbytes(random.randrange(0, 2 * len(run.proof)))))
    refused(lambda: run.verify(bytes(len(run.proof))))


def test_a_prefix_of_the_model_is_not_the_model(run: Run) -> None:
    """A proof of the first layer alone, its result claimed as the output."""
    random = np.random.default_rng(1)
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, (2, 12))
    weight = random.integers(-20, 21, (12, 12))
    y = build.requantize(
        build.dense(x, weight, random.integers(-99, 100, 12)), shift=6, low=-128, high=127, dtype=DType.INT8
    )
    build.output("y", y)
    part = honest(build.build())
    assert part.statement.input == run.statement.input
    refused(lambda: run.verify(part.proof))
    refused(lambda: run.verify(part.proof, evolve(run.statement, output=part.statement.output)))
    refused(lambda: part.verify(part.proof, evolve(part.statement, program_digest=run.statement.program_digest)))


def test_an_intermediate_value_as_the_output_is_refused(cheater: Cheater, run: Run) -> None:
    first = run.model.program.first_result
    claimed = run.trace[first + 2].astype(np.int8).tobytes()
    assert claimed != run.statement.output
    assert len(claimed) == len(run.statement.output)
    trace = list(run.trace)
    trace[run.model.program.outputs[0].value] = run.trace[first + 2]
    statement, proof = cheater.prove(run, trace, output=claimed)
    refused(lambda: run.verify(proof, statement))


@pytest.mark.parametrize("shape", [(1,), (1, 1), (3,), (5, 1, 3)])
def test_small_and_odd_shapes(shape: tuple[int, ...]) -> None:
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, shape)
    build.output("y", build.table(x, np.zeros(256, dtype=np.int64), offset=-128))
    run = honest(build.build())
    run.verify()
    wrong = bytearray(run.statement.output)
    wrong[0] = 1
    refused(lambda: run.verify(statement=evolve(run.statement, output=bytes(wrong))))


def test_a_program_without_any_column_of_its_own() -> None:
    """Only moves: the output is the input in another order, and no other order is accepted."""
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, (3, 4))
    build.output("y", build.transpose(x, (1, 0)))
    run = honest(build.build(), seed=2)
    run.verify()
    output = np.frombuffer(run.statement.output, dtype=np.int8).copy()
    output[[0, 1]] = output[[1, 0]]
    assert output.tobytes() != run.statement.output
    refused(lambda: run.verify(statement=evolve(run.statement, output=output.tobytes())))
    statement = evolve(run.statement, output=output.tobytes())
    refused(lambda: run.verify(prover.prove(run.key, statement, run.trace, CancelToken()), statement))


# 10: sizes that no machine has.


@pytest.mark.parametrize("shape", [(1 << 20, 1 << 11), (1 << 13, 1 << 13), (1, 1 << 20, 1 << 11)])
def test_a_key_of_a_giant_program_is_refused_at_once(run: Run, shape: tuple[int, ...]) -> None:
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, shape)
    build.output("y", build.table(x, np.zeros(256, dtype=np.int64), offset=-128))
    program = build.build().program
    verifying = evolve(
        run.key.verifying_key,
        program_digest=program.digest(),
        data=encode_key_data(program, run.key.weight_key),
    )
    statement = evolve(run.statement, program_digest=program.digest())
    tracemalloc.start()
    try:
        refused(lambda: run.verify(statement=statement, key=evolve(run.key, verifying_key=verifying)))
        # Also with an input whose length would fit, were there memory for it.
        giant = evolve(statement, input=bytes(4) + bytes(1 << 20))
        refused(lambda: run.verify(statement=giant, key=evolve(run.key, verifying_key=verifying)))
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_declared_length_is_not_believed(run: Run) -> None:
    """Lengths inside a key are read against the bytes that are there, before anything is allocated."""
    data = run.key.verifying_key.data
    for offset in (8, 9, len(data) - 600, len(data) - 520):
        for length in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x10\x00\x00"):
            changed = data[:offset] + length + data[offset + 4 :]
            verifying = evolve(run.key.verifying_key, data=changed)
            if changed != data:
                refused(lambda verifying=verifying: run.verify(key=evolve(run.key, verifying_key=verifying)))


# 25: only operations with relations of their own.


def test_an_operation_without_relations_is_refused_by_prover_and_verifier(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {kind: emit for kind, emit in compile.OPERATIONS.items() if kind != "table"}
    monkeypatch.setattr(compile, "OPERATIONS", known)
    monkeypatch.setattr(lazai_proof_stark.system, "OPERATIONS", known)
    monkeypatch.setattr(model_key, "_CIRCUITS", OrderedDict())
    system = StarkProofSystem(StarkOptions())
    assert not system.supports(run.model.program).supported
    assert "(table)" in system.supports(run.model.program).reason
    with pytest.raises(UnsupportedProgram, match=r"operation 2 \(table\)"):
        system.prepare(run.model.program, run.model)
    refused(lambda: run.verify())


# 28: memory.


def test_refusing_takes_no_more_memory_than_accepting(run: Run) -> None:
    def peak(proof: bytes) -> int:
        tracemalloc.start()
        try:
            verify_quietly(run, proof)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    accepted = peak(run.proof)
    random = Random(6)
    for _ in range(60):
        assert peak(mutated(run.proof, random)) <= 2 * accepted + (1 << 20)
