"""Determinism: no witness but the honest one gives accepted program values (zk.md rows 12 and 13 in small)."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from circuit_cases import KINDS, Case, case_of

from lazai_core.exact.reference import apply_op
from lazai_proof_stark.circuit.check import check_claims, violations
from lazai_proof_stark.circuit.compile import OPERATIONS
from lazai_proof_stark.circuit.witness import make_witness
from lazai_proof_stark.field import P


def test_every_operation_is_among_the_kinds() -> None:
    """So that nobody adds an operation without a second-witness search."""
    used = {op.kind for kind in KINDS for op in case_of(kind).model.program.ops}
    assert used == set(OPERATIONS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hide", [False, True])
def test_the_honest_witness_satisfies_every_relation_and_every_claim(kind: str, hide: bool) -> None:
    case = case_of(kind, hide=hide)
    values = case.values(case.columns())
    assert list(violations(case.circuit, values)) == []
    assert case.same_program_values(case.columns())
    check_claims(case.circuit, case.values(case.columns()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_output_is_found(kind: str) -> None:
    case = case_of(kind)
    random = Random(3)
    for _ in range(6):
        outputs = [np.array(a, dtype=np.int64) for a in case.outputs]
        cell = tuple(random.randrange(n) for n in outputs[0].shape)
        outputs[0][cell] += random.choice([-1, 1, 2, -7, 256, -(1 << 20)])
        assert case.check(case.columns(), outputs), f"output {cell} changed unnoticed"


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_output_with_all_columns_solved_again_is_found(kind: str) -> None:
    for hide in (False, True):
        case = case_of(kind, hide=hide)
        random = Random(5)
        for _ in range(6):
            columns, outputs, changed = solved_again(case, random)
            if changed and not case.check(columns, outputs):
                # A change that a later rounding swallows is no change of anything that is committed.
                assert case.same_program_values(columns, outputs), "another output was accepted"


def solved_again(case: Case, random: Random) -> tuple[list[np.ndarray], list[np.ndarray], bool]:
    """One op's result changed in the trace, later ops computed from it, every column filled from that trace."""
    program = case.model.program
    trace = [np.array(a) for a in case.trace]
    index = random.randrange(len(program.ops))
    target = program.first_result + index
    changed = trace[target].astype(np.int64)
    cell = tuple(random.randrange(n) for n in changed.shape)
    info = program.values[target]
    options = {info.low, info.high, int(changed[cell]) - 1, int(changed[cell]) + 1} - {int(changed[cell])}
    changed[cell] = random.choice(sorted(options))
    if not info.low <= changed[cell] <= info.high:
        return [], [], False
    trace[target] = changed.astype(trace[target].dtype)
    for later in range(index + 1, len(program.ops)):
        op, value = program.ops[later], program.first_result + later
        trace[value] = apply_op(op, [trace[o] for o in op.operands], case.circuit.bound.shapes[value])
    witness = make_witness(case.circuit, case.model.constants, trace)
    outputs = [np.array(trace[output.value], dtype=np.int64) for output in program.outputs]
    return [np.array(c, dtype=np.int64) for c in witness.columns], outputs, True


@pytest.mark.parametrize("kind", KINDS)
def test_changed_columns_never_give_other_program_values(kind: str) -> None:
    """Random changes of columns, wrap-around sized ones among them: accepted only where all values stay the same."""
    for hide in (False, True):
        case = case_of(kind, hide=hide)
        counters = {table.multiplicity for table in case.circuit.tables}
        chosen = [c.index for c in case.circuit.columns if c.index not in counters]
        random = Random(7)
        for _ in range(25 if chosen else 0):
            columns = case.columns()
            for _ in range(random.choice([1, 1, 2, 3])):
                index = random.choice(chosen)
                cell = tuple(random.randrange(n) for n in columns[index].shape)
                columns[index][cell] = changed_number(int(columns[index][cell]), random)
            if not case.check(columns):
                assert case.same_program_values(columns), "other values were accepted"


def changed_number(value: int, random: Random) -> int:
    """Near, far, or off by a fraction of p: what a dishonest remainder or quotient looks like."""
    shift = random.randrange(1, 20)
    inverse = pow(1 << shift, -1, P)
    step = random.choice([1, -1, 2, 256, -256, inverse, -inverse, P // (1 << shift), random.randrange(P)])
    found = (value + step) % P
    return found - P if found > P // 2 else found
