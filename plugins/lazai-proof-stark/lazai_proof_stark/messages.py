"""What prover and verifier say to each other: one channel writes, the other reads, both absorb the same bytes.

Elements of F travel as their Montgomery residues, four bytes little-endian below p; elements of K as five of them;
digests
as they are. The circuit fixes how many of each come when, so a proof holds no lengths and has one encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from lazai_core.api.errors import ProofMalformed
from lazai_core.api.transcript import Transcript

from .field import DEGREE, Extension, P
from .kernels.arrays import MONTGOMERY, MONTGOMERY_INVERSE, Words

FEW = 4


class Channel:
    """The part both sides share: the transcript and the challenges drawn from it."""

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript

    def challenge(self, label: str) -> Extension:
        """A uniform element of K that depends on everything said so far."""
        a, b, c, d, e = self.transcript.challenge_integers(label, P, DEGREE)
        return (a, b, c, d, e)

    def challenges(self, label: str, count: int) -> list[Extension]:
        """`count` of them, drawn at once."""
        flat = self.transcript.challenge_integers(label, P, DEGREE * count)
        return [(flat[i], flat[i + 1], flat[i + 2], flat[i + 3], flat[i + 4]) for i in range(0, DEGREE * count, DEGREE)]

    def indices(self, label: str, log_range: int, count: int) -> list[int]:
        """`count` numbers below 2^log_range, repetitions allowed."""
        return list(self.transcript.challenge_integers(label, 1 << log_range, count)) if log_range else [0] * count


def element_bytes(values: Sequence[Extension]) -> bytes:
    """Wire form of elements of K."""
    flat = np.array(values, dtype=np.uint64).reshape(-1)
    return (flat * np.uint64(MONTGOMERY) % np.uint64(P)).astype("<u4").tobytes()


class Sender(Channel):
    """The prover's end."""

    def __init__(self, transcript: Transcript) -> None:
        super().__init__(transcript)
        self._parts: list[bytes] = []

    def send_elements(self, label: str, values: Sequence[Extension]) -> None:
        """Elements of K, absorbed."""
        self._send(label, element_bytes(values))

    def send_digests(self, label: str, digests: Words) -> None:
        """Hash values `uint32[n, 8]`, absorbed."""
        self._send(label, digests.astype("<u4").tobytes())

    def send_integer(self, label: str, value: int) -> None:
        """A 64-bit number, absorbed."""
        self._send(label, value.to_bytes(8, "little"))

    def send_opening(self, words: Words) -> None:
        """Words that are checked against earlier commitments, so they need not be absorbed."""
        self._parts.append(words.astype("<u4").tobytes())

    def _send(self, label: str, data: bytes) -> None:
        self.transcript.absorb(label, data)
        self._parts.append(data)

    def proof(self) -> bytes:
        """All messages."""
        return b"".join(self._parts)


class Receiver(Channel):
    """The verifier's end. Every method raises ProofMalformed on missing bytes or values that are not canonical."""

    def __init__(self, transcript: Transcript, proof: bytes) -> None:
        super().__init__(transcript)
        self._proof = proof
        self._offset = 0

    def _take(self, size: int) -> bytes:
        if size > len(self._proof) - self._offset:
            raise ProofMalformed(
                f"the proof ends at byte {len(self._proof)}, {size} more are needed at byte {self._offset}"
            )
        start = self._offset
        self._offset += size
        return self._proof[start : self._offset]

    def receive_elements(self, label: str, count: int) -> list[Extension]:
        """`count` elements of K."""
        data = self._take(4 * DEGREE * count)
        if count <= FEW:
            # For a round's message plain integers are faster than arrays.
            few = struct.unpack(f"<{DEGREE * count}I", data)
            if max(few, default=0) >= P:
                raise ProofMalformed("a field element is not below p")
            self.transcript.absorb(label, data)
            flat = iter([word * MONTGOMERY_INVERSE % P for word in few])
            return list(zip(flat, flat, flat, flat, flat, strict=True))
        words = self._field_words(data)
        self.transcript.absorb(label, data)
        canonical = words.astype(np.uint64) * np.uint64(MONTGOMERY_INVERSE) % np.uint64(P)
        rows = canonical.reshape(count, DEGREE).tolist()
        return [(int(a), int(b), int(c), int(d), int(e)) for a, b, c, d, e in rows]

    def receive_digests(self, label: str, count: int) -> Words:
        """`count` hash values."""
        data = self._take(32 * count)
        self.transcript.absorb(label, data)
        return np.frombuffer(data, dtype="<u4").astype(np.uint32).reshape(count, 8)

    def receive_integer(self, label: str) -> int:
        """A 64-bit number."""
        data = self._take(8)
        self.transcript.absorb(label, data)
        return int.from_bytes(data, "little")

    def receive_rows(self, count: int, words: int) -> Words:
        """`count` rows of field elements in Montgomery form; each is below p."""
        return self._field_words(self._take(4 * count * words)).reshape(count, words)

    def receive_hashes(self, count: int) -> Words:
        """`count` hash values that are not absorbed."""
        return np.frombuffer(self._take(32 * count), dtype="<u4").astype(np.uint32).reshape(count, 8)

    def _field_words(self, data: bytes) -> Words:
        words = np.frombuffer(data, dtype="<u4").astype(np.uint32)
        if len(words) and int(words.max()) >= P:
            raise ProofMalformed("a field element is not below p")
        return words

    def finish(self) -> None:
        """Refuse trailing bytes."""
        if self._offset != len(self._proof):
            raise ProofMalformed(f"{len(self._proof) - self._offset} bytes trail the proof")
