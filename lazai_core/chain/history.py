"""Committed blocks with receipts, certificates and indices in a key-value store.

Keys: `h` head height; `b` + height block; `n` + hash height; `r` + height receipts; `t` + transaction hash place;
`i` + height hash; `e` + height header; `c` + height certificate; `v` + hash validator set; `g` genesis hash;
`f` first height from which on all blocks are here. Heights are u64. State nodes live beside them under `s`.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lazai_core.api.consensus import Validator, decode_validators, encode_validators, validators_hash
from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError, StorageError
from lazai_core.api.hashing import keccak256
from lazai_core.api.storage import KeyValueStore, WriteBatch
from lazai_core.api.types import Hash32, Height

from .block import TRANSACTIONS_MAX, Block, BlockHeader
from .receipts import Receipt

HEAD_KEY = b"h"
GENESIS_KEY = b"g"
FIRST_KEY = b"f"
STATE_PREFIX = b"s"
_RECEIPT_BYTES_MAX = 64 * 1024 * 1024


@frozen(kw_only=True)
class TransactionPlace:
    """Where a transaction is: height of its block and index in it."""

    height: Height
    index: int


def _height_key(prefix: bytes, height: int) -> bytes:
    return prefix + height.to_bytes(8, "big")


class ChainHistory:
    """Read access to what was committed; `put_block` adds to a batch that the caller commits."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    def head_height(self) -> Height | None:
        """Height of the newest block, None in an empty store."""
        data = self._store.get(HEAD_KEY)
        return None if data is None else Height(int.from_bytes(data, "big"))

    def genesis_hash(self) -> Hash32 | None:
        """Hash of the genesis this store belongs to."""
        data = self._store.get(GENESIS_KEY)
        return None if data is None else Hash32(data)

    def first_height(self) -> Height:
        """The lowest height from which on all blocks are here; 0 unless the chain began from a snapshot."""
        data = self._store.get(FIRST_KEY)
        return Height(0 if data is None else int.from_bytes(data, "big"))

    def block_bytes(self, height: int) -> bytes | None:
        """The canonical bytes of the block at `height`, as they are stored."""
        return self._store.get(_height_key(b"b", height)) if 0 <= height < 2**64 else None

    def block(self, height: int) -> Block | None:
        """The block at `height`. Raises StorageError when what is stored is not a block."""
        data = self.block_bytes(height)
        if data is None:
            return None
        try:
            return Block.decode(data)
        except EncodingError as cause:
            raise _corrupt(f"block {height}", cause) from cause

    def height_of(self, block_hash: bytes) -> Height | None:
        """Height of the block with this hash."""
        data = self._store.get(b"n" + block_hash)
        return None if data is None else Height(int.from_bytes(data, "big"))

    def block_by_hash(self, block_hash: bytes) -> Block | None:
        """The block with this hash."""
        height = self.height_of(block_hash)
        return None if height is None else self.block(height)

    def block_hash(self, height: int) -> Hash32 | None:
        """Hash of the block at `height`, without reading the block."""
        data = self._store.get(_height_key(b"i", height)) if 0 <= height < 2**64 else None
        return None if data is None else Hash32(data)

    def header(self, height: int) -> BlockHeader | None:
        """The header at `height`, without reading the block; it may be there where the block is not."""
        data = self._store.get(_height_key(b"e", height)) if 0 <= height < 2**64 else None
        if data is None:
            return None
        try:
            return BlockHeader.decode(data)
        except EncodingError as cause:
            raise _corrupt(f"the header of block {height}", cause) from cause

    def validators(self, set_hash: bytes) -> tuple[Validator, ...] | None:
        """The validator set with this hash, in order of address."""
        data = self._store.get(b"v" + set_hash)
        if data is None:
            return None
        try:
            return decode_validators(data)
        except EncodingError as cause:
            raise _corrupt(f"the validator set {set_hash.hex()}", cause) from cause

    def validators_bytes(self, set_hash: bytes) -> bytes | None:
        """The canonical bytes of the validator set with this hash."""
        return self._store.get(b"v" + set_hash)

    def header_bytes(self, height: int) -> bytes | None:
        """The canonical bytes of the header at `height`."""
        return self._store.get(_height_key(b"e", height)) if 0 <= height < 2**64 else None

    def state_entry(self, digest: bytes) -> bytes | None:
        """A trie node or code of any committed state, by its hash."""
        return self._store.get(STATE_PREFIX + digest)

    def receipts(self, height: int) -> tuple[Receipt, ...]:
        """Receipts of the block at `height`, empty when there is no such block."""
        data = self._store.get(_height_key(b"r", height)) if 0 <= height < 2**64 else None
        if data is None:
            return ()
        try:
            reader = Reader(data)
            raw = reader.sequence(lambda source: source.bytes_(_RECEIPT_BYTES_MAX), limit=TRANSACTIONS_MAX)
            reader.finish()
            return tuple(Receipt.decode(item) for item in raw)
        except EncodingError as cause:
            raise _corrupt(f"the receipts of block {height}", cause) from cause

    def certificate(self, height: int) -> bytes:
        """The certificate stored with the block at `height`; empty where there is none."""
        return self._store.get(_height_key(b"c", height)) or b"" if 0 <= height < 2**64 else b""

    def transaction_place(self, transaction_hash: bytes) -> TransactionPlace | None:
        """Where the transaction with this hash is."""
        data = self._store.get(b"t" + transaction_hash)
        if data is None:
            return None
        return TransactionPlace(
            height=Height(int.from_bytes(data[:8], "big")), index=int.from_bytes(data[8:], "big")
        )

    def put_block(
        self, batch: WriteBatch, block: Block, receipts: Sequence[Receipt], certificate: bytes
    ) -> None:
        """Add the block, everything that is found by it, and the new head to `batch`."""
        height = block.height.to_bytes(8, "big")
        batch.put(b"b" + height, block.encode())
        self.put_header(batch, block.header)
        batch.put(b"i" + height, block.hash)
        batch.put(b"n" + block.hash, height)
        batch.put(b"r" + height, encode_receipts(receipts))
        if certificate:
            batch.put(b"c" + height, certificate)
        for index, raw in enumerate(block.transactions):
            batch.put(b"t" + keccak256(raw), height + index.to_bytes(4, "big"))
        batch.put(HEAD_KEY, height)

    def put_header(self, batch: WriteBatch, header: BlockHeader) -> None:
        """Add a header, of a block that need not be here, to `batch`."""
        batch.put(b"e" + header.height.to_bytes(8, "big"), header.encode())

    def put_validators(self, batch: WriteBatch, validators: Sequence[Validator]) -> None:
        """Add a validator set, to be found by its hash, to `batch`."""
        batch.put(b"v" + validators_hash(validators), encode_validators(validators))


def encode_receipts(receipts: Sequence[Receipt]) -> bytes:
    """All receipts of a block in one value."""
    return Writer().sequence(receipts, lambda out, receipt: out.bytes_(receipt.encode())).finish()


def _corrupt(what: str, cause: EncodingError) -> StorageError:
    return StorageError(
        f"{what} in the store cannot be read: {cause.message}",
        hint="the data folder is damaged; restore it or synchronise from peers into an empty folder",
    )
