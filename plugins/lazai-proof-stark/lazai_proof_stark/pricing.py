"""What verifying costs at most, in EVM gas, from the verifying key's first bytes and the proof's size.

Three things take time: hashing and field arithmetic on the proof's bytes, evaluating the relations of each operation,
and evaluating what is public (job input and output, vectors along the axes of tensors). The last two depend on the
program alone; the key *states* their price in front, so that asking for a price parses nothing. Verifying begins with
reading the key, which is paid by its bytes, and refuses a key that states another price than its program has.
"""

from __future__ import annotations

from math import prod

from lazai_core.api.errors import ProofMalformed
from lazai_core.api.program import Program
from lazai_core.api.types import Gas

PROOF_BYTES_MIN, PROOF_BYTES_MAX = 36, 64 * 1024 * 1024
GAS_FIXED = 500_000
"""Transcript, grinding and folding of the queries of any parameter set."""
GAS_PROOF_BYTE = 6
"""A byte is parsed once and hashed once, alone or as half of a node: below 0.2 microseconds, at 30 gas each."""
GAS_KEY_BYTE = 16
"""Reading a skeleton checks every rule of docs/EXACT.md on it."""
GAS_OPERATION = 60_000
GAS_PUBLIC_BYTE = 6
GAS_AXIS_ENTRY = 6
GAS_RESHAPED_CELL = 2
"""Where axes are joined or cut, a weight vector may become as long as the whole tensor."""
JOINING_KINDS = ("reshape", "softmax")
WORD = 4


def program_gas(program: Program) -> int:
    """The part that depends on the program, at its symbolic dimension's largest value."""
    largest = program.bind(program.dim.maximum if program.dim else 0)
    axis_entries = sum(sum(shape) for shape in largest.shapes)
    public_bytes = largest.input_bytes + largest.output_bytes
    reshaped = sum(
        prod(largest.shapes[program.first_result + index])
        for index, op in enumerate(program.ops)
        if op.kind in JOINING_KINDS
    )
    gas = GAS_OPERATION * len(program.ops) + GAS_AXIS_ENTRY * axis_entries
    return gas + GAS_PUBLIC_BYTE * public_bytes + GAS_RESHAPED_CELL * reshaped


def verification_gas(stated_program_gas: int, key_bytes: int, proof_bytes: int) -> Gas:
    """Gas of one verification. Raises ProofMalformed when no proof has this many bytes: messages are 32-bit words."""
    if not PROOF_BYTES_MIN <= proof_bytes <= PROOF_BYTES_MAX or proof_bytes % WORD:
        raise ProofMalformed(
            f"no proof has {proof_bytes} bytes: the number is a multiple of {WORD} "
            f"from {PROOF_BYTES_MIN} to {PROOF_BYTES_MAX}"
        )
    return Gas(GAS_FIXED + stated_program_gas + GAS_PROOF_BYTE * proof_bytes + GAS_KEY_BYTE * key_bytes)
