"""Poseidon and Merkle paths, compatible with circomlib's `Poseidon(n)`."""

from __future__ import annotations

from collections.abc import Sequence

from ...poseidon_parameters import FULL_ROUNDS, is_full, poseidon_parameters
from ..builder import CircuitError, Wire
from .integers import assert_boolean, select


def _box(wire: Wire) -> Wire:
    square = wire * wire
    return square * square * wire


def poseidon_wires(inputs: Sequence[Wire]) -> Wire:
    """The hash of 1 to 16 wires."""
    builder = inputs[0].builder
    parameters = poseidon_parameters(len(inputs) + 1)
    state = [builder.constant(0), *inputs]
    with builder.label("poseidon"):
        for index in range(FULL_ROUNDS + parameters.partial_rounds):
            start = index * parameters.width
            state = [x + c for x, c in zip(state, parameters.constants[start:], strict=False)]
            boxes = parameters.width if is_full(index, parameters) else 1
            state = [_box(x) if at < boxes else x for at, x in enumerate(state)]
            state = [builder.sum(list(zip(row, state, strict=True))) for row in parameters.matrix]
    return state[0]


def merkle_root(leaf: Wire, siblings: Sequence[Wire], directions: Sequence[Wire]) -> Wire:
    """The root over a path; direction 1 means that the node is the right child. Directions are made boolean here."""
    if len(siblings) != len(directions):
        raise CircuitError(f"{len(siblings)} siblings and {len(directions)} directions are not one path")
    node = leaf
    with leaf.builder.label("merkle path"):
        for sibling, direction in zip(siblings, directions, strict=True):
            assert_boolean(direction)
            left = select(direction, sibling, node)
            # What is not left is right: their sum is the sum of both.
            right = leaf.builder.sum([(1, node), (1, sibling), (-1, left)])
            node = poseidon_wires([left, right])
    return node
