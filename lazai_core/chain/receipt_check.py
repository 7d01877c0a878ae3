"""Verifies the receipt of a job offline (docs/CHAIN.md, section 5).

It needs neither py-evm nor a node: hashes, signatures, two trie proofs, one Merkle path and the proof itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from lazai_core.api.consensus import Certificate, Validator, validators_hash
from lazai_core.api.errors import BadSignature, ConsensusFault, EncodingError, ProofRejected
from lazai_core.api.merkle import verify_merkle_path
from lazai_core.api.proof import AcceptancePolicy, ProofSystem, Statement, Verdict, VerifyingKey
from lazai_core.api.types import Hash32, to_hex

from .receipt_file import JobReceipt
from .trie import prove_list_item

CertificateCheck = Callable[[Certificate, Sequence[Validator], int], None]
"""`ConsensusEngine.verify_certificate`: certificate, validators, chain id. Raises ConsensusFault."""


@frozen(kw_only=True)
class ReceiptReport:
    """An accepted receipt: what was shown, what is only signed or trusted, and on what all of it rests."""

    receipt: JobReceipt
    verdict: Verdict
    proven: tuple[str, ...]
    assumed: tuple[str, ...]
    trust: str


def verify_receipt(
    data: bytes,
    *,
    systems: Mapping[str, ProofSystem],
    check_certificate: CertificateCheck,
    accept: AcceptancePolicy,
    trusted_validators: Hash32 | None = None,
) -> ReceiptReport:
    """Check the whole file. `trusted_validators` is the validators' hash the verifier brings, None to take the file's.

    Raises ProofMalformed or ProofRejected, whose `check` names what failed; nothing else, whatever the bytes.
    """
    receipt = JobReceipt.decode(data)
    _check_block(receipt, check_certificate, trusted_validators)
    _check_inclusion(receipt)
    statement = _check_record(receipt)
    verdict = _check_proof(receipt, statement, systems, accept)
    members = to_hex(receipt.header.validators_hash)
    given = f"validators hash {members}, given by you"
    not_given = f"not given: the file's own validators hash {members} was used"
    return ReceiptReport(
        receipt=receipt,
        verdict=verdict,
        proven=(
            f"block {receipt.header.height} {to_hex(receipt.header.hash)} is certified by its validators",
            f"it holds transaction {to_hex(receipt.transaction.hash)} and its receipt",
            f"it holds the record of job {to_hex(receipt.job.job_id)}, signed by {to_hex(receipt.record.worker)}",
            verdict.proven,
        ),
        assumed=tuple(
            text
            for text in ("the validators executed the block: that this transaction asked for this job", verdict.assumed)
            if text
        ),
        trust=not_given if trusted_validators is None else given,
    )


def _check_block(receipt: JobReceipt, check_certificate: CertificateCheck, trusted_validators: Hash32 | None) -> None:
    header, certificate = receipt.header, receipt.certificate
    members = validators_hash(receipt.validators)
    _require(members == header.validators_hash, "validators", "they are not those that the header names")
    if trusted_validators is not None:
        _require(members == trusted_validators, "trust", f"the block's validators have hash {to_hex(members)}")
    _require(certificate.block_id == header.hash, "certificate", "it is for another block")
    _require(certificate.height == header.height, "certificate", "it is for another height")
    try:
        check_certificate(certificate, receipt.validators, header.chain_id)
    except ConsensusFault as cause:
        raise ProofRejected(cause.message, check="certificate") from cause


def _check_inclusion(receipt: JobReceipt) -> None:
    header, index = receipt.header, receipt.transaction_index
    pairs = (
        ("transaction", header.transactions_root, receipt.transaction.raw, receipt.transaction_proof),
        ("receipt", header.receipts_root, receipt.receipt.encode(), receipt.receipt_proof),
    )
    for check, root, item, proof in pairs:
        try:
            shown = prove_list_item(root, index, proof)
        except EncodingError as cause:
            raise ProofRejected(cause.message, check=check) from cause
        _require(shown == item, check, "the proof shows another one")
    try:
        included = verify_merkle_path(
            header.records_root,
            receipt.record.encode(),
            receipt.record_index,
            receipt.record_count,
            receipt.record_path,
        )
    except EncodingError as cause:
        raise ProofRejected(cause.message, check="record path") from cause
    _require(included, "record path", "the record is not in the block at this place")


def _check_record(receipt: JobReceipt) -> Statement:
    record, job = receipt.record, receipt.job
    _require(record.job_id == job.job_id, "job", "it is not the one that the record answers")
    _require(job.chain_id == receipt.header.chain_id, "job", "it is for another chain")
    try:
        signer = record.signer()
    except BadSignature as cause:
        raise ProofRejected(cause.message, check="record signature") from cause
    _require(signer == record.worker, "record signature", f"it is by {to_hex(signer)}, not by the worker")
    return Statement(
        program_digest=job.model,
        job_id=job.job_id,
        chain_id=job.chain_id,
        input=job.input,
        output=record.output,
        usage=record.usage,
    )


def _check_proof(
    receipt: JobReceipt, statement: Statement, systems: Mapping[str, ProofSystem], accept: AcceptancePolicy
) -> Verdict:
    name = receipt.job.proof_system
    system = systems.get(name)
    if system is None:
        raise ProofRejected(
            f"no proof system is called {name!r} here; there are {', '.join(systems) or 'none'}",
            check="proof system",
            hint="install the plugin that provides it",
        )
    key = VerifyingKey(
        system=system.name, version=system.version, program_digest=receipt.job.model, data=receipt.verifying_key
    )
    return system.verify(key, statement, receipt.record.proof, accept)


def _require(condition: bool, check: str, message: str) -> None:
    if not condition:
        raise ProofRejected(message, check=check)
