"""Transaction receipts with their logs, as Ethereum encodes them since EIP-2718."""

from __future__ import annotations

from attrs import field, frozen

from lazai_core.api.errors import EncodingError
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import Address, Gas

from .rlp_codec import Item, decode, encode, integer, to_bytes, to_integer, to_list

BLOOM_BYTES = 256
TRANSACTION_TYPES = frozenset({0, 1, 2, 4})
LOG_TOPICS_MAX = 4


@frozen(kw_only=True)
class Log:
    """One event: 0 to 4 topics of 32 bytes each."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes


def logs_bloom(logs: tuple[Log, ...]) -> bytes:
    """Bloom filter over addresses and topics (yellow paper, equation 30), 256 bytes."""
    bits = 0
    for log in logs:
        for item in (log.address, *log.topics):
            digest = keccak256(item)
            for start in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[start : start + 2], "big") & 2047)
    return bits.to_bytes(BLOOM_BYTES, "big")


@frozen(kw_only=True)
class Receipt:
    """Outcome of one transaction; `cumulative_gas_used` counts from the start of the block."""

    type_id: int
    succeeded: bool
    cumulative_gas_used: Gas
    logs: tuple[Log, ...] = ()
    bloom: bytes = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "bloom", logs_bloom(self.logs))

    def encode(self) -> bytes:
        """Bytes in the receipts trie: the type byte (none for type 0) and the RLP list."""
        logs: list[Item] = [[log.address, list(log.topics), log.data] for log in self.logs]
        status = b"\x01" if self.succeeded else b""
        payload = encode([status, integer(self.cumulative_gas_used), self.bloom, logs])
        return payload if self.type_id == 0 else bytes((self.type_id,)) + payload

    @classmethod
    def decode(cls, data: bytes) -> Receipt:
        """Inverse of `encode`. Raises EncodingError."""
        if not data:
            raise EncodingError("a receipt is empty")
        kind, payload = (0, data) if data[0] >= 0xC0 else (data[0], data[1:])
        if kind not in TRANSACTION_TYPES or (kind == 0 and payload is not data):
            raise EncodingError(f"receipt type {kind} is unknown")
        status, gas, bloom, logs = to_list(decode(payload), 4)
        if status not in (b"", b"\x01"):
            raise EncodingError("a receipt's status must be 0 or 1")
        receipt = cls(
            type_id=kind,
            succeeded=status == b"\x01",
            cumulative_gas_used=Gas(to_integer(gas, 8)),
            logs=tuple(_log(item) for item in to_list(logs)),
        )
        if receipt.bloom != to_bytes(bloom):
            raise EncodingError("a receipt's bloom is not that of its logs")
        return receipt


def _log(item: Item) -> Log:
    address, topics, data = to_list(item, 3)
    parts = to_list(topics)
    if len(parts) > LOG_TOPICS_MAX:
        raise EncodingError(f"a log has {len(parts)} topics, more than {LOG_TOPICS_MAX}")
    return Log(
        address=Address(to_bytes(address, 20)),
        topics=tuple(to_bytes(topic, 32) for topic in parts),
        data=to_bytes(data),
    )


def block_bloom(receipts: tuple[Receipt, ...]) -> bytes:
    """Bloom of a block: that of its receipts together."""
    bits = 0
    for receipt in receipts:
        bits |= int.from_bytes(receipt.bloom, "big")
    return bits.to_bytes(BLOOM_BYTES, "big")
