"""The verifying key: the program and its constants, so that it alone suffices to verify."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lazai_core.api.compute import ConstantSource, TensorView
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError, InvalidProgram, ProofMalformed
from lazai_core.api.program import Program
from lazai_core.api.proof import VerifyingKey
from lazai_core.exact.bounds import check_constants
from lazai_core.exact.codec import dtype_name, from_view

if TYPE_CHECKING:
    from lazai_core.exact.model import IntArray

SKELETON_BYTES_MAX = 1 << 20


def write_key(program: Program, constants: ConstantSource) -> bytes:
    """Skeleton, then each constant's bytes in order."""
    writer = Writer().bytes_(program.skeleton())
    for index in range(len(program.constants)):
        writer.raw(bytes(constants.constant(index).data))
    return writer.finish()


def read_key(key: VerifyingKey) -> tuple[Program, tuple[IntArray, ...]]:
    """Inverse of `write_key`, with every digest checked. Raises ProofMalformed."""
    try:
        reader = Reader(key.data)
        program = Program.from_skeleton(reader.bytes_(SKELETON_BYTES_MAX))
        if program.digest() != key.program_digest:
            raise ProofMalformed("the key's program is not the one it names")
        arrays = []
        for index, constant in enumerate(program.constants):
            data = reader.raw(constant.byte_size)
            if hashlib.sha256(data).digest() != constant.digest:
                raise ProofMalformed(f"constant {index} of the key does not have its digest")
            arrays.append(from_view(TensorView(dtype=dtype_name(constant.dtype), shape=constant.shape, data=data)))
        reader.finish()
        check_constants(program, arrays)
    except (EncodingError, InvalidProgram) as error:
        raise ProofMalformed(f"the verifying key: {error}") from error
    return program, tuple(arrays)
