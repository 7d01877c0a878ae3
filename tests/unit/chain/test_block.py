"""Canonical bytes of headers and blocks."""

from __future__ import annotations

import contextlib

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.consensus import (
    EVIDENCE_BYTES_MAX,
    Certificate,
    CommitSignature,
    Validator,
    decode_validators,
    encode_validators,
    validators_hash,
)
from lazai_core.api.errors import EncodingError
from lazai_core.api.job import ComputeRecord, ProofEnvelope, ResourceUsage
from lazai_core.api.types import Address, Gas, Hash32, Height, JobId, Wei
from lazai_core.chain.block import EVIDENCE_MAX, Block, BlockHeader, consensus_root, randao_of

KEY = b"\x11" * 32


def header(**changes: object) -> BlockHeader:
    value = BlockHeader(
        chain_id=4242,
        height=Height(7),
        parent_hash=Hash32(b"\x01" * 32),
        timestamp=1_700_000_000,
        proposer=Address(b"\x02" * 20),
        state_root=Hash32(b"\x03" * 32),
        transactions_root=Hash32(b"\x04" * 32),
        receipts_root=Hash32(b"\x05" * 32),
        records_root=Hash32(b"\x06" * 32),
        consensus_root=Hash32(b"\x0a" * 32),
        logs_bloom=b"\x07" * 256,
        gas_limit=Gas(30_000_000),
        gas_used=Gas(21_000),
        base_fee_per_gas=Wei(10**9),
        compute_gas_target=Gas(15_000_000),
        compute_gas_used=Gas(5),
        compute_base_fee_per_gas=Wei(10**9),
        validators_hash=Hash32(b"\x08" * 32),
        next_validators_hash=Hash32(b"\x09" * 32),
        extra_data=b"hello",
    )
    return evolve(value, **changes)


def record(number: int) -> ComputeRecord:
    return ComputeRecord(
        job_id=JobId(bytes([number]) * 32),
        output=b"output",
        usage=ResourceUsage(flops=1, memory_bytes_peak=2),
        proof=ProofEnvelope(system="toy", version=1, data=b"proof"),
        worker=Address(bytes(20)),
    ).signed(KEY)


def block() -> Block:
    return Block(
        header=header(),
        transactions=(b"one", b"two"),
        records=(record(1), record(2)),
        last_certificate=certificate(),
        evidence=(b"she voted twice", b"so did he"),
    )


def certificate() -> Certificate:
    signature = CommitSignature(validator=Address(b"\x0b" * 20), signature=b"\x0c" * 65)
    return Certificate(height=Height(6), round=2, block_id=Hash32(b"\x01" * 32), signatures=(signature,))


def test_the_header_has_the_documented_layout() -> None:
    data = header().encode()

    assert data[:8] == (4242).to_bytes(8, "big")
    assert data[8:16] == (7).to_bytes(8, "big")
    assert data[16:48] == b"\x01" * 32
    assert data[-9:] == (5).to_bytes(4, "big") + b"hello"
    assert len(data) == 8 + 8 + 32 + 8 + 20 + 5 * 32 + 256 + 6 * 8 + 2 * 32 + 4 + 5


def test_blocks_round_trip() -> None:
    value = block()

    assert Block.decode(value.encode()) == value
    assert BlockHeader.decode(value.header.encode()) == value.header


@given(st.data())
def test_every_bit_of_the_header_is_in_its_hash(data: st.DataObject) -> None:
    encoded = bytearray(header().encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    try:
        changed = BlockHeader.decode(bytes(encoded))
    except EncodingError:
        return
    assert changed.hash != header().hash


@given(st.data())
def test_a_changed_block_is_refused_or_another_block(data: st.DataObject) -> None:
    encoded = bytearray(block().encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))

    with contextlib.suppress(EncodingError):
        found = Block.decode(bytes(encoded))
        assert found.encode() == bytes(encoded)
        assert found != block()


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    for raw in (data, header().encode() + data):
        with contextlib.suppress(EncodingError):
            assert Block.decode(raw).encode() == raw


def test_a_record_without_a_signature_is_refused() -> None:
    unsigned = evolve(block(), records=(evolve(record(1), signature=b""),))

    with pytest.raises(EncodingError, match="65 bytes"):
        Block.decode(unsigned.encode())


def test_the_validators_hash_knows_order_address_and_power() -> None:
    one, two = Validator(address=Address(b"\x01" * 20), power=1), Validator(address=Address(b"\x02" * 20), power=1)

    assert validators_hash([one, two]) == validators_hash([two, one])
    assert validators_hash([one]) != validators_hash([one, two])
    assert validators_hash([one, two]) != validators_hash([evolve(one, power=2), two])


def test_randao_differs_from_block_to_block() -> None:
    assert randao_of(b"\x01" * 32) != randao_of(b"\x02" * 32)


def test_the_consensus_root_covers_certificate_and_every_piece_of_evidence() -> None:
    value = certificate()
    roots = {
        consensus_root(*parts)
        for parts in (
            (None, ()),
            (value, ()),
            (evolve(value, round=3), ()),
            (None, (b"one",)),
            (value, (b"one",)),
            (value, (b"one", b"two")),
            (value, (b"two", b"one")),
            (value, (b"onetwo",)),
            (value, (b"one", b"two", b"")),
        )
    }

    assert len(roots) == 9


def test_so_much_evidence_stands_in_a_block() -> None:
    fits = evolve(block(), evidence=(b"x" * 100,) * EVIDENCE_MAX)
    assert Block.decode(fits.encode()) == fits

    for evidence in ((b"x",) * (EVIDENCE_MAX + 1), (bytes(EVIDENCE_BYTES_MAX + 1),)):
        with pytest.raises(EncodingError, match="exceeds the limit"):
            Block.decode(evolve(block(), evidence=evidence).encode())


def test_an_absent_certificate_and_an_empty_one_are_not_the_same() -> None:
    assert Block.decode(evolve(block(), last_certificate=None).encode()).last_certificate is None
    data = evolve(block(), last_certificate=None, evidence=()).encode()
    with pytest.raises(EncodingError):
        Block.decode(data[:-8] + b"\x00\x00\x00\x01\x00" + data[-4:])


@given(st.data())
def test_validator_sets_have_one_encoding(data: st.DataObject) -> None:
    addresses = data.draw(st.lists(st.binary(min_size=20, max_size=20), unique=True, max_size=4))
    members = [
        Validator(address=Address(item), power=data.draw(st.integers(1, 2**48)), idao=Address(item[::-1]))
        for item in addresses
    ]
    encoded = encode_validators(members)

    assert decode_validators(encoded) == tuple(sorted(members, key=lambda one: one.address))
    broken = bytearray(encoded)
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(EncodingError):
        assert encode_validators(decode_validators(bytes(broken))) == bytes(broken) != encoded


def test_a_set_out_of_order_or_with_one_twice_is_refused() -> None:
    one, two = (encode_validators([Validator(address=Address(bytes([n]) * 20), power=1)])[4:] for n in (1, 2))

    for members in (two + one, one + one):
        with pytest.raises(EncodingError, match="order of address"):
            decode_validators(b"\x00\x00\x00\x02" + members)
