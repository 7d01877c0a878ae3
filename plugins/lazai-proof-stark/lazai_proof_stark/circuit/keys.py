"""What the maker of a verifying key derives from the model's constants besides the weight commitment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lazai_core.api.program import Program

from .compile import public_constant_indices
from .karray import IntArray
from .relations import PublicData


def public_data(program: Program, constants: Sequence[IntArray]) -> PublicData:
    """The shift vectors, and for each dense and conv2d the bound of |result| of every output channel."""
    shifts = {index: tuple(int(v) for v in constants[index]) for index in public_constant_indices(program)}
    bounds = {}
    for index, op in enumerate(program.ops):
        if op.kind in ("dense", "conv2d"):
            weight, bias = (constants[operand - program.first_constant] for operand in op.operands[1:])
            magnitude = program.values[op.operands[0]].magnitude
            rows = np.abs(weight.reshape(len(weight), -1).astype(np.int64)).sum(axis=1)
            reach = rows * magnitude + np.abs(bias.astype(np.int64))
            bounds[index] = tuple(int(v) for v in reach)
    return PublicData(shifts=shifts, channel_bounds=bounds)
