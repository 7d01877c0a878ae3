"""Sums of fractions and multiplicities (classes 4, 5); the argument alone is in test_fractions.py."""

from __future__ import annotations

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

from lazai_core.api.errors import ProofMalformed, ProofRejected, UnsupportedProgram
from lazai_core.api.program import DType
from lazai_core.exact.builder import ProgramBuilder
from lazai_proof_stark import verifier
from lazai_proof_stark.field import P
from lazai_proof_stark.model_key import circuit_of
from lazai_proof_stark.parameters import PARAMETER_SETS


def test_lookups_up_to_the_characteristic_are_refused() -> None:
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, (1 << 16, 1 << 15))
    build.output("y", build.table(x, np.zeros(256, dtype=np.int64), offset=-128))
    program = build.build().program
    with pytest.raises(UnsupportedProgram, match="operation 0"):
        circuit_of(program, 0, one_run().key.weight_key)


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
