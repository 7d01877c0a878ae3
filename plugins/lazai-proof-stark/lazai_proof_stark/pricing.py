"""What verifying costs at most, in EVM gas, from the verifying key's first bytes and the proof's size.

Two things take time: hashing and field arithmetic on the proof's bytes, and compiling the program's relations and
evaluating their functionals, with what is public. The key *states* the gas of the second in front, so that asking for
a price parses nothing. Verifying begins with reading the key, which is paid by its bytes; then the stated gas is a
budget (`circuit.meter`, `counting`): work is counted before it is done, and refused beyond it.
"""

from __future__ import annotations

from lazai_core.api.errors import ProofMalformed
from lazai_core.api.types import Gas

PROOF_BYTES_MIN, PROOF_BYTES_MAX = 36, 64 * 1024 * 1024
GAS_FIXED = 500_000
"""Transcript, grinding and folding of the queries of any parameter set."""
GAS_PROOF_BYTE = 6
"""A byte is parsed once and hashed once, alone or as half of a node: below 0.2 microseconds, at 30 gas each."""
GAS_KEY_BYTE = 16
"""Reading a skeleton checks every rule of docs/EXACT.md on it."""
WORD = 4


def verification_gas(stated_gas: int, key_bytes: int, proof_bytes: int) -> Gas:
    """Gas of one verification. Raises ProofMalformed when no proof has this many bytes: messages are 32-bit words."""
    if not PROOF_BYTES_MIN <= proof_bytes <= PROOF_BYTES_MAX or proof_bytes % WORD:
        raise ProofMalformed(
            f"no proof has {proof_bytes} bytes: the number is a multiple of {WORD} "
            f"from {PROOF_BYTES_MIN} to {PROOF_BYTES_MAX}"
        )
    return Gas(GAS_FIXED + stated_gas + GAS_PROOF_BYTE * proof_bytes + GAS_KEY_BYTE * key_bytes)
