"""The verifying key of a model: the program's skeleton and the circuit's verification key."""

from __future__ import annotations

from attrs import frozen

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError, InvalidProgram, ProofMalformed
from lazai_core.api.program import Program
from lazai_core.api.proof import VerifyingKey

from .native_key import NativeKey

NAME, VERSION = "plonk", 1
SKELETON_BYTES_MAX = 1 << 20
NATIVE_KEY_BYTES_MAX = 4096


@frozen(kw_only=True)
class ModelKey:
    """A parsed key."""

    program: Program
    native: NativeKey


def write_model_key(program: Program, native: NativeKey) -> VerifyingKey:
    """The contract's form of the key."""
    data = Writer().bytes_(program.skeleton()).bytes_(native.encode()).finish()
    return VerifyingKey(system=NAME, version=VERSION, program_digest=program.digest(), data=data)


def read_model_key(key: VerifyingKey) -> ModelKey:
    """Parse and check that skeleton and key belong together. Raises ProofMalformed."""
    if key.system != NAME or key.version != VERSION:
        raise ProofMalformed(f"the key is of {key.system} version {key.version}, not of {NAME} version {VERSION}")
    try:
        reader = Reader(key.data)
        program = Program.from_skeleton(reader.bytes_(SKELETON_BYTES_MAX))
        native = NativeKey.decode(reader.bytes_(NATIVE_KEY_BYTES_MAX))
        reader.finish()
    except (EncodingError, InvalidProgram) as error:
        raise ProofMalformed(f"the verifying key: {error}") from error
    if program.digest() != key.program_digest:
        raise ProofMalformed("the key's program is not the one it names")
    return ModelKey(program=program, native=native)
