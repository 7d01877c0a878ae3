"""What an engine makes durable, and what it takes back from it after a crash.

Two records are enough, however many rounds a height had: every message before it is signed, so that the key never
signs two for one step, and every quorum of prevotes that makes a block valid, so that a lock can be proven and
proposed again; the host keeps the block itself beside it. Other validators' votes are not recorded; they send them
again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from attrs import evolve, field, frozen

from lazai_core.api.consensus import SIGNATURES_MAX, CommitSignature
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError
from lazai_core.api.types import Hash32

from .messages import (
    HEIGHT_MAX,
    NO_ROUND,
    ROUND_MAX,
    Kind,
    Message,
    decode_message,
    read_signature,
    write_signature,
)
from .round import RoundState, Step

MESSAGE_BYTES_MAX = 1 << 20
INTENT, VALID = 0, 1


@frozen(kw_only=True)
class Intent:
    """A message this validator is about to sign."""

    height: int
    payload: bytes


@frozen(kw_only=True)
class Valid:
    """A quorum of prevotes for a block in a round."""

    height: int
    round: int
    block_id: Hash32
    signatures: tuple[CommitSignature, ...]


Record: TypeAlias = Intent | Valid


def encode_record(record: Record) -> bytes:
    """Canonical bytes."""
    if isinstance(record, Intent):
        return Writer().u8(INTENT).u64(record.height).bytes_(record.payload).finish()
    writer = Writer().u8(VALID).u64(record.height).u32(record.round).raw(record.block_id)
    return writer.sequence(record.signatures, write_signature).finish()


def decode_record(data: bytes) -> Record:
    """Inverse of `encode_record`. Raises EncodingError."""
    reader = Reader(data)
    sort, height = reader.u8(), reader.u64()
    if sort > VALID or height > HEIGHT_MAX:
        raise reader.fail(f"there is no record of sort {sort} and height {height}")
    record: Record
    if sort == INTENT:
        record = Intent(height=height, payload=reader.bytes_(MESSAGE_BYTES_MAX))
    else:
        round_number = reader.u32()
        if round_number > ROUND_MAX:
            raise reader.fail(f"the round {round_number} is larger than {ROUND_MAX}")
        block_id = Hash32(reader.raw(32))
        signatures = reader.sequence(read_signature, limit=SIGNATURES_MAX, item_bytes_min=24)
        record = Valid(height=height, round=round_number, block_id=block_id, signatures=signatures)
    reader.finish()
    return record


@frozen(kw_only=True)
class Restored:
    """What the log knows of one height: messages signed, by round and kind, and the newest valid block."""

    messages: dict[tuple[int, Kind], tuple[Message, bytes]] = field(factory=dict)
    valid: Valid | None = None

    def state(self) -> RoundState | None:
        """Where the round machine stood; None when it had done nothing yet."""
        if not self.messages and self.valid is None:
            return None
        state = RoundState()
        if self.valid is not None:
            state = evolve(state, valid_value=self.valid.block_id, valid_round=self.valid.round)
        for (round_number, kind), (message, _) in self.messages.items():
            if kind is Kind.PRECOMMIT and message.block_id is not None and round_number > state.locked_round:
                # Precommitting a block and locking it are one act.
                state = evolve(state, locked_value=message.block_id, locked_round=round_number)
        newest = max((number for number, _ in self.messages), default=NO_ROUND)
        newest = max(newest, state.valid_round)
        return evolve(state, round=newest, step=self._step(newest))

    def _step(self, round_number: int) -> Step:
        if (round_number, Kind.PRECOMMIT) in self.messages:
            return Step.PRECOMMIT
        return Step.PREVOTE if (round_number, Kind.PREVOTE) in self.messages else Step.PROPOSE


def restore(records: Iterable[Record], height: int, chain_id: int) -> Restored:
    """Collect the records of one height. The first message of a step counts: there is never a second."""
    messages: dict[tuple[int, Kind], tuple[Message, bytes]] = {}
    valid: Valid | None = None
    for record in records:
        if record.height != height:
            continue
        if isinstance(record, Valid):
            valid = record if valid is None or record.round > valid.round else valid
            continue
        try:
            message = decode_message(record.payload, chain_id)
        except EncodingError:
            continue
        messages.setdefault((message.round, message.kind), (message, record.payload))
    return Restored(messages=messages, valid=valid)
