"""A whole small receipt made by hand: one validator, which is also the worker, one transaction, one record."""

from __future__ import annotations

from attrs import evolve

from lazai_core.api.consensus import Certificate, CommitSignature, Validator, signing_digest, validators_hash
from lazai_core.api.hashing import address_of_private_key, sign_digest
from lazai_core.api.job import ComputeJob, ComputeRecord, ProofEnvelope, ResourceUsage
from lazai_core.api.proof import Statement
from lazai_core.api.types import AI_CALL_ADDRESS, ZERO_HASH, Gas, Height, ModelId, Wei
from lazai_core.builtin.attestation_proof import attestation_digest
from lazai_core.builtin.solo_consensus import commit_message
from lazai_core.chain.block import Block, BlockHeader, consensus_root, records_root, transactions_root
from lazai_core.chain.receipt_file import build_receipt
from lazai_core.chain.receipts import Receipt, block_bloom
from lazai_core.chain.transaction import Transaction
from lazai_core.chain.trie import list_root

CHAIN_ID = 31338
KEY = bytes(31) + b"\x07"
ADDRESS = address_of_private_key(KEY)
VALIDATORS = (Validator(address=ADDRESS, power=1),)


def sample_receipt(key: bytes = KEY) -> bytes:
    """The canonical bytes of the receipt. With another `key` the attestation is not the worker's."""
    job = ComputeJob(chain_id=CHAIN_ID, model=ModelId(b"\x05" * 32), input=b"\x01\x02", proof_system="attestation")
    record = _record(job, key)
    transaction = Transaction(
        chain_id=CHAIN_ID,
        nonce=0,
        max_fee_per_gas=Wei(10),
        max_priority_fee_per_gas=Wei(1),
        gas=Gas(50_000),
        to=AI_CALL_ADDRESS,
    ).signed(KEY)
    receipt = Receipt(type_id=2, succeeded=True, cumulative_gas_used=Gas(40_000))
    block = Block(header=_header(transaction.raw, receipt, record), transactions=(transaction.raw,), records=(record,))
    return build_receipt(
        block,
        [receipt],
        transaction_index=0,
        record_index=0,
        job=job,
        certificate=_certificate(block),
        validators=VALIDATORS,
    ).encode()


def _record(job: ComputeJob, key: bytes) -> ComputeRecord:
    usage = ResourceUsage(flops=10, memory_bytes_peak=20)
    statement = Statement(
        program_digest=job.model,
        job_id=job.job_id,
        chain_id=CHAIN_ID,
        input=job.input,
        output=b"\x03",
        usage=usage,
    )
    data = ADDRESS + sign_digest(attestation_digest(statement), key)
    return ComputeRecord(
        job_id=job.job_id,
        output=b"\x03",
        usage=usage,
        proof=ProofEnvelope(system="attestation", version=1, data=data),
        worker=ADDRESS,
    ).signed(KEY)


def _header(raw: bytes, receipt: Receipt, record: ComputeRecord) -> BlockHeader:
    members = validators_hash(VALIDATORS)
    return BlockHeader(
        chain_id=CHAIN_ID,
        height=Height(3),
        parent_hash=ZERO_HASH,
        timestamp=1_800_000_000,
        proposer=ADDRESS,
        state_root=ZERO_HASH,
        transactions_root=transactions_root([raw]),
        receipts_root=list_root([receipt.encode()]),
        records_root=records_root([record]),
        consensus_root=consensus_root(None, ()),
        logs_bloom=block_bloom((receipt,)),
        gas_limit=Gas(30_000_000),
        gas_used=Gas(40_000),
        base_fee_per_gas=Wei(7),
        compute_gas_target=Gas(1),
        compute_gas_used=Gas(0),
        compute_base_fee_per_gas=Wei(7),
        validators_hash=members,
        next_validators_hash=members,
    )


def _certificate(block: Block) -> Certificate:
    message = commit_message(CHAIN_ID, block.height, 0, block.hash)
    signature = CommitSignature(validator=ADDRESS, signature=sign_digest(signing_digest(message), KEY))
    return evolve(
        Certificate(height=block.height, round=0, block_id=block.hash, signatures=()), signatures=(signature,)
    )
