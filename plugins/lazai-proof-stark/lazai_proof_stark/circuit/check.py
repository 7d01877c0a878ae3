"""The oracle: every relation of a circuit on a witness, over the integers, and its claims at random points by force.

`violations` computes all forms from the leaves alone (columns and public tensors), so a wrong column is found wherever
it makes a relation fail. `check_claims` holds the pull-back against direct evaluation of multilinear extensions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import numpy as np
from attrs import frozen

from .. import scalars as base_field
from ..field import DEGREE, Extension, P
from . import karray
from .functional import Eq, Factor, Term
from .karray import IntArray
from .layout import Block, Layout, Piece, restrict_to
from .nodes import Broadcast, Committed, Constant, Node, Powers, Product, Reshape, Sum
from .pullback import Context, ProductTerm, Pulled, at_chi, product_term, pull_back, spread
from .relations import Circuit, Table
from .witness import Values, locate

CHI_POINTS = tuple(range(-20, 21))


@frozen(kw_only=True)
class Violation:
    """One failing cell of one relation."""

    op: int
    relation: str
    cell: tuple[int, ...]
    detail: str


def leaf_values(
    inputs: Sequence[IntArray],
    outputs: Sequence[IntArray],
    constants: Sequence[IntArray],
    columns: Sequence[IntArray],
    chi: int | None = None,
    exact: bool = False,
) -> Values:
    """Values with nothing preset: every form comes from its leaves. `exact` for columns that may hold anything."""
    return Values(inputs, outputs, constants, columns, chi, exact)


def violations(circuit: Circuit, values: Values) -> Iterator[Violation]:
    """Every violated relation, each with its first failing cell. Forms are compared mod p, as the proof does."""
    counts = [np.zeros(table.rows, dtype=np.int64) for table in circuit.tables]
    tables = [[_mod(values.wide(column)) for column in table.columns] for table in circuit.tables]
    for lookup in circuit.lookups:
        tuples = [_mod(values.wide(form)) for form in lookup.forms]
        rows, bad = _rows_of(circuit.tables[lookup.table], tables[lookup.table], tuples)
        if bad.any():
            cell = tuple(int(i) for i in np.argwhere(bad)[0])
            entry = tuple(int(t[cell]) for t in tuples)
            name = f"lookup {lookup.name} in {circuit.tables[lookup.table].name}"
            yield Violation(op=lookup.op, relation=name, cell=cell, detail=f"no row {entry}")
        counts[lookup.table] += np.bincount(rows[~bad].reshape(-1), minlength=circuit.tables[lookup.table].rows)
    yield from _multiplicities(circuit, values, counts)
    yield from _equalities(circuit, values)


def _mod(array: IntArray) -> IntArray:
    """The residue of the smallest absolute value."""
    residue = np.asarray((array if array.dtype == object else array.astype(np.int64)) % P, dtype=np.int64)
    return np.asarray(np.where(residue > P // 2, residue - P, residue))


def _rows_of(table: Table, columns: Sequence[IntArray], tuples: Sequence[IntArray]) -> tuple[IntArray, Any]:
    rows = np.asarray(locate(table, tuples), dtype=np.int64)
    bad: Any = (rows < 0) | (rows >= table.rows)
    rows = np.where(bad, 0, rows)
    for column, entries in zip(columns, tuples, strict=True):
        bad = bad | (column[rows] != entries)
    return rows, bad


def _multiplicities(circuit: Circuit, values: Values, counts: Sequence[IntArray]) -> Iterator[Violation]:
    for table, count in zip(circuit.tables, counts, strict=True):
        wrong = np.argwhere((values.columns[table.multiplicity] - count) % P)
        # Equal rows could share their count in any way; `locate` fixes which one has it.
        if len(wrong):
            row = int(wrong[0][0])
            name = f"multiplicity of {table.name}"
            yield Violation(op=-1, relation=name, cell=(row,), detail=f"counted {count[row]}")


def has_challenge(node: Node) -> bool:
    """Whether chi is in a form."""
    if isinstance(node, Powers):
        return True
    if isinstance(node, Sum):
        inside = any(len(c) > 1 or has_challenge(part) for c, part in node.parts)
        return inside or len(node.constant) > 1
    if isinstance(node, Product):
        return has_challenge(node.left) or has_challenge(node.right)
    source = getattr(node, "source", None)
    parts = getattr(node, "parts", ())
    return (isinstance(source, Node) and has_challenge(source)) or any(has_challenge(part) for part in parts)


def _equalities(circuit: Circuit, values: Values) -> Iterator[Violation]:
    for equality in circuit.equalities:
        # A polynomial of degree below 40 that is zero (mod p) at 41 points is zero.
        for chi in CHI_POINTS if has_challenge(equality.form) else (0,):
            at = Values(values.inputs, values.outputs, values.constants, values.columns, chi, values.exact)
            wrong = np.argwhere(_mod(at.wide(equality.form)))
            if len(wrong):
                cell = tuple(int(i) for i in wrong[0])
                yield Violation(op=equality.op, relation=f"equality {equality.name}", cell=cell, detail=f"chi = {chi}")
                break


def random_element(random: Random) -> Extension:
    """A random element of K."""
    a, b, c, d, e = (random.randrange(P) for _ in range(DEGREE))
    return (a, b, c, d, e)


def _point(random: Random, count: int) -> list[Extension]:
    return [random_element(random) for _ in range(count)]


def padded_extension(piece: Piece, values: IntArray, point: Sequence[Extension]) -> Extension:
    """The multilinear extension of the piece's cells (zero in the padding) at a point, by definition."""
    index = tuple(slice(start, start + length) for start, length in piece.ranges)
    box = values[index]
    grid = np.zeros((1, DEGREE), dtype=np.int64) + karray.scalar((1, 0, 0, 0, 0))
    for group, part in zip(piece.groups, piece.coordinates(point), strict=True):
        count = int(np.prod([piece.extents[axis] for axis in group.axes], dtype=np.int64))
        weights = karray.eq_vector(part, count)
        grid = karray.multiply(grid[:, None], weights[None]).reshape(-1, DEGREE)
    # Groups are runs of axes in order, so the grid is row-major over the box.
    return karray.element(karray.weighted(_mod(np.asarray(box)), grid))


def resolve(circuit: Circuit, pulled: Pulled, context: Context, witness: Values, random: Random) -> Extension:
    """The value of a pulled-back functional: products by force and through their operands' claims, leaves by blocks."""
    total = pulled.value
    for leaf, term in pulled.leaves:
        total = base_field.add(total, leaf_claim(circuit, leaf, term, witness, random))
    for node, term in pulled.products:
        total = base_field.add(total, _product_value(circuit, product_term(node, term), context, witness, random))
    return total


def leaf_claim(circuit: Circuit, leaf: Committed | Constant, term: Term, witness: Values, random: Random) -> Extension:
    """The sum over the leaf's blocks; each block's functional is also evaluated as a multilinear polynomial."""
    values, layout = witness.array(leaf), _layout(circuit, leaf)
    owner = leaf.column if isinstance(leaf, Committed) else leaf.index
    total = base_field.ZERO
    for block in layout.of(owner):
        part = restrict_to(term, leaf.shape, block.piece.ranges)
        index = tuple(slice(start, start + length) for start, length in block.piece.ranges)
        total = base_field.add(total, part.apply(np.asarray(values[index])))
        _check_weights(block, part, random)
    return total


def _layout(circuit: Circuit, leaf: Committed | Constant) -> Layout:
    return circuit.activations if isinstance(leaf, Committed) else circuit.weights


def _check_weights(block: Block, part: Term, random: Random) -> None:
    point = _point(random, block.piece.bits)
    weights = part.expand(block.piece.extents)
    direct = base_field.ZERO
    test = block.piece.test(point).expand(block.piece.extents)
    direct = karray.element(karray.dot(weights, test))
    assert block.piece.evaluate(part, point) == direct, "a functional's evaluation differs from its expansion"


def _product_value(circuit: Circuit, part: ProductTerm, context: Context, witness: Values, random: Random) -> Extension:
    sides = {}
    for side, node in (("left", part.node.left), ("right", part.node.right)):
        values = _at_chi(node, context, witness)
        sides[side] = _fold(part, side, values)
    weights = Term(coefficient=part.coefficient, factors=part.all_weights()).expand(part.extents)
    total = karray.element(karray.dot(karray.multiply(sides["left"], sides["right"]), weights))
    point = _point(random, part.variables)
    for side, node, term in (
        ("left", part.node.left, part.left_term(point)),
        ("right", part.node.right, part.right_term(point)),
    ):
        claimed = resolve(circuit, pull_back(node, term, context), context, witness, random)
        test = Term(coefficient=base_field.ONE, factors=_eq_factors(part, point)).expand(part.extents)
        assert claimed == karray.element(karray.dot(sides[side], test)), f"claims of the {side} operand differ"
    _check_product_weight(part, point)
    return total


def _check_product_weight(part: ProductTerm, point: Sequence[Extension]) -> None:
    covered = {axis for factor in part.weights for axis in factor.axes}
    weights = Term(coefficient=part.coefficient, factors=part.all_weights()).expand(part.extents)
    test = Term(coefficient=base_field.ONE, factors=_eq_factors(part, point)).expand(part.extents)
    if all(axis in covered for axis, extent in enumerate(part.extents) if extent > 1):
        assert part.weight_at(point) == karray.element(karray.dot(weights, test)), "a product's weight differs"


def _eq_factors(part: ProductTerm, point: Sequence[Extension]) -> tuple[Factor, ...]:
    found: list[Factor] = []
    for axis, (extent, coordinates) in enumerate(zip(part.extents, part.coordinates(point), strict=True)):
        if extent > 1:
            found.append(Eq(axes=(axis,), extents=(extent,), point=coordinates))
    return tuple(found)


def _at_chi(node: Node, context: Context, witness: Values) -> karray.KArray:
    """A linear form's values in K."""
    if not has_challenge(node):
        return karray.lift(_mod(witness.wide(node)))
    if isinstance(node, Powers):
        inner = _at_chi(node.source, context, witness)
        weights = karray.powers(context.chi, node.source.shape[node.axis])
        weights = weights.reshape([-1 if i == node.axis else 1 for i in range(inner.ndim - 1)] + [DEGREE])
        return karray.total(karray.multiply(inner, weights), (node.axis,))
    if isinstance(node, Reshape):
        return _at_chi(node.source, context, witness).reshape(*node.shape, DEGREE)
    if isinstance(node, Broadcast):
        return np.broadcast_to(_at_chi(node.source, context, witness), (*node.shape, DEGREE))
    assert isinstance(node, Sum), type(node).__name__
    total = np.zeros((*node.shape, DEGREE), dtype=np.int64) + karray.scalar(at_chi(node.constant, context.chi))
    for coefficients, part in node.parts:
        factor = karray.scalar(at_chi(coefficients, context.chi))
        total = karray.add(total, karray.multiply(_at_chi(part, context, witness), factor))
    return total


def _fold(part: ProductTerm, side: str, values: karray.KArray) -> karray.KArray:
    """`ProductTerm.fold` for values in K, component by component."""
    result = np.zeros((*part.extents, DEGREE), dtype=np.int64)
    for power in range(DEGREE):
        plane = values[..., power]
        if not plane.any():
            continue
        unit = [0] * DEGREE
        unit[power] = 1
        folded = part.fold(side, plane)
        result = karray.add(result, karray.multiply(folded, np.array(unit, dtype=np.int64)))
    return result


def check_claims(circuit: Circuit, witness: Values, seed: int = 0) -> int:
    """Hold every form's claims at a random point against its own extension; returns the number of leaf claims."""
    random = Random(seed)
    context = Context(chi=random_element(random), values=witness)
    count = 0
    for lookup in circuit.lookups:
        for piece in lookup.pieces:
            point = _point(random, piece.bits)
            for form in lookup.forms:
                pulled = pull_back(form, whole_term(lookup.shape, piece, point), context)
                count += len(pulled.leaves)
                direct = padded_extension(piece, witness.wide(form), point)
                found = resolve(circuit, pulled, context, witness, random)
                assert found == direct, f"op {lookup.op}: claims of {lookup.name} differ from the form"
    for equality in circuit.equalities:
        point = _point(random, equality.piece.bits)
        pulled = pull_back(equality.form, equality.piece.test(point), context)
        count += len(pulled.leaves)
        found = resolve(circuit, pulled, context, witness, random)
        assert found == base_field.ZERO, f"op {equality.op}: equality {equality.name} is not zero"
    for table in circuit.tables:
        for column in table.columns:
            piece = circuit.columns[table.multiplicity].pieces[0]
            point = _point(random, piece.bits)
            pulled = pull_back(column, whole_term((table.rows,), piece, point), context)
            direct = padded_extension(piece, witness.wide(column), point)
            assert resolve(circuit, pulled, context, witness, random) == direct, f"claims of table {table.name} differ"
    return count


def whole_term(shape: tuple[int, ...], piece: Piece, point: Sequence[Extension]) -> Term:
    """A piece's evaluation at a point as a functional of the whole tensor."""
    return spread(piece.test(point), shape, piece.ranges)
