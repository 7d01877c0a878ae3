"""The prover: PROTOCOL.md, section 4, message by message."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from attrs import define, field

from lazai_core.api.compute import CancelToken
from lazai_core.api.proof import Statement

from . import scalars as f
from . import workspace
from .circuit import karray
from .circuit.check import has_challenge
from .circuit.functional import Sparse, Term, merged
from .circuit.karray import IntArray, KArray
from .circuit.layout import Layout
from .circuit.nodes import Broadcast, Node, Powers, Reshape, Sum
from .circuit.pullback import Context, ProductTerm, Pulled, at_chi
from .circuit.relations import Circuit
from .circuit.witness import Values, Witness, make_witness
from .claims import (
    CommittedClaims,
    LookupChallenges,
    OperandShare,
    by_commitment,
    equality_claims,
    equality_variables,
    joined,
    lookup_claims,
    merged_leaves,
    operand_claims,
    product_terms,
)
from .commitment import Shape
from .expansion import LANES, fill_commitment, fold_operand, narrow, padded_cells, residues, weights_over
from .field import DEGREE, Extension, P
from .fraction_levels import FractionLeaves
from .kernels.arrays import MONTGOMERY, Words, splat
from .kernels.fractions import denominators
from .kernels.operands import residue_words
from .kernels.windows import LOG_WINDOW
from .messages import Sender
from .model_key import StarkProvingKey, circuit_of, commitment_variables
from .opening import begin
from .products import Stack, folded_operand, prove_products, weight_cells
from .regions import IDENTITY_POWER, Leaves, Region, leaves_of
from .steps import PROCESSOR, Commitment, Steps
from .windows import WindowedWeights, windowed
from .workers import breathe, cancellable, split

WINDOWED_VARIABLES_MIN = 20
"""Shorter commitments are opened cell by cell."""


Progress = Callable[[str], None]


@define(kw_only=True)
class StageTimes:
    """Wall time of each stage in nanoseconds, in order, for people."""

    stages: dict[str, int] = field(factory=dict)
    _name: str = ""
    _started: int = 0

    def enter(self, name: str) -> None:
        """End the current stage and begin another."""
        self.leave()
        self._name, self._started = name, time.perf_counter_ns()

    def leave(self) -> None:
        """End the current stage."""
        if self._name:
            spent = time.perf_counter_ns() - self._started
            self.stages[self._name] = self.stages.get(self._name, 0) + spent
            self._name = ""


def prove(
    key: StarkProvingKey,
    statement: Statement,
    trace: Sequence[IntArray],
    cancel: CancelToken,
    times: StageTimes | None = None,
    progress: Progress | None = None,
    steps: Steps = PROCESSOR,
) -> bytes:
    """Proof bytes for a traced run (arrays by value index), the same wherever `steps`, which made the key, works.

    Raises Cancelled, UnsupportedProgram, ComputeError when a device fails.
    """
    times = times or StageTimes()

    def stage(name: str) -> None:
        cancel.raise_if_cancelled()
        times.enter(name)
        if progress is not None:
            progress(name)

    with cancellable(cancel.raise_if_cancelled):
        proof = _staged_proof(key, statement, trace, steps, stage)
    times.leave()
    return proof


def _staged_proof(
    key: StarkProvingKey, statement: Statement, trace: Sequence[IntArray], steps: Steps, stage: Progress
) -> bytes:
    stage("circuit")
    circuit = circuit_of(key.program, int.from_bytes(statement.input[:4], "big"), key.weight_key)
    leaves = leaves_of(circuit)
    stage("witness")
    witness = make_witness(circuit, key.constants, trace)
    channel = Sender(begin(key.weight_key.parameters, key.verifying_key, statement))
    stage("commit")
    arrays = dict(enumerate(witness.columns))
    cells = fill_commitment(circuit.activations, commitment_variables(circuit.activations), arrays)
    committed = steps.commit(cells, key.weight_key.parameters.activations)
    channel.send_digests("activations", committed.cap)
    run = _Run(circuit, leaves, witness, channel, key, committed, steps)
    stage("lookups")
    run.lookups()
    stage("products")
    run.products()
    stage("open activations")
    run.open_activations()
    stage("open weights")
    run.open_weights()
    return channel.proof()


class _Run:
    def __init__(
        self,
        circuit: Circuit,
        leaves: Leaves,
        witness: Witness,
        channel: Sender,
        key: StarkProvingKey,
        committed: Commitment,
        steps: Steps,
    ) -> None:
        self.circuit, self.leaves, self.channel, self.key, self.committed = circuit, leaves, channel, key, committed
        self.steps = steps
        self.values = witness.values
        chi = channel.challenge("chi")
        alpha, beta = channel.challenges("lookup", 2)
        self.context = Context(chi=chi, values=witness.values)
        self.lookup_challenges = LookupChallenges(alpha=alpha, beta=beta)
        self.first, self.second = Pulled(), Pulled()

    def lookups(self) -> None:
        fractions = leaf_fractions(self.leaves, self.lookup_challenges, self.context)
        claim = self.steps.prove_zero_sum(fractions, self.channel)
        mix, equality_mix = self.channel.challenges("claims", 2)
        point = self.channel.challenges("equalities", equality_variables(self.circuit))
        self.target = lookup_claims(self.leaves, self.lookup_challenges, claim, mix, self.context, self.first)
        equality_claims(self.circuit, point, equality_mix, self.context, self.first)

    def products(self) -> None:
        self.first_claims = by_commitment(merged_leaves(self.first))
        products = product_terms(self.first)
        stacks = make_stacks(products, self.context)
        # The claims add up to the target, so A's share is what is left: its functionals need not be evaluated.
        weight_sum = claimed_sum(self.first_claims[1], self.values)
        known = f.sum_all([self.first.value, weight_sum, *(stack.delayed for stack in stacks)])
        self.channel.send_elements("sums", [f.subtract(self.target, known), weight_sum])
        point, operands = prove_products(products, stacks, self.channel)
        mix = self.channel.challenge("operands")
        shares: list[OperandShare] = []
        operand_claims(products, point, operands, mix, self.context, self.second, shares)
        assert not self.second.products, "operands of products are linear forms"
        self.second_claims = by_commitment(merged_leaves(self.second))
        total = f.sum_all([activation_share(share, self.values) for share in shares])
        self.channel.send_elements("operand sum", [total])
        self.join = self.channel.challenge("join")

    def open_activations(self) -> None:
        claims = joined(self.first_claims[0], self.second_claims[0], self.join)
        weights = opening_weights(self.circuit.activations, self.committed.shape, claims)
        self.steps.open_weighted(self.committed, weights, self.channel)

    def open_weights(self) -> None:
        claims = joined(self.first_claims[1], self.second_claims[1], self.join)
        if not claims.terms:
            return
        committed = self.key.committed
        weights = opening_weights(self.circuit.weights, committed.shape, claims)
        self.steps.open_weighted(committed, weights, self.channel)


def opening_weights(layout: Layout, shape: Shape, claims: CommittedClaims) -> Words | WindowedWeights:
    """The functionals' weights, in short where that pays."""
    if shape.variables < WINDOWED_VARIABLES_MIN or shape.log_rows < LOG_WINDOW:
        return weights_over(layout, shape.variables, claims)
    return windowed(layout, shape.variables, shape.log_columns, claims)


def claimed_sum(claims: CommittedClaims, values: Values) -> Extension:
    """The functionals' value on the prover's tensors."""
    return f.sum_all([apply_term(term, values.array(leaf)) for leaf, term in claims.terms])


def activation_share(share: OperandShare, values: Values) -> Extension:
    """What columns of A contribute to an operand's value."""
    claims, others = by_commitment(share.leaves)
    return claimed_sum(claims, values) if others.terms else share.value


def apply_term(term: Term, array: IntArray) -> Extension:
    """One functional on one integer tensor: the largest factor's axes are folded away first."""
    wide = [axis for axis, extent in enumerate(array.shape) if extent > 1]
    if not wide:
        return f.scale(term.coefficient, int(array.reshape(-1)[0]) % P)
    first, *others = sorted(term.factors, key=lambda factor: -factor.count)
    kept = [axis for axis in wide if axis not in first.axes]
    squeezed = array.reshape([array.shape[axis] for axis in wide])
    places = {axis: place for place, axis in enumerate(wide)}
    if isinstance(first, Sparse) and len(first.axes) == 1:
        squeezed, weights = squeezed.take(first.indices, axis=places[first.axes[0]]), first.weights
    else:
        weights = first.dense()
    folded = fold_operand(squeezed, [places[a] for a in first.axes], [places[a] for a in kept], weights)
    if not kept:
        return f.multiply(term.coefficient, karray.element(folded.reshape(DEGREE)))
    rest = merged(others, kept, [array.shape[axis] for axis in kept])
    return f.multiply(term.coefficient, karray.element(karray.dot(folded, rest)))


def values_in_extension(node: Node, context: Context) -> tuple[KArray | IntArray, bool]:
    """A linear form's values: integers, or elements of K where chi is in the form."""
    if not has_challenge(node):
        return context.values.array(node), False
    return _at_chi(node, context), True


def _at_chi(node: Node, context: Context) -> KArray:
    if not has_challenge(node):
        return karray.lift(np.asarray(context.values.wide(node) % P, dtype=np.int64))
    if isinstance(node, Powers):
        inner = _at_chi(node.source, context)
        weights = karray.powers(context.chi, node.source.shape[node.axis])
        weights = weights.reshape([-1 if i == node.axis else 1 for i in range(inner.ndim - 1)] + [DEGREE])
        return karray.total(karray.multiply(inner, weights), (node.axis,))
    if isinstance(node, Reshape):
        return _at_chi(node.source, context).reshape(*node.shape, DEGREE)
    if isinstance(node, Broadcast):
        return np.broadcast_to(_at_chi(node.source, context), (*node.shape, DEGREE))
    assert isinstance(node, Sum), type(node).__name__
    total = np.zeros((*node.shape, DEGREE), dtype=np.int64) + karray.scalar(at_chi(node.constant, context.chi))
    for coefficients, part in node.parts:
        factor = karray.scalar(at_chi(coefficients, context.chi))
        total = karray.add(total, karray.multiply(_at_chi(part, context), factor))
    return total


def make_stacks(products: Sequence[ProductTerm], context: Context) -> list[Stack]:
    """Fold all operands and stack the products by their number of variables."""
    groups: dict[int, list[int]] = {}
    for index, product in enumerate(products):
        groups.setdefault(product.variables, []).append(index)
    stacks = []
    for variables, members in sorted(groups.items()):
        cells = []
        for member in members:
            breathe()
            product = products[member]
            left, left_wide = values_in_extension(product.node.left, context)
            right, right_wide = values_in_extension(product.node.right, context)
            cells.append(
                (
                    weight_cells(product),
                    folded_operand(product, "left", left, left_wide),
                    folded_operand(product, "right", right, right_wide),
                )
            )
        stacks.append(Stack.of(variables, members, cells))
    return stacks


def leaf_fractions(leaves: Leaves, challenges: LookupChallenges, context: Context) -> FractionLeaves:
    """Numerators and denominators of the leaves in regions."""
    used = sum(1 << region.piece.bits for region in leaves.regions)
    blocks = max(1, -(-used // LANES))
    p = workspace.room((blocks * LANES,))
    q = workspace.room((blocks, DEGREE, LANES))
    p[used:], q[-1] = 0, 0
    q[-1, 0] = MONTGOMERY
    factors = np.stack([splat(f.power(challenges.alpha, index)) for index in range(IDENTITY_POWER)])
    constants = {region.identity: splat(challenges.constant(region.identity)) for region in leaves.regions}
    for region in leaves.regions:
        size = 1 << region.piece.bits
        room = max(size, LANES)
        forms = np.zeros((len(region.forms), room), dtype=np.uint32)
        for form, row in zip(region.forms, forms, strict=True):
            residue_words(narrow(padded_cells(context.values.wide(form), region.piece)), row)
        p[region.offset : region.offset + size] = _numerators(region, context)
        if size < LANES:
            out = np.empty((1, DEGREE, LANES), dtype=np.uint32)
            denominators(constants[region.identity], factors, forms, out, 0, 1)
            block, lane = divmod(region.offset, LANES)
            q[block, :, lane : lane + size] = out[0, :, :size]
            continue
        target = q[region.offset // LANES : (region.offset + size) // LANES]

        def run(
            begin: int, end: int, c: Words = constants[region.identity], v: Words = forms, o: Words = target
        ) -> None:
            denominators(c, factors, v, o, begin, end)

        split(len(target), run)
    return FractionLeaves(variables=leaves.variables, numerators=p, denominators=q)


def _numerators(region: Region, context: Context) -> Words:
    """One on true cells of a lookup, minus the multiplicity on a table's rows, zero in the padding."""
    if region.multiplicity is None:
        true = padded_cells(np.ones(region.shape, dtype=np.int8), region.piece)
        return true.astype(np.uint32) * np.uint32(MONTGOMERY)
    counts = context.values.columns[region.multiplicity.column]
    return residues(padded_cells(-counts.astype(np.int64), region.piece))
