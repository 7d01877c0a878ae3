"""The one running transcript of native mode. PROTOCOL.md lists every message in order."""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.encoding import Writer
from lazai_core.api.transcript import Transcript

from .keys import Point, write_point
from .native_key import NativeKey
from .parameters import ORDER

DOMAIN = "lazai/plonk/native/v1"


class NativeTranscript:
    """Absorbs key, sizes, context and public values at once; then messages by name, in the order of the proof."""

    def __init__(self, key: NativeKey, public: Sequence[int], context: bytes) -> None:
        self._transcript = Transcript(DOMAIN)
        self._transcript.absorb("key", key.digest)
        self._transcript.absorb_integer("domain", key.domain_size)
        self._transcript.absorb_integer("public count", key.public)
        self._transcript.absorb("context", context)
        self._transcript.absorb("public", b"".join(value.to_bytes(32, "big") for value in public))

    def point(self, name: str, point: Point) -> None:
        """Absorb a commitment, 64 bytes."""
        writer = Writer()
        write_point(writer, point)
        self._transcript.absorb(name, writer.finish())

    def scalar(self, name: str, value: int) -> None:
        """Absorb an evaluation, 32 bytes."""
        self._transcript.absorb("evaluation " + name, value.to_bytes(32, "big"))

    def challenge(self, name: str) -> int:
        """An element of the field that depends on everything before."""
        return self._transcript.challenge_integers(name, ORDER, 1)[0]
