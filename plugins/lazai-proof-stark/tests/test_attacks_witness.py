"""Witnesses solved for other values (classes 12, 13, 29); operation by operation in test_attacks_operations.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attack_cases import (
    Cheater,
    Run,
    honest,
    refused,
    tables,
    verify_quietly,
)
from attrs import evolve

from lazai_core.api.compute import CancelToken
from lazai_proof_stark import prover
from lazai_proof_stark.expansion import padded_cells
from lazai_proof_stark.field import P
from lazai_proof_stark.model_key import circuit_of


@pytest.mark.parametrize("delta", [1, -1, 7, 128])
def test_a_changed_output_is_refused_even_with_solved_columns(cheater: Cheater, run: Run, delta: int) -> None:
    index = run.model.program.outputs[0].value
    trace = [np.array(a) for a in run.trace]
    changed = trace[index].astype(np.int64)
    changed[1, 3] = np.clip(changed[1, 3] + delta, -128, 127) if abs(delta) < 128 else -changed[1, 3] - 1
    trace[index] = changed.astype(np.int8)
    statement, proof = cheater.prove(run, trace, output=trace[index].tobytes())
    refused(lambda: run.verify(proof, statement))


def test_a_changed_inner_value_with_the_rest_computed_from_it_is_refused(cheater: Cheater, run: Run) -> None:
    """The prover changes the first layer's result and runs the second layer honestly on it."""
    program = run.model.program
    first = program.first_result
    trace = [np.array(a) for a in run.trace]
    hidden = trace[first + 1].astype(np.int64)
    hidden[0, 0] = 127 if hidden[0, 0] < 100 else 0
    trace[first + 1] = hidden.astype(trace[first + 1].dtype)
    trace[first + 2] = np.maximum(hidden, 0).astype(np.int8)
    weight, bias = (run.model.constants[operand - program.first_constant] for operand in program.ops[3].operands[1:])
    accumulated = trace[first + 2].astype(np.int64) @ weight.astype(np.int64).T + bias
    trace[first + 3] = accumulated.astype(np.int32)
    trace[first + 4] = np.clip((accumulated + 32) >> 6, -128, 127).astype(np.int8)
    statement, proof = cheater.prove(run, trace, output=trace[first + 4].tobytes())
    assert statement.output != run.statement.output
    refused(lambda: run.verify(proof, statement))


def test_every_column_matters(cheater: Cheater, run: Run) -> None:
    """One cell of any column changed, multiplicities counted again: no proof."""
    from lazai_proof_stark.circuit.witness import count_lookups

    circuit = circuit_of(run.model.program, 0, run.key.weight_key)
    counted = {table.multiplicity for table in circuit.tables}
    random = np.random.default_rng(3)
    for column in circuit.columns:
        if column.index in counted:
            continue

        def tamper(witness: Any, index: int = column.index) -> None:
            changed = np.array(witness.columns[index], dtype=np.int64)
            changed.reshape(-1)[random.integers(changed.size)] += random.choice([-1, 1, 5])
            witness.columns[index] = changed
            count_lookups(witness)

        statement, proof = cheater.prove(run, run.trace, tamper=tamper)
        assert verify_quietly(run, proof, statement) is not None, column.name


def test_quotients_moved_by_the_field_are_refused(cheater: Cheater, run: Run) -> None:
    """q + p / 2^s and the remainder that goes with it: the wrap-around that integer identities must exclude."""
    from lazai_proof_stark.circuit.witness import count_lookups

    inverse = pow(64, -1, P)

    def tamper(witness: Any) -> None:
        changed = np.array(witness.columns[0], dtype=np.int64)
        changed[0, 0] = (changed[0, 0] + inverse) % P
        witness.columns[0] = changed
        count_lookups(witness)

    statement, proof = cheater.prove(run, run.trace, tamper=tamper)
    refused(lambda: run.verify(proof, statement))


def test_values_in_padding_change_nothing_and_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells beyond the true extents hold whatever the prover likes; the proof stays about the true cells."""
    run = honest(tables((3, 7)))
    fill = prover.fill_commitment
    circuit = circuit_of(run.model.program, 0, run.key.weight_key)
    blocks = [b for b in circuit.activations.blocks if not _true_cells(b.piece).all()]
    assert blocks

    def padded(layout: Any, variables: int, arrays: Any) -> Any:
        cells = fill(layout, variables, arrays)
        random = np.random.default_rng(1)
        for block in blocks:
            size = 1 << block.piece.bits
            part = cells[block.offset : block.offset + size]
            true = _true_cells(block.piece)
            part[~true] = random.integers(0, P, int((~true).sum()), dtype=np.uint32)
        return cells

    monkeypatch.setattr(prover, "fill_commitment", padded)
    statement, proof = evolve(run.statement), prover.prove(run.key, run.statement, run.trace, CancelToken())
    assert proof != run.proof
    run.verify(proof, statement)
    wrong = bytearray(run.statement.output)
    wrong[0] ^= 1
    claimed = evolve(run.statement, output=bytes(wrong))
    proof = prover.prove(run.key, claimed, run.trace, CancelToken())
    refused(lambda: run.verify(proof, claimed))


def _true_cells(piece: Any) -> Any:
    box = evolve(piece, ranges=tuple((0, length) for length in piece.extents))
    return padded_cells(np.ones(piece.extents, dtype=np.int8), box).astype(bool)
