"""What a committed block leaves in the store is found again, and damage is named."""

from __future__ import annotations

import pytest
from attrs import evolve

from lazai_core.api.consensus import Validator, validators_hash
from lazai_core.api.errors import StorageError
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import Address, Gas, Height
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.history import ChainHistory, TransactionPlace
from lazai_core.chain.receipts import Receipt
from tests.unit.chain.test_block import block

RECEIPTS = tuple(
    Receipt(type_id=2, succeeded=True, cumulative_gas_used=Gas(21_000 * number), logs=()) for number in (1, 2)
)

SET = (Validator(address=Address(b"\x01" * 20), power=5),)


def stored() -> tuple[MemoryStore, ChainHistory]:
    store = MemoryStore()
    history = ChainHistory(store)
    batch = store.batch()
    history.put_block(batch, block(), RECEIPTS, b"certificate")
    history.put_validators(batch, SET)
    batch.commit()
    return store, history


def test_a_block_is_found_by_height_and_hash() -> None:
    _, history = stored()

    assert history.head_height() == 7
    assert history.block(7) == block()
    assert history.block_by_hash(block().hash) == block()
    assert history.block_hash(7) == block().hash
    assert history.receipts(7) == RECEIPTS
    assert history.certificate(7) == b"certificate"


def test_headers_are_found_without_their_blocks() -> None:
    store, history = stored()
    assert history.header(7) == block().header
    batch = store.batch()
    history.put_header(batch, evolve(block().header, height=Height(3)))
    batch.commit()

    assert history.header(3) == evolve(block().header, height=Height(3))
    assert history.block(3) is None
    assert history.header(8) is history.header(-1) is None


def test_validator_sets_are_found_by_their_hash() -> None:
    _, history = stored()

    assert history.validators(validators_hash(SET)) == SET
    assert history.validators(bytes(32)) is None


def test_transactions_are_found_by_their_hash() -> None:
    _, history = stored()

    places = [history.transaction_place(keccak256(raw)) for raw in block().transactions]

    assert places == [TransactionPlace(height=block().height, index=index) for index in (0, 1)]
    assert history.transaction_place(bytes(32)) is None


@pytest.mark.parametrize("height", [-1, 6, 8, 2**64])
def test_what_is_not_there(height: int) -> None:
    _, history = stored()

    assert history.block(height) is None
    assert history.block_hash(height) is None
    assert history.receipts(height) == ()
    assert history.certificate(height) == b""


def test_an_empty_store_has_no_head() -> None:
    history = ChainHistory(MemoryStore())

    assert history.head_height() is None
    assert history.genesis_hash() is None
    assert history.block_by_hash(bytes(32)) is None


@pytest.mark.parametrize(
    ("prefix", "what"), [(b"b", "block 7"), (b"e", "header of block 7"), (b"r", "receipts of block 7")]
)
def test_damage_is_a_storage_error(prefix: bytes, what: str) -> None:
    store, history = stored()
    batch = store.batch()
    batch.put(prefix + (7).to_bytes(8, "big"), b"\x00\x00\x00\x01junk")
    batch.commit()

    with pytest.raises(StorageError, match=what):
        _ = (history.block(7), history.header(7), history.receipts(7))


def test_a_damaged_set_is_a_storage_error() -> None:
    store, history = stored()
    batch = store.batch()
    batch.put(b"v" + validators_hash(SET), b"\x00")
    batch.commit()

    with pytest.raises(StorageError, match="validator set"):
        history.validators(validators_hash(SET))
