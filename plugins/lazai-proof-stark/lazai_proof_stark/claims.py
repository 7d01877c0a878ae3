"""What both sides derive from challenges: functionals of leaves and products, and their total value.

Stage one collects the lookups' leaf claim and the equalities; stage two the operands of the products that stage one
needs. Prover and verifier call the same functions, so neither can leave anything out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from attrs import frozen

from . import scalars as f
from .circuit import karray
from .circuit.functional import Dense, Eq, Factor, Ones, Placed, Sparse, Term, relabel
from .circuit.karray import IntArray
from .circuit.layout import Block, Piece, prefixes, restrict_to
from .circuit.nodes import Committed, Constant, Shape
from .circuit.pullback import Context, ProductTerm, Pulled, product_term, pull_back, spread
from .circuit.relations import Circuit
from .field import Extension
from .fractions import LeafClaim
from .regions import IDENTITY_POWER, Leaves

NAMED_BY_BYTES_MAX = 1 << 16


@frozen(kw_only=True, eq=False)
class LookupChallenges:
    """alpha joins the forms of a tuple, beta is the point of the logarithmic derivative."""

    alpha: Extension
    beta: Extension

    def constant(self, identity: int) -> Extension:
        """beta - alpha^IDENTITY_POWER identity: the denominator of the all-zero tuple."""
        return f.subtract(self.beta, f.scale(f.power(self.alpha, IDENTITY_POWER), identity))


class Points:
    """Evaluation functionals of pieces at one point, made once for each piece, so that equal ones are shared."""

    def __init__(self, point: Sequence[Extension]) -> None:
        self._point = tuple(point)
        self._terms: dict[tuple[Shape, int], tuple[Piece, Term]] = {}
        self._masks: dict[int, Extension] = {}

    def term(self, shape: Shape, piece: Piece) -> Term:
        """The piece's multilinear extension (zero in the padding) at the point's low coordinates."""
        # Pieces are told apart by identity, which is cheaper than by value: the entry keeps them alive.
        found = self._terms.get((shape, id(piece)))
        if found is None:
            term = spread(piece.test(self._point[: piece.bits]), shape, piece.ranges)
            found = self._terms[shape, id(piece)] = (piece, term)
        return found[1]

    def mask(self, shape: Shape, piece: Piece) -> Extension:
        """The extension of the indicator of true cells."""
        term = self.term(shape, piece)
        if id(term) not in self._masks:
            self._masks[id(term)] = term.sum()
        return self._masks[id(term)]


def lookup_claims(
    leaves: Leaves, challenges: LookupChallenges, claim: LeafClaim, mix: Extension, context: Context, into: Pulled
) -> Extension:
    """Add the forms of numerator + mix * denominator at the claim's point; gives what they must add up to."""
    points = Points(claim.point)
    target = f.add(claim.numerator, f.multiply(mix, claim.denominator))
    covered = f.ZERO
    constants = {identity: challenges.constant(identity) for identity in {r.identity for r in leaves.regions}}
    for region, prefix in zip(leaves.regions, leaves.prefixes(claim.point), strict=True):
        covered = f.add(covered, prefix)
        term = points.term(region.shape, region.piece)
        denominator = f.multiply(mix, prefix)
        into.add_value(f.multiply(denominator, constants[region.identity]))
        power = f.negate(denominator)
        for form in region.forms:
            pull_back(form, term.scaled(power), context, into)
            power = f.multiply(power, challenges.alpha)
        if region.multiplicity is None:
            into.add_value(f.multiply(prefix, points.mask(region.shape, region.piece)))
        else:
            pull_back(region.multiplicity, term.scaled(f.negate(prefix)), context, into)
    into.add_value(f.multiply(mix, f.subtract(f.ONE, covered)))
    return target


def equality_variables(circuit: Circuit) -> int:
    """Coordinates of the point at which all equalities are tested."""
    return max((equality.piece.bits for equality in circuit.equalities), default=0)


def equality_claims(
    circuit: Circuit, point: Sequence[Extension], mix: Extension, context: Context, into: Pulled
) -> None:
    """Add mix, mix^2, ... times each equality's form at the point; they must add up to zero."""
    points = Points(point)
    power = mix
    for equality in circuit.equalities:
        term = points.term(equality.form.shape, equality.piece)
        pull_back(equality.form, term.scaled(power), context, into)
        power = f.multiply(power, mix)


def factor_key(factor: Factor) -> tuple[object, ...]:
    """Equal for factors of equal entries that are given in the same way."""
    if isinstance(factor, Eq):
        return ("eq", factor.axes, factor.extents, factor.point, factor.start)
    if isinstance(factor, Ones):
        return ("ones", factor.axes, factor.extents)
    if isinstance(factor, Dense):
        return ("dense", factor.axes, factor.extents, _name_of(factor.values))
    if isinstance(factor, Placed):
        return ("placed", factor.extents, factor.start, factor_key(relabel(factor.inner, factor.axes)))
    assert isinstance(factor, Sparse)
    return ("sparse", factor.axes, factor.extents, _name_of(factor.indices), _name_of(factor.weights))


def _name_of(entries: IntArray) -> bytes:
    """Equal for equal arrays of one shape; long ones are not copied."""
    if entries.nbytes <= NAMED_BY_BYTES_MAX:
        return entries.tobytes()
    return hashlib.sha256(np.ascontiguousarray(entries).data).digest()


def _term_key(term: Term) -> frozenset[tuple[object, ...]]:
    return frozenset(factor_key(factor) for factor in term.factors)


Leaf = Committed | Constant


def merged_leaves(pulled: Pulled) -> list[tuple[Leaf, Term]]:
    """The leaves' functionals, equal ones added up, in order of first appearance."""
    found: dict[tuple[object, ...], tuple[Leaf, Term]] = {}
    for leaf, term in pulled.leaves:
        name = ("column", leaf.column) if isinstance(leaf, Committed) else ("constant", leaf.index)
        key = (*name, _term_key(term))
        if key in found:
            other = found[key][1]
            total = f.add(other.coefficient, term.coefficient)
            found[key] = (leaf, Term(coefficient=total, factors=other.factors))
        else:
            found[key] = (leaf, term)
    return list(found.values())


def product_terms(pulled: Pulled) -> list[ProductTerm]:
    """The products' functionals, in order; none are added up, as each is a message of the proof."""
    return [product_term(node, term) for node, term in pulled.products]


@frozen(kw_only=True, eq=False)
class OperandShare:
    """One operand: its mixed value less the public part, and the leaves that add up to that."""

    value: Extension
    leaves: tuple[tuple[Leaf, Term], ...]


def operand_claims(
    products: Sequence[ProductTerm],
    point: Sequence[Extension],
    values: Sequence[tuple[Extension, Extension]],
    mix: Extension,
    context: Context,
    into: Pulled,
    shares: list[OperandShare] | None = None,
) -> Extension:
    """Add both operands of every product at the sumcheck's point; gives what they must add up to.

    A prover also asks for each operand's share.
    """
    target, power = f.ZERO, f.ONE
    for product, (left, right) in zip(products, values, strict=True):
        part = tuple(point[: product.variables])
        for node, term, value in (
            (product.node.left, product.left_term(part), left),
            (product.node.right, product.right_term(part), right),
        ):
            first, public = len(into.leaves), into.value
            pull_back(node, term.scaled(power), context, into)
            mixed = f.multiply(power, value)
            target = f.add(target, mixed)
            if shares is not None:
                rest = f.subtract(mixed, f.subtract(into.value, public))
                shares.append(OperandShare(value=rest, leaves=tuple(into.leaves[first:])))
            power = f.multiply(power, mix)
    return target


@frozen(kw_only=True, eq=False)
class CommittedClaims:
    """Functionals of one commitment's blocks, with a value to be shown by an opening."""

    terms: tuple[tuple[Leaf, Term], ...]

    def weight_at(self, circuit: Circuit, point: Sequence[Extension]) -> Extension:
        """The weights' multilinear extension over the whole commitment."""
        blocks: list[Block] = []
        weights: list[Extension] = []
        known: dict[tuple[object, ...], Extension] = {}
        for leaf, term in self.terms:
            layout = circuit.activations if isinstance(leaf, Committed) else circuit.weights
            owner = leaf.column if isinstance(leaf, Committed) else leaf.index
            name = (leaf.shape, *map(factor_key, term.factors))
            for block in layout.of(owner):
                key = (*name, id(block.piece))
                value = known.get(key)
                if value is None:
                    part = restrict_to(Term(coefficient=f.ONE, factors=term.factors), leaf.shape, block.piece.ranges)
                    value = known[key] = block.piece.evaluate(part, point[: block.piece.bits])
                if value != f.ZERO:
                    blocks.append(block)
                    weights.append(f.multiply(term.coefficient, value))
        sides = prefixes([block.offset for block in blocks], [block.piece.bits for block in blocks], point)
        return karray.element(karray.dot(sides, karray.point_array(weights)))


def by_commitment(leaves: Sequence[tuple[Leaf, Term]]) -> tuple[CommittedClaims, CommittedClaims]:
    """Functionals of A and of W."""
    activations = tuple(entry for entry in leaves if isinstance(entry[0], Committed))
    weights = tuple(entry for entry in leaves if isinstance(entry[0], Constant))
    return CommittedClaims(terms=activations), CommittedClaims(terms=weights)


def joined(first: CommittedClaims, second: CommittedClaims, mix: Extension) -> CommittedClaims:
    """first + mix * second."""
    scaled = tuple((leaf, term.scaled(mix)) for leaf, term in second.terms)
    return CommittedClaims(terms=(*first.terms, *scaled))
