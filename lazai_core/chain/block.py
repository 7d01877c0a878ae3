"""Block header and block: canonical bytes and hashes (docs/CHAIN.md, section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from attrs import field, frozen

from lazai_core.api.consensus import EVIDENCE_BYTES_MAX, SIGNATURE_BYTES_MAX, SIGNATURES_MAX, Certificate
from lazai_core.api.encoding import Reader, Writer, domain_hash
from lazai_core.api.errors import EncodingError
from lazai_core.api.job import OUTPUT_BYTES_MAX, PROOF_BYTES_MAX, ComputeRecord
from lazai_core.api.merkle import merkle_root
from lazai_core.api.types import Address, Gas, Hash32, Height, Wei

from .receipts import BLOOM_BYTES
from .transaction import TRANSACTION_BYTES_MAX
from .trie import list_root

EXTRA_DATA_BYTES_MAX = 32
TRANSACTIONS_MAX = 100_000
RECORDS_MAX = 100_000
RECORD_BYTES_MAX = OUTPUT_BYTES_MAX + PROOF_BYTES_MAX + 512
EVIDENCE_MAX = 16
"""Pieces of evidence in a block."""
CERTIFICATE_BYTES_MAX = 48 + SIGNATURES_MAX * (24 + SIGNATURE_BYTES_MAX)


def randao_of(parent_hash: bytes) -> Hash32:
    """What PREVRANDAO gives in the child of a block; predictable by design."""
    return Hash32(domain_hash("lazai/randao/v1", parent_hash))


@frozen(kw_only=True)
class BlockHeader:
    """Header fields in the order of their encoding. Timestamps in seconds, base fees in wei per unit of gas."""

    chain_id: int
    height: Height
    parent_hash: Hash32
    timestamp: int
    proposer: Address
    state_root: Hash32
    transactions_root: Hash32
    receipts_root: Hash32
    records_root: Hash32
    consensus_root: Hash32
    logs_bloom: bytes = field(repr=False)
    gas_limit: Gas
    gas_used: Gas
    base_fee_per_gas: Wei
    compute_gas_target: Gas
    compute_gas_used: Gas
    compute_base_fee_per_gas: Wei
    validators_hash: Hash32
    next_validators_hash: Hash32
    extra_data: bytes = b""

    def encode(self) -> bytes:
        """Canonical bytes. ValueError where a number does not fit its field, which is our own mistake."""
        writer = Writer().u64(self.chain_id).u64(self.height).raw(self.parent_hash).u64(self.timestamp)
        writer.raw(self.proposer).raw(self.state_root).raw(self.transactions_root).raw(self.receipts_root)
        writer.raw(self.records_root).raw(self.consensus_root)
        writer.raw(self.logs_bloom).u64(self.gas_limit).u64(self.gas_used)
        writer.u64(self.base_fee_per_gas).u64(self.compute_gas_target).u64(self.compute_gas_used)
        writer.u64(self.compute_base_fee_per_gas).raw(self.validators_hash).raw(self.next_validators_hash)
        return writer.bytes_(self.extra_data).finish()

    @classmethod
    def read(cls, reader: Reader) -> BlockHeader:
        """Inverse of `encode` inside a longer string. Raises EncodingError."""
        return cls(
            chain_id=reader.u64(),
            height=Height(reader.u64()),
            parent_hash=Hash32(reader.raw(32)),
            timestamp=reader.u64(),
            proposer=Address(reader.raw(20)),
            state_root=Hash32(reader.raw(32)),
            transactions_root=Hash32(reader.raw(32)),
            receipts_root=Hash32(reader.raw(32)),
            records_root=Hash32(reader.raw(32)),
            consensus_root=Hash32(reader.raw(32)),
            logs_bloom=reader.raw(BLOOM_BYTES),
            gas_limit=Gas(reader.u64()),
            gas_used=Gas(reader.u64()),
            base_fee_per_gas=Wei(reader.u64()),
            compute_gas_target=Gas(reader.u64()),
            compute_gas_used=Gas(reader.u64()),
            compute_base_fee_per_gas=Wei(reader.u64()),
            validators_hash=Hash32(reader.raw(32)),
            next_validators_hash=Hash32(reader.raw(32)),
            extra_data=reader.bytes_(EXTRA_DATA_BYTES_MAX),
        )

    @classmethod
    def decode(cls, data: bytes) -> BlockHeader:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        header = cls.read(reader)
        reader.finish()
        return header

    @cached_property
    def hash(self) -> Hash32:
        """The block's hash, which validators sign."""
        return Hash32(domain_hash("lazai/header/v1", self.encode()))


@frozen(kw_only=True)
class Block:
    """Header, raw transactions, compute records, and what the proposer saw of consensus.

    `last_certificate` is one of the parent's, None where the parent is the genesis block or nobody certifies blocks;
    `evidence` is in the consensus engine's encoding. The block's own certificate travels beside it.
    """

    header: BlockHeader
    transactions: tuple[bytes, ...] = field(default=(), repr=lambda items: f"<{len(items)} transactions>")
    records: tuple[ComputeRecord, ...] = field(default=(), repr=lambda items: f"<{len(items)} records>")
    last_certificate: Certificate | None = field(default=None, repr=lambda item: "None" if item is None else "<one>")
    evidence: tuple[bytes, ...] = field(default=(), repr=lambda items: f"<{len(items)} pieces>")

    @property
    def hash(self) -> Hash32:
        """Hash of the header."""
        return self.header.hash

    @property
    def height(self) -> Height:
        """Height of the header."""
        return self.header.height

    def encode(self) -> bytes:
        """Canonical bytes."""
        writer = Writer().raw(self.header.encode())
        writer.sequence(self.transactions, Writer.bytes_)
        writer.sequence(self.records, lambda out, record: out.bytes_(record.encode()))
        writer.bytes_(_certificate_bytes(self.last_certificate))
        return writer.sequence(self.evidence, Writer.bytes_).finish()

    @classmethod
    def decode(cls, data: bytes) -> Block:
        """Inverse of `encode`; the body need not fit the header yet. Raises EncodingError."""
        reader = Reader(data)
        header = BlockHeader.read(reader)
        transactions = reader.sequence(
            lambda source: source.bytes_(TRANSACTION_BYTES_MAX), limit=TRANSACTIONS_MAX, item_bytes_min=5
        )
        records = reader.sequence(_read_record, limit=RECORDS_MAX, item_bytes_min=4)
        certificate = reader.bytes_(CERTIFICATE_BYTES_MAX)
        evidence = reader.sequence(
            lambda source: source.bytes_(EVIDENCE_BYTES_MAX), limit=EVIDENCE_MAX, item_bytes_min=4
        )
        reader.finish()
        return cls(
            header=header,
            transactions=transactions,
            records=records,
            last_certificate=Certificate.decode(certificate) if certificate else None,
            evidence=evidence,
        )


def _read_record(reader: Reader) -> ComputeRecord:
    record = ComputeRecord.decode(reader.bytes_(RECORD_BYTES_MAX))
    if len(record.signature) != 65:
        raise EncodingError(f"a record's signature has 65 bytes, not {len(record.signature)}")
    return record


def transactions_root(transactions: Sequence[bytes]) -> Hash32:
    """Root of the trie that maps each index to a transaction's bytes."""
    return list_root(transactions)


def records_root(records: Sequence[ComputeRecord]) -> Hash32:
    """Merkle root over the encoded records."""
    return merkle_root([record.encode() for record in records])


def consensus_root(last_certificate: Certificate | None, evidence: Sequence[bytes]) -> Hash32:
    """Merkle root over the last certificate's bytes, empty where there is none, and each piece of evidence."""
    return merkle_root([_certificate_bytes(last_certificate), *evidence])


def _certificate_bytes(certificate: Certificate | None) -> bytes:
    return b"" if certificate is None else certificate.encode()
