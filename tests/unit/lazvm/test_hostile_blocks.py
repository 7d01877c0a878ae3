"""Blocks that break a rule: each is refused by name, with the one to blame, and leaves the chain as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve, frozen

from lazai_core.api.errors import InvalidBlock
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.precompile import NeedsCompute
from lazai_core.api.types import AI_CALL_ADDRESS, Hash32
from lazai_core.chain.block import Block, BlockHeader, records_root, transactions_root
from lazai_core.chain.system_calls import InferCall
from lazai_core.lazvm.records import statement_of
from lazai_core.lazvm.vm import LazVM
from tests.unit.lazvm.signing_system import SigningSystem
from tests.unit.lazvm.world import (
    ACCOUNTS,
    KEYS,
    PROPOSER,
    digits_sample,
    machine,
    plan,
    register_model,
    transaction,
    worker_record,
)


@frozen(kw_only=True)
class Scene:
    """A validator, a good block with one job, and a record that nobody asked for."""

    validator: LazVM
    block: Block
    spare: ComputeRecord
    job: ComputeJob


@pytest.fixture(scope="module")
def scene() -> Scene:
    proposer, validator = machine(), machine()
    sample = digits_sample()
    for one in (proposer, validator):
        register_model(one, sample)
    model = sample.model.program.digest()
    calls = [
        InferCall(model=model, input=sample.job_input(seed=seed), proof_system="signing").encode() for seed in (1, 2)
    ]
    jobs = []
    for number, call in enumerate(calls):
        with pytest.raises(NeedsCompute) as stop:
            proposer.simulate(transaction(1 + number, 0, AI_CALL_ADDRESS, call, gas=2_000_000).raw)
        jobs.append(stop.value.job)
    records = [worker_record(job, sample) for job in jobs]
    request = transaction(1, 0, AI_CALL_ADDRESS, calls[0], gas=2_000_000)
    built = proposer.build_block(plan(proposer, request), {records[0].job_id: records[0]})
    assert len(built.executed.block.records) == 1
    return Scene(validator=validator, block=built.executed.block, spare=records[1], job=jobs[0])


def with_header(block: Block, **changes: object) -> Block:
    return evolve(block, header=evolve(block.header, **changes))


def with_records(block: Block, *records: ComputeRecord) -> Block:
    """The block with other records and the root that belongs to them."""
    return evolve(with_header(block, records_root=records_root(records)), records=records)


def forged(record: ComputeRecord, **changes: object) -> ComputeRecord:
    """Another content, honestly signed by the same worker."""
    return evolve(record, **changes).signed(KEYS[7])


def proven(scene: Scene, **changes: object) -> ComputeRecord:
    """Another content, signed and proven by the worker: a lie told with all formality."""
    record = evolve(scene.block.records[0], **changes)
    proof = SigningSystem().sign(statement_of(scene.job, record), KEYS[7])
    return evolve(record, proof=proof).signed(KEYS[7])


def check_of(scene: Scene, block: Block) -> InvalidBlock:
    before = scene.validator.head
    with pytest.raises(InvalidBlock) as refusal:
        scene.validator.check_block(block)
    assert scene.validator.head is before
    return refusal.value


def test_the_good_block_is_good(scene: Scene) -> None:
    assert scene.validator.check_block(scene.block).block == scene.block


OTHER = Hash32(b"\x31" * 32)


@pytest.mark.parametrize(
    ("field", "value", "check"),
    [
        ("chain_id", 1, "chain id"),
        ("height", 9, "height"),
        ("parent_hash", OTHER, "parent"),
        ("timestamp", 1, "timestamp"),
        ("state_root", OTHER, "state_root"),
        ("transactions_root", OTHER, "transactions_root"),
        ("receipts_root", OTHER, "receipts_root"),
        ("records_root", OTHER, "records_root"),
        ("logs_bloom", b"\x01" * 256, "logs_bloom"),
        ("gas_limit", 31_000_000, "gas limit"),
        ("gas_used", 1, "gas_used"),
        ("base_fee_per_gas", 1, "base fee"),
        ("compute_gas_target", 1, "compute gas target"),
        ("compute_gas_used", 1, "compute_gas_used"),
        ("compute_base_fee_per_gas", 1, "compute base fee"),
        ("validators_hash", OTHER, "validators"),
        ("next_validators_hash", OTHER, "next validators"),
        ("consensus_root", OTHER, "consensus root"),
        # Another proposer is paid instead, so that the state comes out different.
        ("proposer", ACCOUNTS[3], "state_root"),
    ],
)
def test_every_header_field_is_checked(scene: Scene, field: str, value: object, check: str) -> None:
    block = with_header(scene.block, **{field: value})

    refusal = check_of(scene, block)

    assert refusal.check == check
    assert refusal.blame == block.header.proposer


def test_the_test_above_names_every_field_but_free_text() -> None:
    names = {attribute.name for attribute in BlockHeader.__attrs_attrs__}  # type: ignore[attr-defined]
    marks = test_every_header_field_is_checked.pytestmark[0].args[1]  # type: ignore[attr-defined]

    assert names - {case[0] for case in marks} == {"extra_data"}


def _missing(scene: Scene) -> Block:
    return with_records(scene.block)


def _spare(scene: Scene) -> Block:
    return with_records(scene.block, *scene.block.records, scene.spare)


def _twice(scene: Scene) -> Block:
    return with_records(scene.block, *scene.block.records, *scene.block.records)


def _dropped_transaction(scene: Scene) -> Block:
    return evolve(with_header(scene.block, transactions_root=transactions_root(())), transactions=())


@pytest.mark.parametrize("build", [_missing, _spare, _twice, _dropped_transaction])
def test_records_must_be_exactly_those_needed(scene: Scene, build: Callable[[Scene], Block]) -> None:
    refusal = check_of(scene, build(scene))

    assert refusal.check == "records"
    assert refusal.blame == PROPOSER


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda record: forged(record, output=bytes(len(record.output))), "record proof"),
        (lambda record: forged(record, output=record.output + b"\x00"), "record proof"),
        (lambda record: forged(record, usage=evolve(record.usage, flops=record.usage.flops + 1)), "record proof"),
        (lambda record: forged(record, proof=evolve(record.proof, data=b"")), "record proof"),
        (lambda record: forged(record, proof=evolve(record.proof, version=2)), "record proof"),
        (lambda record: forged(record, proof=evolve(record.proof, system="other")), "record proof"),
        (lambda record: evolve(record, output=bytes(len(record.output))), "record signature"),
        (lambda record: evolve(record, signature=bytes(65)), "record signature"),
        (lambda record: evolve(record).signed(KEYS[2]), "record signature"),
    ],
)
def test_a_wrong_record_is_the_workers_fault(
    scene: Scene, change: Callable[[ComputeRecord], ComputeRecord], check: str
) -> None:
    refusal = check_of(scene, with_records(scene.block, change(scene.block.records[0])))

    assert (refusal.check, refusal.blame) == (check, ACCOUNTS[7])


def test_a_record_must_state_the_planned_cost(scene: Scene) -> None:
    usage = scene.block.records[0].usage

    refusal = check_of(scene, with_records(scene.block, proven(scene, usage=evolve(usage, flops=usage.flops + 1))))

    assert (refusal.check, refusal.blame) == ("record usage", ACCOUNTS[7])


def test_a_record_must_have_an_output_of_the_programs_size(scene: Scene) -> None:
    output = scene.block.records[0].output + b"\x00"

    refusal = check_of(scene, with_records(scene.block, proven(scene, output=output)))

    assert (refusal.check, refusal.blame) == ("record output", ACCOUNTS[7])


def test_a_record_for_another_job(scene: Scene) -> None:
    refusal = check_of(scene, with_records(scene.block, scene.spare))

    assert (refusal.check, refusal.blame) == ("records", PROPOSER)


def test_a_transaction_that_is_no_transaction(scene: Scene) -> None:
    junk = (b"\x02junk",)
    block = evolve(with_header(scene.block, transactions_root=transactions_root(junk)), transactions=junk, records=())

    refusal = check_of(scene, block)

    assert (refusal.check, refusal.blame) == ("transaction", PROPOSER)


def test_a_replayed_transaction(scene: Scene) -> None:
    raw = scene.block.transactions * 2
    block = evolve(with_header(scene.block, transactions_root=transactions_root(raw)), transactions=raw)

    assert check_of(scene, block).check == "transaction"
