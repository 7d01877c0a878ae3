"""Jobs and records: one byte string each, and every byte bound."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.errors import BadSignature, EncodingError
from lazai_core.api.hashing import address_of_private_key
from lazai_core.api.job import ComputeJob, ComputeRecord, ProofEnvelope, ResourceUsage
from lazai_core.api.types import DatId, JobId, ModelId

WORKER_KEY = b"\x11" * 32
JOB = ComputeJob(
    chain_id=7, model=ModelId(b"\x22" * 32), input=b"pixels", dats=(DatId(3), DatId(2**200)), proof_system="attestation"
)


def record() -> ComputeRecord:
    return ComputeRecord(
        job_id=JOB.job_id,
        output=b"logits",
        usage=ResourceUsage(flops=10, memory_bytes_peak=20, tokens_in=1),
        proof=ProofEnvelope(system="attestation", version=1, data=b"proof"),
        worker=address_of_private_key(WORKER_KEY),
    ).signed(WORKER_KEY)


def test_job_decodes_to_itself() -> None:
    assert ComputeJob.decode(JOB.encode()) == JOB


@pytest.mark.parametrize(
    "changed",
    [
        evolve(JOB, chain_id=8),
        evolve(JOB, model=ModelId(b"\x23" * 32)),
        evolve(JOB, input=b"pixelt"),
        evolve(JOB, dats=(DatId(3),)),
        evolve(JOB, dats=(DatId(2**200), DatId(3))),
        evolve(JOB, proof_system="stark"),
        evolve(JOB, salt=b"\x01" + bytes(31)),
    ],
)
def test_every_field_is_in_the_job_id(changed: ComputeJob) -> None:
    assert changed.job_id != JOB.job_id


def test_record_is_its_workers() -> None:
    assert ComputeRecord.decode(record().encode()) == record()
    assert record().signer() == record().worker


@pytest.mark.parametrize(
    "changes",
    [
        {"output": b"logitt"},
        {"usage": ResourceUsage(flops=11, memory_bytes_peak=20, tokens_in=1)},
        {"job_id": JobId(bytes(32))},
        {"proof": ProofEnvelope(system="attestation", version=2, data=b"proof")},
        {"worker": address_of_private_key(b"\x12" * 32)},
    ],
)
def test_a_changed_record_has_another_signer(changes: dict[str, object]) -> None:
    changed = evolve(record(), **changes)
    try:
        assert changed.signer() != record().worker
    except BadSignature:
        assert changed != record()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    for kind in (ComputeJob, ComputeRecord, ProofEnvelope):
        try:
            value = kind.decode(data)
        except EncodingError:
            continue
        assert value.encode() == data


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_records_are_refused_or_differ(data: st.DataObject) -> None:
    original = record().encode()
    position = data.draw(st.integers(0, len(original) - 1))
    flipped = bytearray(original)
    flipped[position] ^= data.draw(st.integers(1, 255))
    try:
        changed = ComputeRecord.decode(bytes(flipped))
    except EncodingError:
        return
    assert changed != record()


def test_truncation_and_trailing_bytes_are_refused() -> None:
    encoded = record().encode()
    for size in range(len(encoded)):
        with pytest.raises(EncodingError):
            ComputeRecord.decode(encoded[:size])
    with pytest.raises(EncodingError):
        ComputeRecord.decode(encoded + b"\x00")
