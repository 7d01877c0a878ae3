"""Second witnesses through the whole proof: changed cells and changed outputs of every operation prove nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from attack_cases import Cheater, Run, key_of, one_run, refused, verify_quietly
from attrs import evolve
from circuit_cases import KINDS, case_of

from lazai_core.exact.codec import encode_inputs, encode_outputs
from lazai_core.exact.cost import planned_usage
from lazai_proof_stark.circuit.check import leaf_values, violations
from lazai_proof_stark.circuit.witness import count_lookups
from lazai_proof_stark.field import P
from lazai_proof_stark.model_key import circuit_of

CHANGES_MAX = 4
"""Columns that are changed for a kind; others in other runs of the fuzz."""


@cache
def run_of(kind: str) -> Run:
    """An honest run of an operation whose result is a committed column."""
    case = case_of(kind, hide=True)
    program = case.model.program
    bound = program.bind(0)
    dtypes = {1: np.int8, 2: np.int16, 4: np.int32}
    inputs = [
        np.asarray(a).astype(dtypes[declared.dtype.size])
        for a, declared in zip(case.inputs, program.inputs, strict=True)
    ]
    trace = tuple(np.asarray(a) for a in case.trace)
    statement = evolve(
        one_run().statement,
        program_digest=program.digest(),
        input=encode_inputs(program, inputs),
        output=encode_outputs(bound, [trace[output.value] for output in program.outputs]),
        usage=planned_usage(bound),
    )
    return Run(model=case.model, key=key_of(case.model), statement=statement, trace=trace, proof=b"")


kinds = pytest.mark.parametrize("kind", sorted(KINDS))


@kinds
def test_changed_cells_are_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(kind)
    cheater = Cheater(monkeypatch)
    statement, proof = cheater.prove(run, run.trace)
    run.verify(proof, statement)
    circuit = circuit_of(run.model.program, 0, run.key.weight_key)
    counted = {table.multiplicity for table in circuit.tables}
    random = np.random.default_rng(sorted(KINDS).index(kind))
    columns = [column.index for column in circuit.columns if column.index not in counted]
    for index in random.permutation(columns)[:CHANGES_MAX]:
        false: list[bool] = []

        def tamper(witness: Any, index: int = int(index), false: list[bool] = false) -> None:
            changed = np.array(witness.columns[index], dtype=np.int64)
            changed.reshape(-1)[random.integers(changed.size)] += random.choice([-1, 1, 3, 256, P // 2])
            witness.columns[index] = changed
            count_lookups(witness)
            values = witness.values
            columns = [np.asarray(c, dtype=np.int64) for c in witness.columns]
            leaves = leaf_values(values.inputs, values.outputs, values.constants, columns, exact=True)
            false.append(any(True for _ in violations(circuit, leaves)))

        statement, proof = cheater.prove(run, run.trace, tamper=tamper)
        # Some helpers may have a second value that is as good (a digit split in another way); most have not.
        assert (verify_quietly(run, proof, statement) is None) == (not false[0]), circuit.columns[index].name


@kinds
def test_changed_outputs_are_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(kind)
    cheater = Cheater(monkeypatch)
    random = np.random.default_rng(1)
    output = run.model.program.outputs[0].value
    info = run.model.program.values[output]
    for delta in (1, -2):
        trace = list(run.trace)
        changed = np.array(trace[output], dtype=np.int64)
        place = random.integers(changed.size)
        changed.reshape(-1)[place] += delta if info.low <= changed.reshape(-1)[place] + delta <= info.high else -delta
        trace[output] = changed.astype(trace[output].dtype)
        claimed = encode_outputs(run.model.program.bind(0), [trace[output]])
        statement, proof = cheater.prove(run, trace, output=claimed)
        refused(lambda proof=proof, statement=statement: run.verify(proof, statement))


@kinds
def test_random_outputs_are_refused_with_everything_solved_again(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other outputs altogether, from another input's run or from nowhere; the witness is made for them."""
    run = run_of(kind)
    cheater = Cheater(monkeypatch)
    random = np.random.default_rng(7)
    output = run.model.program.outputs[0].value
    info = run.model.program.values[output]
    honest = np.asarray(run.trace[output])
    for case in range(3):
        trace = list(run.trace)
        if case == 0:
            found = np.roll(honest.reshape(-1), 1).reshape(honest.shape)
        else:
            reach = (info.low, info.high) if case == 1 else (int(honest.min()), int(honest.max()))
            found = random.integers(reach[0], reach[1] + 1, honest.shape)
        if np.array_equal(found, honest):
            continue
        trace[output] = found.astype(honest.dtype)
        claimed = encode_outputs(run.model.program.bind(0), [trace[output]])
        statement, proof = cheater.prove(run, trace, output=claimed)
        refused(lambda proof=proof, statement=statement: run.verify(proof, statement))
