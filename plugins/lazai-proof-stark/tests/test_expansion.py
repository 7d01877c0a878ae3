"""The prover's long vectors against plain sums: folded operands, and claimed sums that follow from others."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from circuit_cases import case_of

from lazai_core.exact.codec import encode_inputs
from lazai_proof_stark import field as f
from lazai_proof_stark import products as product_sums
from lazai_proof_stark import prover
from lazai_proof_stark.benchmarks.decoder import DecoderShape, decoder, decoder_input
from lazai_proof_stark.circuit import algebra, karray
from lazai_proof_stark.circuit.functional import Dense, Sparse, Term
from lazai_proof_stark.circuit.nodes import Committed
from lazai_proof_stark.circuit.pullback import product_term
from lazai_proof_stark.expansion import fold_operand
from lazai_proof_stark.field import DEGREE, P
from lazai_proof_stark.messages import Sender
from lazai_proof_stark.options import StarkOptions
from lazai_proof_stark.prover import apply_term, claimed_sum
from lazai_proof_stark.runs import prove_run, run_model
from lazai_proof_stark.system import StarkProofSystem

LIMITS = {np.int8: 1 << 7, np.int16: 1 << 15, np.int32: 1 << 31, np.int64: 1 << 40}


def entries(count: int, seed: int) -> karray.KArray:
    """Random elements of K, the largest coefficients among them."""
    found = np.random.default_rng(seed).integers(0, P, (count, DEGREE))
    found[0] = P - 1
    return found


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("rows", [1, 3, 4, 41])
def test_operands_are_folded(dtype: Any, rows: int) -> None:
    top = LIMITS[dtype]
    values = np.random.default_rng(rows).integers(-top, top, (3, rows, 300)).astype(dtype)
    values[:, :, 7], values[:, :, 8] = -top, top - 1
    weights = entries(rows, 2)
    found = fold_operand(values, [1], [2, 0], weights)
    for column, part in ((0, 0), (7, 1), (8, 2), (299, 0)):
        terms = [f.scale(karray.element(w), int(v)) for w, v in zip(weights, values[part, :, column], strict=True)]
        assert karray.element(found[column, part]) == f.sum_all(terms)


def test_sums_are_reduced_in_time() -> None:
    """More rows of the largest int8 products than 2^62 holds would need 2^24 rows; int32 ones need eight."""
    values = np.full((64, 2), -(1 << 28) + 1, dtype=np.int32)
    weights = np.full((64, DEGREE), P - 1, dtype=np.int64)
    expected = 64 * (P - 1) * (-(1 << 28) + 1) % P
    assert fold_operand(values, [0], [1], weights).tolist() == [[expected] * DEGREE] * 2


def test_operands_over_the_extension_are_folded() -> None:
    left, right = (Committed(shape=(6, 3), low=0, high=9, column=index) for index in range(2))
    node = algebra.product(left, right, "ab,cb->acb")
    term = Term(
        coefficient=f.ONE,
        factors=tuple(Dense(axes=(axis,), extents=(n,), values=entries(n, axis)) for axis, n in enumerate((6, 6, 3))),
    )
    product = product_term(node, term)  # type: ignore[arg-type]
    values = entries(18, 9).reshape(6, 3, DEGREE)
    found = product_sums.folded_operand(product, "left", values, in_extension=True)
    for letter in range(3):
        terms = [
            f.multiply(karray.element(entries(6, 0)[row]), karray.element(values[row, letter])) for row in range(6)
        ]
        assert karray.element(found[letter]) == f.sum_all(terms)


def test_a_sparse_functional_reads_its_rows_only() -> None:
    random = Random(3)
    values = np.random.default_rng(4).integers(-128, 128, (50, 7)).astype(np.int8)
    indices = np.array([random.randrange(50) for _ in range(5)], dtype=np.int64)
    rows = Sparse(axes=(0,), extents=(50,), indices=indices, weights=entries(5, 5))
    columns = Dense(axes=(1,), extents=(7,), values=entries(7, 6))
    term = Term(coefficient=(3, 1, 4, 1, 5), factors=(rows, columns))
    assert apply_term(term, values) == term.apply(values)


@pytest.mark.parametrize("kind", ["layer_norm", "softmax", "conv2d", "matmul"])
def test_claimed_sums_that_follow_are_those_of_the_columns(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A's two sums are not evaluated but follow from the others; evaluated they are the same."""
    sent: dict[str, Any] = {}
    send, open_ = Sender.send_elements, prover._Run.open_activations

    def recorded(self: Sender, label: str, values: Any) -> None:
        sent[label] = list(values)
        send(self, label, values)

    def compared(self: Any) -> None:
        assert sent["sums"][0] == claimed_sum(self.first_claims[0], self.values)
        assert sent["operand sum"][0] == claimed_sum(self.second_claims[0], self.values)
        open_(self)
        sent["compared"] = True

    monkeypatch.setattr(Sender, "send_elements", recorded)
    monkeypatch.setattr(prover._Run, "open_activations", compared)
    case = case_of(kind)
    system = StarkProofSystem(StarkOptions(parameters="dev"))
    run = run_model(case.model, encode_inputs(case.model.program, case.inputs))
    prove_run(system, system.prepare(case.model.program, case.model), run)
    assert sent["compared"]


def test_a_whole_proof_has_the_same_bytes_with_weights_in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder with every operation of GPT-2: gather, attention, normalisation, tables, dense layers."""
    shape = DecoderShape(layers=1, width=24, heads=2, vocabulary=80, positions=4)
    model = decoder(shape)
    run = run_model(model, decoder_input(model, shape))
    proofs: list[bytes] = []
    variables: list[int] = []
    shorten = prover.windowed

    def counted(layout: Any, size: int, *rest: Any) -> Any:
        variables.append(size)
        return shorten(layout, size, *rest)

    monkeypatch.setattr(prover, "windowed", counted)
    for least in (99, 0):
        monkeypatch.setattr(prover, "WINDOWED_VARIABLES_MIN", least)
        system = StarkProofSystem(StarkOptions(parameters="dev"))
        proofs.append(prove_run(system, system.prepare(model.program, model), run).envelope.data)
        assert len(variables) == (0 if least else 2)
    assert proofs[0] == proofs[1]
