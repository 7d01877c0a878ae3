"""Receipts against py-evm's own, and their decoder against hostile bytes."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from eth.rlp.logs import Log as PeerLog
from eth.rlp.receipts import Receipt as PeerReceipt
from eth.vm.forks.prague.receipts import PragueTypedReceipt
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import EncodingError
from lazai_core.api.types import Address, Gas
from lazai_core.chain.receipts import Log, Receipt, block_bloom
from lazai_core.chain.rlp_codec import encode

logs = st.builds(
    Log,
    address=st.binary(min_size=20, max_size=20).map(Address),
    topics=st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
    data=st.binary(max_size=70),
)
receipts = st.builds(
    Receipt,
    type_id=st.sampled_from((0, 1, 2, 4)),
    succeeded=st.booleans(),
    cumulative_gas_used=st.integers(0, 2**40).map(Gas),
    logs=st.lists(logs, max_size=3).map(tuple),
)


def peer_of(receipt: Receipt) -> Any:
    inner = PeerReceipt(
        state_root=b"\x01" if receipt.succeeded else b"",
        gas_used=receipt.cumulative_gas_used,
        logs=[
            PeerLog(log.address, tuple(int.from_bytes(topic, "big") for topic in log.topics), log.data)
            for log in receipt.logs
        ],
    )
    return inner if receipt.type_id == 0 else PragueTypedReceipt(receipt.type_id, inner)


@given(receipts)
def test_bytes_equal_py_evms(receipt: Receipt) -> None:
    assert receipt.encode() == peer_of(receipt).encode()
    assert Receipt.decode(receipt.encode()) == receipt


@given(receipts, st.data())
def test_a_changed_byte_is_refused_or_means_something_else(receipt: Receipt, data: st.DataObject) -> None:
    changed = bytearray(receipt.encode())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))

    try:
        found = Receipt.decode(bytes(changed))
    except EncodingError:
        return
    assert found != receipt
    assert found.encode() == bytes(changed)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    for raw in (data, b"\x02" + data):
        with contextlib.suppress(EncodingError):
            assert Receipt.decode(raw).encode() == raw


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"\x03\xc0", "type 3"),
        (b"\x00\xc0", "type 0"),
        (encode([b"\x02", b"", bytes(256), []]), "status"),
        (encode([b"\x01", b"", b"\x01" * 256, []]), "bloom"),
        (encode([b"\x01", b"", bytes(256), [[bytes(20), [bytes(32)] * 5, b""]]]), "topics"),
    ],
)
def test_refusals_say_why(raw: bytes, reason: str) -> None:
    with pytest.raises(EncodingError, match=reason):
        Receipt.decode(raw)


@given(st.lists(receipts, max_size=4))
def test_a_blocks_bloom_is_that_of_all(found: list[Receipt]) -> None:
    everything = tuple(log for receipt in found for log in receipt.logs)
    alone = Receipt(type_id=0, succeeded=True, cumulative_gas_used=Gas(0), logs=everything)

    assert block_bloom(tuple(found)) == alone.bloom
