"""What this key has signed last, in a file beside the key: it never signs two things for one step of consensus.

The file outlives the node's data: a node that was given an older copy of its chain and its log, or none, still knows
up to which height, round and step its key has spoken. It does not know what it had locked then: only the log does. So
after a start the key says nothing new in the height it spoke in last until the engine, whose log brings it back to
where it stood, has asked for the newest statement again. It holds two slots that are written in turn, each with a
checksum, so that a write which the power cut in half leaves the slot before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import structlog
from attrs import frozen

from lazai_core.api.consensus import SignMessage, signing_digest
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError, StorageError
from lazai_core.api.needs import NodeIdentity
from lazai_core.api.types import Hash32

from .disk import Disk

log = structlog.get_logger(__name__)

MAGIC = b"lazai/signed/v1\x00"
SLOT_BYTES = 1024
CHECKSUM_BYTES = 16
REMEMBERED_MAX = 16
"""Signatures known one by one: what an engine may ask for again after a crash."""


@frozen(order=True)
class Signed:
    """A signature that was given: the step, and the digest of what was signed."""

    height: int
    round: int
    step: int
    digest: bytes

    @property
    def place(self) -> tuple[int, int, int]:
        """Where it stands in the order of signing."""
        return self.height, self.round, self.step


@frozen(kw_only=True)
class _State:
    sequence: int = 0
    signed: tuple[Signed, ...] = ()


def _encode(state: _State, genesis_hash: bytes) -> bytes:
    writer = Writer().raw(MAGIC).raw(genesis_hash).u64(state.sequence)
    writer.sequence(state.signed, lambda out, one: out.u64(one.height).u32(one.round).u8(one.step).raw(one.digest))
    body = writer.finish().ljust(SLOT_BYTES - CHECKSUM_BYTES, b"\x00")
    return body + blake2b(body, digest_size=CHECKSUM_BYTES).digest()


def _decode(slot: bytes, genesis_hash: bytes) -> _State | None:
    body, checksum = slot[:-CHECKSUM_BYTES], slot[-CHECKSUM_BYTES:]
    if len(slot) != SLOT_BYTES or blake2b(body, digest_size=CHECKSUM_BYTES).digest() != checksum:
        return None
    reader = Reader(body)
    try:
        if reader.raw(len(MAGIC)) != MAGIC or reader.raw(32) != genesis_hash:
            return None
        sequence = reader.u64()
        signed = reader.sequence(
            lambda source: Signed(source.u64(), source.u32(), source.u8(), source.raw(32)), limit=REMEMBERED_MAX
        )
    except EncodingError:
        return None
    return _State(sequence=sequence, signed=signed)


class LastSigned:
    """The file. One thread at a time; one process at a time."""

    def __init__(self, disk: Disk, name: str, genesis_hash: Hash32) -> None:
        self._disk = disk
        self.name = name
        self._genesis_hash = genesis_hash
        self._state: _State | None = None
        self._unconfirmed: Signed | None = None
        self._failed = False

    def open(self) -> None:
        """Read the file, or make it. Raises StorageError when it is damaged or another process holds it."""
        if self._failed:
            raise StorageError("what this key has signed could not be written", hint="start the node again")
        if self._state is not None:
            return
        self._disk.lock(f"{self.name}.lock")
        data = self._disk.read(self.name)
        if data is None:
            first = _encode(_State(), self._genesis_hash)
            data = first + first
            self._disk.replace(self.name, data)
        slots = [_decode(data[start : start + SLOT_BYTES], self._genesis_hash) for start in (0, SLOT_BYTES)]
        whole = [slot for slot in slots if slot is not None]
        if not whole:
            raise StorageError(
                f"{self.name}, the record of what this key has signed, is damaged or of another chain",
                hint="delete it only when the chain has passed every height this key can have signed at",
            )
        self._state = max(whole, key=lambda state: state.sequence)
        self._unconfirmed = max(self._state.signed, default=None)

    @property
    def newest(self) -> Signed | None:
        """The latest step this key has spoken in."""
        self.open()
        assert self._state is not None
        return max(self._state.signed, default=None)

    def allow(self, wanted: Sequence[Signed]) -> list[bool]:
        """Which of these may be signed, in this order; what is allowed is durable when it returns.

        A step later than all before is allowed, in the height of the newest one once that was asked for again; and so
        is exactly what was signed already. Raises StorageError, after which nothing may be signed.
        """
        self.open()
        state = self._state
        assert state is not None
        signed = {one.place: one for one in state.signed}
        answers = []
        for one in wanted:
            known = signed.get(one.place)
            unconfirmed = self._unconfirmed
            if unconfirmed is not None and (one == unconfirmed or one.height > unconfirmed.height):
                unconfirmed = self._unconfirmed = None
            fresh = unconfirmed is None and (not signed or one.place > max(signed))
            answers.append(fresh or (known is not None and known.digest == one.digest))
            if fresh:
                signed[one.place] = one
        newest = tuple(signed[place] for place in sorted(signed)[-REMEMBERED_MAX:])
        if newest != state.signed:
            state = _State(sequence=state.sequence + 1, signed=newest)
            # Until the write is confirmed nobody knows what a reader would find.
            self._failed = True
            self._disk.write(self.name, state.sequence % 2 * SLOT_BYTES, _encode(state, self._genesis_hash))
            self._disk.sync(self.name)
            self._failed = False
            self._state = state
        return answers


class MessageSigner:
    """Signs an engine's messages with the node's key, and refuses what `LastSigned` does not allow."""

    def __init__(self, identity: NodeIdentity, last: LastSigned) -> None:
        self._identity = identity
        self._last = last

    def open(self) -> None:
        """See `LastSigned.open`."""
        self._last.open()

    def sign(self, wanted: Sequence[SignMessage]) -> list[bytes | None]:
        """A signature for each message, None where it is refused. Raises StorageError."""
        digests = [signing_digest(effect.payload) for effect in wanted]
        places = [
            Signed(effect.height, effect.round, effect.step, digest)
            for effect, digest in zip(wanted, digests, strict=True)
        ]
        allowed = self._last.allow(places)
        for place, is_allowed in zip(places, allowed, strict=True):
            if not is_allowed:
                self._log_refusal(place)
        return [
            self._identity.sign(digest) if is_allowed else None
            for digest, is_allowed in zip(digests, allowed, strict=True)
        ]

    def _log_refusal(self, place: Signed) -> None:
        newest = self._last.newest
        log.warning(
            "signature.refused",
            height=place.height,
            round=place.round,
            step=place.step,
            signed_up_to=None if newest is None else list(newest.place),
            advice="this key has spoken here before, and the log does not say what; it goes on with the next height",
        )
