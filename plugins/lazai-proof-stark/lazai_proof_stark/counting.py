"""The price of a circuit: its functionals are pulled back once, as verifying does it, and counted before each step.

Challenges are fixed numbers: what a verifier does depends on the circuit alone. The count is made when a circuit is
compiled, and kept with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from lazai_core.api.errors import UnsupportedProgram
from lazai_core.api.program import Program

from .circuit.compile import compile_circuit
from .circuit.functional import Term
from .circuit.karray import IntArray
from .circuit.layout import axis_parts, restrict
from .circuit.meter import GAS_BLOCK, GAS_PUBLIC_BYTE, GAS_REGION
from .circuit.nodes import Committed, Node
from .circuit.pullback import Context, Pulled
from .circuit.relations import Circuit, PublicData, Sizes
from .circuit.witness import Values
from .circuit.work import FormMeter
from .claims import (
    CommittedClaims,
    LookupChallenges,
    by_commitment,
    equality_claims,
    equality_variables,
    factor_key,
    lookup_claims,
    merged_leaves,
    operand_claims,
    product_terms,
)
from .field import DEGREE, Extension, P
from .fractions import LeafClaim
from .parameters import ParameterSet
from .products import rounds_of
from .regions import leaves_of
from .security import require_sizes, sizes_of

MARGIN = 16
"""A program with a dimension states a sixteenth more than the most that was counted: not every value is counted."""


class _NoValues(Values):
    """Zeros in every shape: indices of public rows have values, and none of them matters for the count."""

    def __init__(self) -> None:
        super().__init__((), ())

    def array(self, node: Node) -> IntArray:
        """Zeros that take no room."""
        return np.broadcast_to(np.zeros(1, dtype=np.int64), node.shape)


def _challenges(name: str, count: int) -> list[Extension]:
    """Fixed elements of K, all different."""
    found: list[Extension] = []
    for index in range(count):
        data = hashlib.blake2b(f"{name} {index}".encode(), digest_size=8 * DEGREE).digest()
        a, b, c, d, e = (int.from_bytes(data[8 * i : 8 * i + 8], "big") % P for i in range(DEGREE))
        found.append((a, b, c, d, e))
    return found


def count_work(circuit: Circuit, meter: FormMeter) -> None:
    """Count what the verifier does with the circuit's forms. Raises UnsupportedProgram beyond the meter's limit."""
    chi, alpha, beta, mix, equality_mix, operand_mix = _challenges("mix", 6)
    context = Context(chi=chi, values=_NoValues(), count=meter.step)
    leaves = leaves_of(circuit)
    meter.charge(GAS_REGION * len(leaves.regions))
    numerator, denominator = _challenges("claim", 2)
    point = tuple(_challenges("leaves", leaves.variables))
    claim = LeafClaim(point=point, numerator=numerator, denominator=denominator)
    first, second = Pulled(), Pulled()
    lookup_claims(leaves, LookupChallenges(alpha=alpha, beta=beta), claim, mix, context, first)
    equality_claims(circuit, _challenges("equalities", equality_variables(circuit)), equality_mix, context, first)
    products = product_terms(first)
    for product in products:
        covered = {axis for factor in product.weights for axis in factor.axes}
        groups = [group for group in product.groups if group.axes[0] in covered]
        meter.evaluation(Term(coefficient=product.coefficient, factors=product.weights), product.extents, groups)
    operands = list(zip(_challenges("left", len(products)), _challenges("right", len(products)), strict=True))
    operand_claims(products, _challenges("products", rounds_of(products)), operands, operand_mix, context, second)
    for pulled in (first, second):
        for claims in by_commitment(merged_leaves(pulled)):
            _count_openings(circuit, claims, meter)


def _count_openings(circuit: Circuit, claims: CommittedClaims, meter: FormMeter) -> None:
    """What `CommittedClaims.weight_at` does."""
    known: set[tuple[object, ...]] = set()
    for leaf, term in claims.terms:
        layout = circuit.activations if isinstance(leaf, Committed) else circuit.weights
        owner = leaf.column if isinstance(leaf, Committed) else leaf.index
        name = (leaf.shape, *map(factor_key, term.factors))
        for block in layout.of(owner):
            key = (*name, id(block.piece))
            if key in known:
                continue
            known.add(key)
            meter.charge(GAS_BLOCK)
            part = term
            for axis, (start, length) in enumerate(block.piece.ranges):
                meter.restriction(part, axis, start, length, leaf.shape[axis])
                part = restrict(part, axis, start, length, leaf.shape[axis])
                if part.coefficient == (0,) * DEGREE:
                    break
            else:
                meter.evaluation(part, block.piece.extents, block.piece.groups)


def counted_circuit(
    program: Program,
    dim_value: int,
    public: PublicData,
    sizes: Sizes,
    parameters: ParameterSet,
    limit: int | None = None,
) -> tuple[Circuit, int]:
    """A circuit within its set's sizes, and its price. Raises UnsupportedProgram, also beyond `limit`."""
    bound = program.bind(dim_value)
    meter = FormMeter(limit)
    meter.charge(GAS_PUBLIC_BYTE * (bound.input_bytes + bound.output_bytes))
    circuit = compile_circuit(bound, public, sizes, meter)
    require_sizes(sizes_of(circuit), parameters)
    count_work(circuit, meter)
    return circuit, meter.gas


def price_of(program: Program, public: PublicData, sizes: Sizes, parameters: ParameterSet) -> int:
    """What a key states: the count at the largest value of the dimension that can be proved. Raises UnsupportedProgram.

    Circuits of smaller values may be cut into more pieces, so the largest that is cut into two and three counts too.
    """

    def count(value: int) -> int:
        return counted_circuit(program, value, public, sizes, parameters)[1]

    if program.dim is None:
        return count(0)
    largest = program.dim.maximum
    while True:
        try:
            most = max(count(value) for value in _worst(program.dim.minimum, largest))
            return most + most // MARGIN
        except UnsupportedProgram:
            if largest == program.dim.minimum:
                raise
            largest = max(program.dim.minimum, largest // 2)


def _worst(smallest: int, largest: int) -> Sequence[int]:
    """`largest`, and the largest values not above it of which an axis is cut into two and into three."""
    found = {axis_parts(value): value for value in range(max(smallest, largest // 2), largest + 1)}
    return sorted({largest, *found.values()})
