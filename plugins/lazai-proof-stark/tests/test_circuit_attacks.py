"""Known attacks on single operations (zk.md rows 5, 13, 29) and witnesses that a weakened circuit would accept."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from attrs import evolve
from circuit_cases import KINDS, Case, case_of

from lazai_core.api.errors import InvalidInput
from lazai_proof_stark import field
from lazai_proof_stark.circuit.check import random_element, whole_term
from lazai_proof_stark.circuit.functional import Term
from lazai_proof_stark.circuit.layout import restrict_to
from lazai_proof_stark.circuit.pullback import Context, product_term, pull_back
from lazai_proof_stark.circuit.witness import make_witness, public_values
from lazai_proof_stark.field import P


def column(case: Case, name: str, position: int = 0) -> int:
    """The index of the column of this name."""
    return [c.index for c in case.circuit.columns if c.name == name][position]


def test_a_multiplicity_may_be_written_mod_p_but_not_otherwise() -> None:
    case = case_of("requantize", hide=True)
    table = case.circuit.tables[0]
    columns = case.columns()
    columns[table.multiplicity][0] += P
    assert case.check(columns, recount=False) == []
    columns[table.multiplicity][0] += 1
    assert case.check(columns, recount=False)


def test_a_row_nobody_looks_up_must_count_zero() -> None:
    case = case_of("requantize", hide=True)
    for table in case.circuit.tables:
        columns = case.columns()
        unused = np.flatnonzero(columns[table.multiplicity] == 0)
        if len(unused):
            columns[table.multiplicity][unused[0]] = 1
            assert case.check(columns, recount=False)


def test_the_number_of_lookups_stays_below_the_characteristic() -> None:
    for kind in KINDS:
        assert case_of(kind).circuit.total_lookups < P


@pytest.mark.parametrize("shift", [1, -1, 3])
def test_a_quotient_shifted_by_a_fraction_of_p_is_refused(shift: int) -> None:
    """q + k / 2^s mod p makes the remainder small again; only q's own bound forbids it."""
    case = case_of("requantize", hide=True)
    inverse = pow(32, -1, P)
    for cell in ((0, 0), (2, 4)):
        columns = case.columns()
        moved = (int(columns[column(case, "value")][cell]) + shift * inverse) % P
        columns[column(case, "value")][cell] = moved
        found = case.check(columns)
        assert any("clamp" in violation.relation for violation in found)


def test_a_remainder_outside_its_range_is_refused() -> None:
    case = case_of("reduce_mean", hide=True)
    for step in (1, -1):
        columns = case.columns()
        columns[column(case, "value")][0] += step
        assert any("remainder" in violation.relation for violation in case.check(columns))


def test_a_shifted_softmax_row_is_refused() -> None:
    """Subtracting one more than the maximum changes every exponential consistently."""
    for kind in ("softmax", "softmax_causal"):
        case = case_of(kind, hide=True)
        trace = list(case.trace)
        fills = {c.name: c for c in case.circuit.columns}
        for step in (1, -1):
            wrong = evolve(fills["maximum"].fill, kind="affine", arguments=(fills["maximum"].fill,), numbers=(1, step))
            columns = tuple(evolve(c, fill=wrong) if c.name == "maximum" else c for c in case.circuit.columns)
            witness = make_witness(evolve(case.circuit, columns=columns), case.model.constants, trace)
            found = case.check([np.array(c, dtype=np.int64) for c in witness.columns])
            assert any("maximum exists" in v.relation or "exponential" in v.relation for v in found)


def test_an_inverse_root_that_fits_only_mod_p_is_refused() -> None:
    """Every other r with all digits solved again breaks one side of the bracket."""
    case = case_of("layer_norm_wide", hide=True)
    fill = next(c.fill for c in case.circuit.columns if c.name == "bracket")
    for step in (1, -1, 1 << 8, P % (1 << 16)):
        root = fill.arguments[1]
        moved = evolve(root.arguments[0], kind="affine", arguments=(root.arguments[0],), numbers=(1, step))
        wrong = evolve(root, kind="limbs", arguments=(moved,))
        parts = (fill.arguments[0], wrong, *fill.arguments[2:])
        columns = tuple(
            evolve(c, fill=evolve(fill, arguments=parts)) if c.name == "bracket" else c for c in case.circuit.columns
        )
        witness = make_witness(evolve(case.circuit, columns=columns), case.model.constants, list(case.trace))
        assert case.check([np.array(c, dtype=np.int64) for c in witness.columns])


def test_a_pooled_maximum_above_its_window_is_refused() -> None:
    case = case_of("max_pool2d")
    outputs = [np.array(a, dtype=np.int64) for a in case.outputs]
    outputs[0][0, 0, 0, 0] += 1
    assert any("maximum" in violation.relation for violation in case.check(case.columns(), outputs))


def test_a_later_index_of_an_equal_maximum_is_refused() -> None:
    case = case_of("argmax")
    x = case.inputs[0]
    tied = [r for r in range(x.shape[0]) if (x[r] == x[r].max()).sum() > 1]
    assert tied, "the case must hold a tie"
    later = np.flatnonzero(x[tied[0]] == x[tied[0]].max())[1]
    trace = [np.array(a) for a in case.trace]
    value = case.model.program.outputs[0].value
    trace[value][tied[0]] = later
    witness = make_witness(case.circuit, case.model.constants, trace)
    assert case.check([np.array(c, dtype=np.int64) for c in witness.columns], [trace[value].astype(np.int64)])


def test_an_output_that_is_right_only_mod_p_is_refused_before_anything_else() -> None:
    case = case_of("dense")
    outputs = [np.array(case.outputs[0], dtype=np.int64)]
    outputs[0][0, 0] -= P
    assert case.check(case.columns(), outputs) == []
    with pytest.raises(InvalidInput, match="outside"):
        public_values(case.circuit.bound, case.inputs, outputs)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_cells_have_weight_zero_in_every_claim(kind: str) -> None:
    """Whatever a prover puts into padding (columns, multiplicities, weights), no claim reads it."""
    case = case_of(kind, hide=True)
    random = Random(1)
    context = Context(chi=random_element(random), values=case.values(case.columns()))
    for node, term in every_leaf_claim(case, context, random):
        layout = case.circuit.activations if hasattr(node, "column") else case.circuit.weights
        owner = node.column if hasattr(node, "column") else node.index
        for block in layout.of(owner):
            part = restrict_to(term, node.shape, block.piece.ranges)
            for cell in padding_cells(block.piece, random):
                assert block.piece.evaluate(part, cell) == field.ZERO


def every_leaf_claim(case: Case, context: Context, random: Random) -> list[tuple[object, Term]]:
    lookups = [(lookup, piece) for lookup in case.circuit.lookups for piece in lookup.pieces]
    forms = [(form, lookup.shape, piece) for lookup, piece in lookups for form in lookup.forms]
    forms += [(e.form, e.form.shape, e.piece) for e in case.circuit.equalities]
    found = []
    for form, shape, piece in forms:
        point = [random_element(random) for _ in range(piece.bits)]
        pulled = pull_back(form, whole_term(shape, piece, point), context)
        found += pulled.leaves
        for node, term in pulled.products:
            part = product_term(node, term)
            bound = [random_element(random) for _ in range(part.variables)]
            found += pull_back(node.left, part.left_term(bound), context).leaves
            found += pull_back(node.right, part.right_term(bound), context).leaves
    return found


def padding_cells(piece: object, random: Random) -> list[list[field.Extension]]:
    """Some indices of padding as points of {0, 1}^bits."""
    cells = []
    for _ in range(8):
        index = random.randrange(1 << piece.bits)
        rest, inside = index, True
        for group in reversed(piece.groups):
            count = int(np.prod([piece.extents[axis] for axis in group.axes]))
            inside = inside and rest % (1 << group.bits) < count
            rest >>= group.bits
        if not inside:
            cells.append([field.lift(index >> bit & 1) for bit in range(piece.bits)])
    return cells


def test_a_circuit_without_its_range_checks_accepts_a_second_witness() -> None:
    """The search of the other tests finds something where there is something to find."""
    case = case_of("requantize")
    kept = tuple(lookup for lookup in case.circuit.lookups if lookup.name != "remainder")
    weak = Case(case.model, evolve(case.circuit, lookups=kept), case.inputs, case.trace, case.witness)
    outputs = [np.array(case.outputs[0], dtype=np.int64)]
    cell = tuple(np.argwhere((outputs[0] > -20) & (outputs[0] < 29))[0])
    outputs[0][cell] += 1
    assert case.check(case.columns(), outputs)
    assert weak.check(weak.columns(), outputs) == []
