"""Random damage to proofs: every mutation must be refused in a documented way. For tests and the bench."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

from attrs import field, frozen

from lazai_core.api.errors import ProofMalformed, ProofRejected

from .field import P

WORDS = (b"\0" * 4, b"\xff" * 4, P.to_bytes(4, "little"), (P - 1).to_bytes(4, "little"))


@frozen(kw_only=True)
class FuzzReport:
    """Mutations tried, mutations accepted (none unless the verifier is broken), and why the others were not."""

    tried: int
    accepted: int
    reasons: dict[str, int] = field(factory=dict)


def mutated(proof: bytes, random: Random) -> bytes:
    """The proof with a bit, a word or a run of bytes changed, moved, inserted or taken away."""
    data = bytearray(proof)
    kind, offset = random.randrange(8), random.randrange(len(data))
    length = random.choice([1, 4, 20, 32, 160])
    if kind <= 2:
        data[offset] ^= 1 << random.randrange(8)
    elif kind == 3:
        start = offset - offset % 4
        data[start : start + 4] = random.choice(WORDS)
    elif kind == 4:
        del data[offset:]
    elif kind == 5:
        del data[offset : offset + length]
    elif kind == 6:
        data[offset:offset] = random.randbytes(length)
    else:
        other = random.randrange(len(data))
        data[offset : offset + length] = data[other : other + length]
    return bytes(data)


def fuzz(verify: Callable[[bytes], object], proof: bytes, count: int, seed: int) -> FuzzReport:
    """Call `verify` on `count` mutations of an accepted proof. Any other exception than the documented ones escapes."""
    random, accepted, reasons = Random(seed), 0, Counter[str]()
    for _ in range(count):
        data = mutated(proof, random)
        if data == proof:
            reasons["unchanged"] += 1
            continue
        try:
            verify(data)
            accepted += 1
        except ProofRejected as refusal:
            reasons[refusal.check] += 1
        except ProofMalformed:
            reasons["malformed"] += 1
    return FuzzReport(tried=count, accepted=accepted, reasons=dict(reasons))
