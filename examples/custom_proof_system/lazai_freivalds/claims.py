"""The proof's body: the results of the dense layers, in order, as little-endian int32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lazai_core.api.errors import ProofMalformed
from lazai_core.api.program import BoundProgram, Program

if TYPE_CHECKING:
    from lazai_core.exact.model import IntArray


def dense_ops(program: Program) -> tuple[int, ...]:
    """Indices of the dense layers."""
    return tuple(index for index, op in enumerate(program.ops) if op.kind == "dense")


def read_claims(bound: BoundProgram, data: bytes) -> Mapping[int, IntArray]:
    """The claimed result by op index. Raises ProofMalformed for another length or a value outside its interval."""
    program = bound.program
    sizes = {index: bound.byte_size(program.first_result + index) for index in dense_ops(program)}
    if len(data) != sum(sizes.values()):
        raise ProofMalformed(f"the claims have {len(data)} bytes, {sum(sizes.values())} are expected")
    claims, start = {}, 0
    for index, size in sizes.items():
        value = program.first_result + index
        info = program.values[value]
        array = np.frombuffer(data[start : start + size], dtype="<i4").reshape(bound.shapes[value])
        # The operations that follow were shown to be safe for values of this interval only.
        if int(array.min()) < info.low or int(array.max()) > info.high:
            raise ProofMalformed(f"the claim for operation {index} leaves [{info.low}, {info.high}]")
        claims[index], start = array, start + size
    return claims
