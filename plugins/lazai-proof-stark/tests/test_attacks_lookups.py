"""Sums of fractions and multiplicities (classes 4, 5); the argument alone is in test_fractions.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from attack_cases import (
    Cheater,
    Run,
    honest,
    one_run,
    refused,
    tables,
)
from attrs import evolve

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import ProofMalformed, ProofRejected, UnsupportedProgram
from lazai_core.api.program import DType
from lazai_core.exact.builder import ProgramBuilder
from lazai_proof_stark import field as f
from lazai_proof_stark import prover, verifier
from lazai_proof_stark.field import Extension, P
from lazai_proof_stark.fraction_levels import FractionLeaves
from lazai_proof_stark.kernels.arrays import extension_array, extension_values
from lazai_proof_stark.model_key import circuit_of
from lazai_proof_stark.parameters import PARAMETER_SETS


def test_lookups_up_to_the_characteristic_are_refused() -> None:
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, (1 << 16, 1 << 15))
    build.output("y", build.table(x, np.zeros(256, dtype=np.int64), offset=-128))
    program = build.build().program
    with pytest.raises(UnsupportedProgram, match="operation 0"):
        circuit_of(program, 0, evolve(one_run().key.weight_key, gas=1 << 40))


def test_a_circuit_beyond_its_sets_limits_is_refused_by_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run under a set that allows fewer lookups: the key cannot be used to prove, and not to verify."""
    run = honest(tables((5, 5)))
    name = "dev"
    small = evolve(PARAMETER_SETS[name], leaf_variables_max=6)
    key = evolve(run.key.weight_key, parameters=small, digest=b"another")
    with pytest.raises(UnsupportedProgram, match="lookups"):
        circuit_of(run.model.program, 0, key)
    with pytest.raises((ProofMalformed, ProofRejected), match="lookups"):
        verifier.verify(run.model.program, run.key.verifying_key, key, run.statement, run.proof)


def test_changed_multiplicities_are_refused(cheater: Cheater, run: Run) -> None:
    circuit = circuit_of(run.model.program, 0, run.key.weight_key)
    for table in circuit.tables:
        for delta in (1, -1, P // 2):

            def tamper(witness: Any, index: int = table.multiplicity, delta: int = delta) -> None:
                witness.columns[index] = np.array(witness.columns[index])
                witness.columns[index][0] += delta

            statement, proof = cheater.prove(run, run.trace, tamper=tamper)
            refused(lambda proof=proof, statement=statement: run.verify(proof, statement))


def test_a_multiplicity_plus_p_is_the_same_field_element(cheater: Cheater, run: Run) -> None:
    """The committed cell is an element of F, so m + p is m: the same bytes, not another proof."""
    circuit = circuit_of(run.model.program, 0, run.key.weight_key)

    def tamper(witness: Any) -> None:
        index = circuit.tables[0].multiplicity
        witness.columns[index] = np.array(witness.columns[index], dtype=np.int64)
        witness.columns[index][1] += P

    _, proof = cheater.prove(run, run.trace, tamper=tamper)
    assert proof == run.proof


# The prover says other fractions than its columns give.


def compensated(p: list[Extension], q: list[Extension], used: int) -> None:
    """One fraction altered, another one altered back: the sum stays zero."""
    delta = (5, 0, 0, 0, 9)
    p[1] = f.add(p[1], f.multiply(delta, q[1]))
    p[used - 1] = f.subtract(p[used - 1], f.multiply(delta, q[used - 1]))


def dropped(p: list[Extension], q: list[Extension], used: int) -> None:
    """One lookup left out, and the row that it would have met counted once less."""
    for lookup in range(used):
        for row in range(used):
            if p[lookup] == f.ONE and p[row] not in (f.ZERO, f.ONE) and q[row] == q[lookup]:
                p[lookup], p[row] = f.ZERO, f.add(p[row], f.ONE)
                return
    raise AssertionError("no lookup meets a row")


def zero_denominator(p: list[Extension], q: list[Extension], used: int) -> None:
    """A fraction over zero makes the whole sum 0 over 0."""
    q[2] = f.ZERO


def nothing(p: list[Extension], q: list[Extension], used: int) -> None:
    """Every fraction is (0, 0), which a projective check would take for any value."""
    p[:], q[:] = [f.ZERO] * len(p), [f.ZERO] * len(q)


@pytest.mark.parametrize("change", [compensated, dropped, zero_denominator, nothing], ids=lambda c: c.__name__)
def test_fractions_that_the_columns_do_not_give_are_refused(
    change: Callable[[list[Extension], list[Extension], int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = honest(tables((3, 2)))
    honest_leaves = prover.leaf_fractions

    def changed(leaves: Any, *rest: Any) -> Any:
        p, q = (extension_values(array) for array in honest_leaves(leaves, *rest).in_full())
        change(p, q, sum(1 << region.piece.bits for region in leaves.regions))
        return FractionLeaves(
            variables=leaves.variables, numerators=extension_array(p), denominators=extension_array(q)
        )

    monkeypatch.setattr(prover, "leaf_fractions", changed)
    proof = prover.prove(run.key, run.statement, run.trace, CancelToken())
    assert proof != run.proof
    refused(lambda: run.verify(proof))
