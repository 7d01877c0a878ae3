"""The verifying key of a model: the program's skeleton and the verification key of each of its circuits.

In front stands how many public values its largest circuit has, so that a price is known before anything is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import prod

from attrs import field, frozen

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError, InvalidProgram, ProofMalformed
from lazai_core.api.program import Program
from lazai_core.api.proof import VerifyingKey

from .native_key import PUBLIC_MAX, NativeKey

NAME, VERSION = "plonk", 1
SKELETON_BYTES_MAX = 1 << 20
NATIVE_KEY_BYTES_MAX = 4096
COUNT_BYTES = 4
CIRCUITS_MAX = 64


@frozen(kw_only=True)
class ModelKey:
    """A parsed key. `natives` are keys by the value of the symbolic dimension, 0 alone where there is none."""

    program: Program
    natives: Mapping[int, NativeKey] = field(repr=False)


def write_model_key(program: Program, natives: Mapping[int, NativeKey]) -> VerifyingKey:
    """u32 most public values, skeleton, u32 count, then u32 dimension and key of each, dimensions ascending."""
    most = max((native.public for native in natives.values()), default=0)
    writer = Writer().u32(most).bytes_(program.skeleton()).u32(len(natives))
    for dim_value in sorted(natives):
        writer.u32(dim_value).bytes_(natives[dim_value].encode())
    return VerifyingKey(system=NAME, version=VERSION, program_digest=program.digest(), data=writer.finish())


def stated_public(key: VerifyingKey) -> int:
    """The public values that the key states, without reading more of it. Raises ProofMalformed."""
    if key.system != NAME or key.version != VERSION or len(key.data) <= COUNT_BYTES:
        raise ProofMalformed(f"not a verifying key of {NAME} version {VERSION}")
    stated = int.from_bytes(key.data[:COUNT_BYTES], "big")
    if stated > PUBLIC_MAX:
        raise ProofMalformed(f"the key states {stated} public values, more than {PUBLIC_MAX}")
    return stated


def public_count(program: Program, dim_value: int) -> int:
    """Elements of the inputs and outputs at a value of the dimension."""
    shapes = [value.shape for value in program.inputs]
    shapes += [program.values[output.value].shape for output in program.outputs]
    return sum(prod(dim_value if extent == -1 else extent for extent in shape) for shape in shapes)


def read_model_key(key: VerifyingKey) -> ModelKey:
    """Parse and check that skeleton and keys belong together. Raises ProofMalformed."""
    if key.system != NAME or key.version != VERSION:
        raise ProofMalformed(f"the key is of {key.system} version {key.version}, not of {NAME} version {VERSION}")
    try:
        reader = Reader(key.data)
        stated = reader.u32()
        program = Program.from_skeleton(reader.bytes_(SKELETON_BYTES_MAX))
        count = reader.u32()
        if not 1 <= count <= CIRCUITS_MAX:
            raise reader.fail(f"{count} circuits are not from 1 to {CIRCUITS_MAX}")
        entries = [(reader.u32(), NativeKey.decode(reader.bytes_(NATIVE_KEY_BYTES_MAX))) for _ in range(count)]
        if any(first >= second for (first, _), (second, _) in pairwise(entries)):
            raise reader.fail("the dimensions do not ascend")
        if (program.dim is None) != (entries[0][0] == 0) or (program.dim is None and count != 1):
            raise reader.fail("the dimensions are not those of the program")
        reader.finish()
    except (EncodingError, InvalidProgram) as error:
        raise ProofMalformed(f"the verifying key: {error}") from error
    if program.digest() != key.program_digest:
        raise ProofMalformed("the key's program is not the one it names")
    if any(native.public != public_count(program, dim_value) for dim_value, native in entries):
        raise ProofMalformed("a circuit has another number of public values than the program")
    if stated != max(native.public for _, native in entries):
        raise ProofMalformed("the key states another number of public values than its circuits have")
    return ModelKey(program=program, natives=dict(entries))
