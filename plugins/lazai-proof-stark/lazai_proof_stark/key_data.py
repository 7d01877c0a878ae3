"""The data of a verifying key: price, skeleton and weight key, so that a verifier needs nothing else.

u64 gas that the key pays for (`counting`), then skeleton and weight key with their lengths.
"""

from __future__ import annotations

from attrs import evolve, frozen

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError, InvalidProgram, ProofMalformed, ProofRejected, UnsupportedProgram
from lazai_core.api.program import Program
from lazai_core.api.proof import VerifyingKey

from .model_key import KEY_BYTES_MAX, SYSTEM_NAME, VERSION, StarkProvingKey, WeightKey

SKELETON_BYTES_MAX = 1 << 20
PRICE_BYTES = 8
DATA_BYTES_MAX = 1 << 21
"""What a registry of models stores."""


@frozen(kw_only=True, eq=False)
class KeyMaterial:
    """A verifying key, read: the program it is for, the weight key, and the whole key's digest."""

    program: Program
    weight_key: WeightKey
    digest: bytes


def encode_key_data(program: Program, weight_key: WeightKey) -> bytes:
    """Canonical bytes. Raises UnsupportedProgram for a skeleton that is too long."""
    skeleton = program.skeleton()
    if len(skeleton) > SKELETON_BYTES_MAX:
        raise UnsupportedProgram(f"the program's skeleton has {len(skeleton)} bytes, more than {SKELETON_BYTES_MAX}")
    return Writer().u64(weight_key.gas).bytes_(skeleton).bytes_(weight_key.encode()).finish()


def stated_gas(key: VerifyingKey) -> int:
    """The gas that the key states, without reading more of it. Raises ProofMalformed."""
    if key.system != SYSTEM_NAME or key.version != VERSION or not PRICE_BYTES < len(key.data) <= DATA_BYTES_MAX:
        raise ProofMalformed(f"not a verifying key of {SYSTEM_NAME} version {VERSION}")
    return int.from_bytes(key.data[:PRICE_BYTES], "big")


def with_skeleton(key: StarkProvingKey) -> StarkProvingKey:
    """The key with a verifying key that carries the program."""
    data = encode_key_data(key.program, key.weight_key)
    return evolve(key, verifying_key=evolve(key.verifying_key, data=data))


def read_key(key: VerifyingKey) -> KeyMaterial:
    """Decode and bind to the program digest. Raises ProofMalformed, ProofRejected."""
    if key.system != SYSTEM_NAME or key.version != VERSION:
        given = f"{key.system} version {key.version}"
        raise ProofRejected(f"the key is for {given}, not {SYSTEM_NAME} {VERSION}", check="key")
    if len(key.data) > DATA_BYTES_MAX:
        raise ProofMalformed(f"the verifying key has {len(key.data)} bytes, more than {DATA_BYTES_MAX}")
    try:
        reader = Reader(key.data)
        stated_gas = reader.u64()
        skeleton = reader.bytes_(SKELETON_BYTES_MAX)
        weight_bytes = reader.bytes_(KEY_BYTES_MAX)
        reader.finish()
        program = Program.from_skeleton(skeleton)
        weight_key = WeightKey.decode(weight_bytes)
    except (EncodingError, InvalidProgram) as cause:
        raise ProofMalformed(f"the verifying key cannot be read: {cause.message}") from cause
    if program.digest() != key.program_digest:
        raise ProofRejected("the verifying key holds another program than it names", check="key")
    if weight_key.encode() != weight_bytes:
        raise ProofMalformed("the verifying key is not in its canonical form")
    return KeyMaterial(program=program, weight_key=evolve(weight_key, gas=stated_gas), digest=key.digest)
