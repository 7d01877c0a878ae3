"""One batched sumcheck for all products: sum over terms and cells of weight * left * right.

Terms with equally many variables are stacked, term by term in the lowest index bits, so that halves stay contiguous and
lanes run over terms. A stack of k variables joins in the last k rounds: before, it counts as multiplied by the round's
variable, so it contributes X times its sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define, field

from lazai_core.api.errors import ProofRejected

from . import scalars as f
from .circuit import karray
from .circuit.functional import merged
from .circuit.karray import IntArray, KArray
from .circuit.pullback import ProductTerm
from .expansion import fold_operand
from .field import DEGREE, Extension
from .kernels.arrays import Words, extension_values, k_words, lane_sums, splat
from .kernels.extension import fold
from .kernels.sums import cubic_round, triple_total
from .messages import Receiver, Sender
from .workers import split

HALF = f.lift((f.P + 1) // 2)
LANES = 16

Cubic = tuple[Extension, Extension, Extension]
"""Values at 0 and -1, and the leading coefficient; the value at 1 follows from the claim."""


def free_axes(product: ProductTerm, side: str) -> tuple[list[int], list[int]]:
    """An operand's axes that are folded away, and those of the bound letters in the sumcheck's order."""
    letters = product.node.left_letters if side == "left" else product.node.right_letters
    bound = product.node.bound
    return [i for i, c in enumerate(letters) if c not in bound], [letters.index(c) for c in bound]


def folded_operand(product: ProductTerm, side: str, values: IntArray | KArray, in_extension: bool) -> KArray:
    """An operand folded along its free letters, padded to the sumcheck's cells `[2^variables, 5]`."""
    order, kept = free_axes(product, side)
    free = product.left_free if side == "left" else product.right_free
    shape = values.shape[:-1] if in_extension else values.shape
    weights = merged(free, order, [shape[axis] for axis in order]).reshape(-1, DEGREE)
    if not in_extension:
        folded = fold_operand(values, order, kept, weights)
    else:
        planes = fold_operand(values, order, [*kept, values.ndim - 1], weights)
        folded = karray.product_of_planes(planes)
    return padded_letters(product, folded)


def padded_letters(product: ProductTerm, values: KArray) -> KArray:
    """`[extents..., 5]` to `[2^variables, 5]`, each letter padded by itself."""
    sizes = [1 << group.bits for group in product.groups]
    if list(values.shape[:-1]) == sizes:
        return values.reshape(-1, DEGREE)
    cells = np.zeros((*sizes, DEGREE), dtype=np.int64)
    cells[tuple(slice(0, extent) for extent in product.extents)] = values
    return cells.reshape(-1, DEGREE)


def weight_cells(product: ProductTerm) -> KArray:
    """coefficient * weights over the padded cells; a letter without a weight counts 1 everywhere."""
    values = karray.scalar(product.coefficient)[None]
    covered = {axis for factor in product.weights for axis in factor.axes}
    axes = sorted(covered)
    joint = merged(product.weights, axes, [product.extents[axis] for axis in axes]) if axes else None
    sizes = [1 << group.bits for group in product.groups]
    cells = np.zeros((*sizes, DEGREE), dtype=np.int64)
    index = tuple(slice(0, extent) if axis in covered else slice(None) for axis, extent in enumerate(product.extents))
    if joint is None:
        cells[...] = values[0]
        return cells.reshape(-1, DEGREE)
    shape = [product.extents[axis] if axis in covered else 1 for axis in range(len(sizes))]
    cells[index] = karray.multiply(joint.reshape(*shape, DEGREE), values[0])
    return cells.reshape(-1, DEGREE)


@define(kw_only=True, eq=False)
class Stack:
    """Terms of equally many variables: arrays `uint32[2^variables * t / 16, 5, 16]`, t terms padded to lanes."""

    variables: int
    members: tuple[int, ...]
    weights: Words = field(repr=False)
    left: Words = field(repr=False)
    right: Words = field(repr=False)
    delayed: Extension = f.ZERO
    """The stack's sum, which it contributes times the round's variable before it joins."""
    scale: Extension = f.ONE
    """Product of the challenges before it joined."""

    @classmethod
    def of(cls, variables: int, members: Sequence[int], cells: Sequence[tuple[KArray, KArray, KArray]]) -> Stack:
        """`cells[i]` are weight, left and right of term `members[i]`."""
        width = -(-len(members) // LANES) * LANES
        arrays = []
        for part in range(3):
            joint = np.zeros((1 << variables, width, DEGREE), dtype=np.uint32)
            for place, entry in enumerate(cells):
                joint[:, place] = k_words(entry[part])
            arrays.append(np.ascontiguousarray(joint.reshape(-1, LANES, DEGREE).transpose(0, 2, 1)))
        stack = cls(variables=variables, members=tuple(members), weights=arrays[0], left=arrays[1], right=arrays[2])
        stack.delayed = stack.total()
        return stack

    def total(self) -> Extension:
        """sum w l r."""
        accumulator = np.zeros((1, DEGREE, LANES), dtype=np.uint32)
        triple_total(self.weights, self.left, self.right, accumulator, 0, len(self.weights))
        return lane_sums(accumulator)[0]

    def message(self) -> Cubic:
        """This round's polynomial."""
        found: list[Words] = []

        def run(begin: int, end: int) -> None:
            accumulator = np.zeros((3, DEGREE, LANES), dtype=np.uint32)
            cubic_round(self.weights, self.left, self.right, accumulator, begin, end)
            found.append(accumulator)

        split(len(self.weights) // 2, run)
        sums = [lane_sums(accumulator) for accumulator in found]
        a, b, c = (f.sum_all([entry[index] for entry in sums]) for index in range(3))
        return a, b, c

    def bind(self, r: Extension) -> None:
        """Fix the most significant variable."""
        challenge = splat(r)
        for name in ("weights", "left", "right"):
            source = getattr(self, name)

            def run(begin: int, end: int, s: Words = source) -> None:
                fold(s, s, challenge, begin, end)

            split(len(source) // 2, run)
            setattr(self, name, source[: len(source) // 2])


def next_cubic(claim: Extension, message: Cubic, r: Extension) -> Extension:
    """g(r) from g(0), g(-1), the leading coefficient, and g(0) + g(1) = claim."""
    at_zero, before, leading = message
    at_one = f.subtract(claim, at_zero)
    even = f.multiply(HALF, f.add(at_one, before))
    odd = f.multiply(HALF, f.subtract(at_one, before))
    quadratic, linear = f.subtract(even, at_zero), f.subtract(odd, leading)
    result = f.add(quadratic, f.multiply(r, leading))
    result = f.add(linear, f.multiply(r, result))
    return f.add(at_zero, f.multiply(r, result))


def rounds_of(products: Sequence[ProductTerm]) -> int:
    """Rounds of the batched sumcheck."""
    return max((product.variables for product in products), default=0)


def prove_products(
    products: Sequence[ProductTerm], stacks: Sequence[Stack], channel: Sender
) -> tuple[list[Extension], list[tuple[Extension, Extension]]]:
    """Run the sumcheck. Gives the point, variable 0 first, and each product's operands there, which are sent."""
    bound: list[Extension] = []
    running = f.ONE
    for left_over in range(rounds_of(products), 0, -1):
        at_zero, before, leading = f.ZERO, f.ZERO, f.ZERO
        for stack in stacks:
            if stack.variables < left_over:
                before = f.subtract(before, f.multiply(running, stack.delayed))
                continue
            if stack.variables == left_over:
                stack.scale = running
            a, b, c = stack.message()
            at_zero = f.add(at_zero, f.multiply(stack.scale, a))
            before = f.add(before, f.multiply(stack.scale, b))
            leading = f.add(leading, f.multiply(stack.scale, c))
        channel.send_elements("round", [at_zero, before, leading])
        r = channel.challenge("round")
        for stack in stacks:
            if stack.variables >= left_over:
                stack.bind(r)
        running = f.multiply(running, r)
        bound.append(r)
    operands: list[tuple[Extension, Extension]] = [(f.ZERO, f.ZERO)] * len(products)
    for stack in stacks:
        left, right = extension_values(stack.left), extension_values(stack.right)
        for place, member in enumerate(stack.members):
            operands[member] = (left[place], right[place])
    channel.send_elements("operands", [value for pair in operands for value in pair])
    return list(reversed(bound)), operands


def check_products(
    products: Sequence[ProductTerm], claim: Extension, channel: Receiver
) -> tuple[list[Extension], list[tuple[Extension, Extension]]]:
    """Verify the sumcheck down to the operands' values, which are still to be shown. Raises ProofRejected."""
    bound: list[Extension] = []
    rounds = rounds_of(products)
    for _ in range(rounds):
        a, b, c = channel.receive_elements("round", 3)
        r = channel.challenge("round")
        claim = next_cubic(claim, (a, b, c), r)
        bound.append(r)
    values = channel.receive_elements("operands", 2 * len(products))
    operands = list(zip(values[::2], values[1::2], strict=True))
    point = list(reversed(bound))
    total = f.ZERO
    for product, (left, right) in zip(products, operands, strict=True):
        early = f.multiply_all(bound[: rounds - product.variables])
        weight = product.weight_at(point[: product.variables])
        total = f.add(total, f.multiply(early, f.multiply(weight, f.multiply(left, right))))
    if total != claim:
        raise ProofRejected("the products do not add up to the claim", check="product sumcheck")
    return point, operands
