"""A job's receipt: accepted as it was written, refused with any byte changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve, frozen

from lazai_core.api.consensus import Certificate, CommitSignature, Validator, signing_digest, validators_hash
from lazai_core.api.errors import ProofError, ProofMalformed, ProofRejected
from lazai_core.api.hashing import sign_digest
from lazai_core.api.precompile import NeedsCompute
from lazai_core.api.proof import AcceptancePolicy
from lazai_core.api.types import AI_CALL_ADDRESS, Hash32
from lazai_core.builtin.solo_consensus import SoloEngine, commit_message
from lazai_core.chain.block import Block
from lazai_core.chain.receipt_check import ReceiptReport, verify_receipt
from lazai_core.chain.receipt_file import JobReceipt, build_receipt
from lazai_core.chain.system_calls import InferCall
from tests.unit.lazvm.signing_system import SigningSystem
from tests.unit.lazvm.world import (
    ACCOUNTS,
    CHAIN_ID,
    KEYS,
    advance,
    digits_sample,
    genesis,
    machine,
    register_model,
    transaction,
    worker_record,
)

VALIDATORS = (Validator(address=ACCOUNTS[6], power=1),)
VALIDATOR_KEY = KEYS[6]
ENGINE = SoloEngine(chain_id=CHAIN_ID, address=ACCOUNTS[6], validators=VALIDATORS)


@frozen(kw_only=True)
class Scene:
    """A committed block of four transactions and two jobs, and the receipt of the second."""

    block: Block
    receipt: JobReceipt
    data: bytes


def certify(block: Block) -> Certificate:
    message = commit_message(CHAIN_ID, block.height, 0, block.hash)
    signature = sign_digest(signing_digest(message), VALIDATOR_KEY)
    signatures = (CommitSignature(validator=VALIDATORS[0].address, signature=signature),)
    return Certificate(height=block.height, round=0, block_id=block.hash, signatures=signatures)


@pytest.fixture(scope="module")
def scene() -> Scene:
    vm = machine(start=genesis(validators=VALIDATORS))
    sample = digits_sample()
    model = register_model(vm, sample)
    requests, jobs = [transaction(3, 0, ACCOUNTS[0], value=1)], []
    for sender in (1, 2):
        call = InferCall(model=model, input=sample.job_input(seed=sender), proof_system="signing")
        requests.append(transaction(sender, 0, AI_CALL_ADDRESS, call.encode(), gas=2_000_000))
        with pytest.raises(NeedsCompute) as stop:
            vm.simulate(requests[-1].raw)
        jobs.append(stop.value.job)
    requests.append(transaction(4, 0, ACCOUNTS[0], value=1))
    records = {job.job_id: worker_record(job, sample) for job in jobs}
    executed = advance(vm, *requests, records=records).executed
    receipt = build_receipt(
        executed.block,
        executed.receipts,
        transaction_index=2,
        record_index=1,
        job=jobs[1],
        certificate=certify(executed.block),
        validators=VALIDATORS,
    )
    return Scene(block=executed.block, receipt=receipt, data=receipt.encode())


def verify(data: bytes, trusted: Hash32 | None = None) -> ReceiptReport:
    return verify_receipt(
        data,
        systems={"signing": SigningSystem()},
        check_certificate=ENGINE.verify_certificate,
        accept=AcceptancePolicy(),
        trusted_validators=trusted,
    )


def test_a_good_receipt_says_what_it_proves(scene: Scene) -> None:
    report = verify(scene.data, validators_hash(VALIDATORS))

    assert report.receipt == scene.receipt
    assert scene.block.hash.hex() in report.proven[0]
    assert scene.receipt.transaction.hash.hex() in report.proven[1]
    assert ACCOUNTS[7].hex() in report.proven[2]
    assert report.proven[3].endswith("signed the statement")
    assert "this transaction asked for this job" in report.assumed[0]
    assert "given by you" in report.trust


def test_without_a_trusted_set_the_report_says_so(scene: Scene) -> None:
    assert verify(scene.data).trust.startswith("not given")


def test_another_trusted_set_is_refused(scene: Scene) -> None:
    with pytest.raises(ProofRejected, match="trust"):
        verify(scene.data, Hash32(bytes(32)))


def test_every_byte_matters(scene: Scene) -> None:
    # Every position once, with another bit at each.
    accepted = []
    for position in range(len(scene.data)):
        changed = bytearray(scene.data)
        changed[position] ^= 1 << (position % 7)
        try:
            verify(bytes(changed))
        except ProofError:
            continue
        accepted.append(position)

    assert accepted == []


def test_every_hexadecimal_digit_matters(scene: Scene) -> None:
    # Digits stay digits, so that nothing is refused for its form alone.
    digits = "0123456789abcdef"
    text = scene.data.decode()
    accepted = []
    for position in range(0, len(text), 3):
        if text[position] not in digits:
            continue
        other = digits[(digits.index(text[position]) + 1) % 16]
        try:
            verify((text[:position] + other + text[position + 1 :]).encode())
        except ProofError:
            continue
        accepted.append((position, text[max(0, position - 40) : position + 3]))

    assert accepted == []


def edited(scene: Scene, change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(scene.data)
    change(document)
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("job"),
        lambda document: document.update(extra=1),
        lambda document: document.update(format="lazai/receipt/v2"),
        lambda document: document.update(record_index=True),
        lambda document: document.update(record_index=-1),
        lambda document: document.update(record_path=["0x00"]),
        lambda document: document.update(transaction="0x03c0"),
        lambda document: document.update(header="0x00"),
        lambda document: document.update(certificate=[]),
        lambda document: document.update(validators=["x"]),
        lambda document: document.update(job="zz"),
    ],
)
def test_malformed_documents(scene: Scene, change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(ProofMalformed):
        verify(edited(scene, change))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 300_000, b'{"format":'])
def test_what_is_no_receipt_at_all(data: bytes) -> None:
    with pytest.raises(ProofMalformed):
        verify(data)


def test_only_the_canonical_form_counts(scene: Scene) -> None:
    document = json.loads(scene.data)

    for data in (json.dumps(document).encode(), scene.data + b"\n", scene.data.replace(b"0x", b"0X", 1)):
        with pytest.raises(ProofMalformed):
            verify(data)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda receipt: evolve(receipt, validators=()), "validators"),
        (lambda receipt: evolve(receipt, validators=(evolve(VALIDATORS[0], power=2),)), "validators"),
        (lambda receipt: evolve(receipt, certificate=evolve(receipt.certificate, block_id=bytes(32))), "certificate"),
        (lambda receipt: evolve(receipt, certificate=evolve(receipt.certificate, height=9)), "certificate"),
        (lambda receipt: evolve(receipt, certificate=evolve(receipt.certificate, signatures=())), "certificate"),
        (lambda receipt: evolve(receipt, transaction_index=1), "transaction"),
        (lambda receipt: evolve(receipt, transaction=transaction(1, 5)), "transaction"),
        (lambda receipt: evolve(receipt, receipt_proof=receipt.transaction_proof), "receipt"),
        (lambda receipt: evolve(receipt, receipt=evolve(receipt.receipt, succeeded=False)), "receipt"),
        (lambda receipt: evolve(receipt, record_index=0), "record path"),
        (lambda receipt: evolve(receipt, record_count=3), "record path"),
        (lambda receipt: evolve(receipt, record_path=()), "record path"),
        (lambda receipt: evolve(receipt, job=evolve(receipt.job, salt=b"\x01" * 32)), "job"),
        (lambda receipt: evolve(receipt, verifying_key=b""), ""),
    ],
)
def test_each_check_is_named(scene: Scene, change: Callable[[JobReceipt], JobReceipt], check: str) -> None:
    data = change(scene.receipt).encode()

    if not check:
        verify(data)
        return
    with pytest.raises(ProofRejected) as refusal:
        verify(data)
    assert refusal.value.check == check


def test_an_unknown_proof_system_is_named(scene: Scene) -> None:
    with pytest.raises(ProofRejected, match="signing"):
        verify_receipt(scene.data, systems={}, check_certificate=ENGINE.verify_certificate, accept=AcceptancePolicy())


def test_verification_does_not_need_py_evm() -> None:
    code = "import sys, lazai_core.chain.receipt_check; assert 'eth' not in sys.modules, 'py-evm was imported'"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
