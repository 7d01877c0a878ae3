"""Fiat–Shamir transcript: one running hash chain that proof systems share.

Everything absorbed changes every later challenge, labels and lengths included, so that neither a message nor its
border can be moved. Absorb parameters, program and statement first, then every prover message before the challenge
that follows it.
"""

from __future__ import annotations

import hashlib


def _frame(label: str, data: bytes) -> bytes:
    name = label.encode("utf-8")
    return len(name).to_bytes(2, "big") + name + len(data).to_bytes(8, "big") + data


class Transcript:
    """SHA-256 chain: state' = SHA-256(tag || state || frame). Deterministic; equal calls give equal challenges."""

    _ABSORB = b"\x00"
    _SQUEEZE = b"\x01"

    def __init__(self, domain: str) -> None:
        self._state = hashlib.sha256(b"lazai/transcript/v1" + _frame("domain", domain.encode("utf-8"))).digest()

    def absorb(self, label: str, data: bytes) -> None:
        """Bind `data` under `label` into all later challenges."""
        self._state = hashlib.sha256(self._ABSORB + self._state + _frame(label, data)).digest()

    def absorb_integer(self, label: str, value: int) -> None:
        """Bind a non-negative integer, in its shortest big-endian form."""
        self.absorb(label, value.to_bytes((value.bit_length() + 7) // 8, "big"))

    def challenge_bytes(self, label: str, count: int) -> bytes:
        """`count` bytes that depend on everything absorbed so far; the state moves on."""
        self._state = hashlib.sha256(self._SQUEEZE + self._state + _frame(label, count.to_bytes(8, "big"))).digest()
        blocks = -(-count // 32)
        stream = b"".join(hashlib.sha256(self._state + index.to_bytes(8, "big")).digest() for index in range(blocks))
        return stream[:count]

    def challenge_integers(self, label: str, modulus: int, count: int) -> tuple[int, ...]:
        """`count` integers uniform in [0, modulus), by rejection, so without bias."""
        if modulus < 2:
            raise ValueError(f"a modulus is at least 2, got {modulus}")
        bits = (modulus - 1).bit_length()
        width = (bits + 7) // 8
        mask = (1 << bits) - 1
        values: list[int] = []
        while len(values) < count:
            needed = count - len(values)
            stream = self.challenge_bytes(label, 2 * needed * width)
            drawn = (int.from_bytes(stream[i : i + width], "big") & mask for i in range(0, len(stream), width))
            values.extend(value for value in drawn if value < modulus)
        return tuple(values[:count])

    def fork(self) -> Transcript:
        """An independent copy in the same state."""
        copy = Transcript.__new__(Transcript)
        copy._state = self._state
        return copy
