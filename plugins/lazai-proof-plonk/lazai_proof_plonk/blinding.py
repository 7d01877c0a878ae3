"""Random field elements for blinding."""

from __future__ import annotations

from lazai_core.api.proof import Rng

from .parameters import ORDER

BITS = ORDER.bit_length()


class SystemRng:
    """The operating system's randomness."""

    def bytes(self, count: int) -> bytes:
        """`count` fresh random bytes."""
        import secrets

        return secrets.token_bytes(count)


def random_scalars(rng: Rng, count: int) -> list[int]:
    """`count` elements uniform in [0, r), by rejection."""
    found: list[int] = []
    while len(found) < count:
        candidate = int.from_bytes(rng.bytes(32), "big") & ((1 << BITS) - 1)
        if candidate < ORDER:
            found.append(candidate)
    return found
