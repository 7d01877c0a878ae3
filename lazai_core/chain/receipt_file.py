"""The receipt of one job as a file, built from a committed block (docs/CHAIN.md, section 5); see `receipt_check`."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lazai_core.api.consensus import Certificate, CommitSignature, Validator
from lazai_core.api.errors import EncodingError, InvalidTransaction, ProofMalformed
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.merkle import DEPTH_MAX, merkle_path
from lazai_core.api.types import ZERO_ADDRESS, Address, Hash32, Height, to_hex

from .block import RECORDS_MAX, TRANSACTIONS_MAX, Block, BlockHeader
from .bounded_json import parse_json
from .genesis import canonical_json, validator_document
from .receipts import Receipt
from .transaction import Transaction, decode_transaction
from .trie import list_proof

FORMAT = "lazai/receipt/v1"
RECEIPT_BYTES_MAX = 256 * 1024 * 1024
VALIDATORS_MAX = 10_000
PROOF_NODES_MAX = 64


@frozen(kw_only=True)
class JobReceipt:
    """Everything the file holds, decoded. Nothing of it is verified yet."""

    header: BlockHeader
    certificate: Certificate
    validators: tuple[Validator, ...]
    transaction: Transaction
    transaction_index: int
    transaction_proof: tuple[bytes, ...]
    receipt: Receipt
    receipt_proof: tuple[bytes, ...]
    record: ComputeRecord
    record_index: int
    record_count: int
    record_path: tuple[bytes, ...]
    job: ComputeJob
    verifying_key: bytes = b""

    def encode(self) -> bytes:
        """The canonical JSON document."""
        return canonical_json(_document(self))

    @classmethod
    def decode(cls, data: bytes) -> JobReceipt:
        """Inverse of `encode`. Raises ProofMalformed for anything but the canonical form."""
        try:
            receipt = _read(_parse(data))
        except (EncodingError, InvalidTransaction) as cause:
            raise ProofMalformed(f"the receipt cannot be read: {cause.message}") from cause
        if receipt.encode() != data:
            raise ProofMalformed("the receipt is not in its canonical form")
        return receipt


def build_receipt(
    block: Block,
    receipts: Sequence[Receipt],
    *,
    transaction_index: int,
    record_index: int,
    job: ComputeJob,
    certificate: Certificate,
    validators: Sequence[Validator],
    verifying_key: bytes = b"",
) -> JobReceipt:
    """The receipt of the job that record `record_index` of a committed block answers."""
    leaves = [record.encode() for record in block.records]
    return JobReceipt(
        header=block.header,
        certificate=certificate,
        validators=tuple(sorted(validators, key=lambda validator: validator.address)),
        transaction=decode_transaction(block.transactions[transaction_index]),
        transaction_index=transaction_index,
        transaction_proof=list_proof(block.transactions, transaction_index),
        receipt=receipts[transaction_index],
        receipt_proof=list_proof([receipt.encode() for receipt in receipts], transaction_index),
        record=block.records[record_index],
        record_index=record_index,
        record_count=len(leaves),
        record_path=merkle_path(leaves, record_index),
        job=job,
        verifying_key=verifying_key,
    )


def _hexes(items: Sequence[bytes]) -> list[str]:
    return [to_hex(item) for item in items]


def _document(receipt: JobReceipt) -> dict[str, object]:
    certificate = receipt.certificate
    return {
        "format": FORMAT,
        "header": to_hex(receipt.header.encode()),
        "certificate": {
            "height": certificate.height,
            "round": certificate.round,
            "block_id": to_hex(certificate.block_id),
            "signatures": [
                {"validator": to_hex(item.validator), "signature": to_hex(item.signature)}
                for item in certificate.signatures
            ],
        },
        "validators": [validator_document(item) for item in receipt.validators],
        "transaction": to_hex(receipt.transaction.raw),
        "transaction_index": receipt.transaction_index,
        "transaction_proof": _hexes(receipt.transaction_proof),
        "receipt": to_hex(receipt.receipt.encode()),
        "receipt_proof": _hexes(receipt.receipt_proof),
        "record": to_hex(receipt.record.encode()),
        "record_index": receipt.record_index,
        "record_count": receipt.record_count,
        "record_path": _hexes(receipt.record_path),
        "job": to_hex(receipt.job.encode()),
        "verifying_key": to_hex(receipt.verifying_key),
    }


def _parse(data: bytes) -> object:
    if len(data) > RECEIPT_BYTES_MAX:
        raise EncodingError(f"{len(data)} bytes, more than {RECEIPT_BYTES_MAX}")
    try:
        return parse_json(data.decode("ascii"))
    except ValueError as cause:
        raise EncodingError(f"not a JSON document: {cause}") from cause


class _Table:
    """An object of the document with exactly the keys that are expected."""

    def __init__(self, value: object, keys: set[str]) -> None:
        if not isinstance(value, dict) or value.keys() != keys:
            raise EncodingError(f"an object with the keys {', '.join(sorted(keys))} is expected")
        self._table = value

    def number(self, key: str, most: int) -> int:
        value = self._table[key]
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise EncodingError(f"{key}: a whole number from 0 to {most} is expected")
        return value

    def data(self, key: str, length: int | None = None) -> bytes:
        return _bytes(self._table[key], key, length)

    def list(self, key: str, most: int) -> list[object]:
        value = self._table[key]
        if not isinstance(value, list) or len(value) > most:
            raise EncodingError(f"{key}: a list of at most {most} is expected")
        return value

    def hashes(self, key: str, most: int, length: int | None = None) -> tuple[bytes, ...]:
        return tuple(_bytes(item, key, length) for item in self.list(key, most))

    def value(self, key: str) -> object:
        return self._table[key]


def _bytes(value: object, key: str, length: int | None) -> bytes:
    if isinstance(value, str) and value.startswith("0x"):
        try:
            data = bytes.fromhex(value[2:])
        except ValueError:
            data = None
        if data is not None and length in (None, len(data)):
            return data
    raise EncodingError(f"{key}: bytes in hexadecimal with 0x are expected")


_KEYS = {
    "format",
    "header",
    "certificate",
    "validators",
    "transaction",
    "transaction_index",
    "transaction_proof",
    "receipt",
    "receipt_proof",
    "record",
    "record_index",
    "record_count",
    "record_path",
    "job",
    "verifying_key",
}


def _read(document: object) -> JobReceipt:
    table = _Table(document, _KEYS)
    if table.value("format") != FORMAT:
        raise EncodingError(f"format: {FORMAT!r} is expected")
    return JobReceipt(
        header=BlockHeader.decode(table.data("header")),
        certificate=_read_certificate(table.value("certificate")),
        validators=tuple(_read_validator(item) for item in table.list("validators", VALIDATORS_MAX)),
        transaction=decode_transaction(table.data("transaction")),
        transaction_index=table.number("transaction_index", TRANSACTIONS_MAX),
        transaction_proof=table.hashes("transaction_proof", PROOF_NODES_MAX),
        receipt=Receipt.decode(table.data("receipt")),
        receipt_proof=table.hashes("receipt_proof", PROOF_NODES_MAX),
        record=ComputeRecord.decode(table.data("record")),
        record_index=table.number("record_index", RECORDS_MAX),
        record_count=table.number("record_count", RECORDS_MAX),
        record_path=table.hashes("record_path", DEPTH_MAX, 32),
        job=ComputeJob.decode(table.data("job")),
        verifying_key=table.data("verifying_key"),
    )


def _read_certificate(value: object) -> Certificate:
    table = _Table(value, {"height", "round", "block_id", "signatures"})
    return Certificate(
        height=Height(table.number("height", 2**53 - 1)),
        round=table.number("round", 2**31 - 1),
        block_id=Hash32(table.data("block_id", 32)),
        signatures=tuple(_read_signature(item) for item in table.list("signatures", VALIDATORS_MAX)),
    )


def _read_signature(value: object) -> CommitSignature:
    table = _Table(value, {"validator", "signature"})
    return CommitSignature(validator=Address(table.data("validator", 20)), signature=table.data("signature", 65))


def _read_validator(value: object) -> Validator:
    has_idao = isinstance(value, dict) and "idao" in value
    table = _Table(value, {"address", "power", "idao"} if has_idao else {"address", "power"})
    idao = Address(table.data("idao", 20)) if has_idao else ZERO_ADDRESS
    if has_idao and idao == ZERO_ADDRESS:
        raise EncodingError("idao: a validator of no iDAO leaves the key out")
    return Validator(address=Address(table.data("address", 20)), power=table.number("power", 2**48), idao=idao)
