"""Transactions against py-evm's own, and the decoder against hostile bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import evolve
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import BadSignature, InvalidTransaction
from lazai_core.api.hashing import SECP256K1_ORDER, address_of_private_key
from lazai_core.api.types import Address, Gas, Wei
from lazai_core.chain.rlp_codec import encode, integer
from lazai_core.chain.transaction import (
    TRANSACTION_BYTES_MAX,
    SetCodeAuthorization,
    Transaction,
    decode_transaction,
)

KEY, OTHER_KEY = b"\x11" * 32, b"\x22" * 32
SENDER = address_of_private_key(KEY)
TARGET = b"\x33" * 20

addresses = st.binary(min_size=20, max_size=20).map(Address)
wei = st.integers(0, 2**96)


@st.composite
def transactions(draw: st.DrawFn) -> Transaction:
    kind = draw(st.sampled_from((0, 1, 2, 4)))
    fee = draw(wei)
    chain_id = draw(st.sampled_from((1, 4242, 2**40)))
    target = draw(addresses) if kind == 4 or draw(st.booleans()) else b""
    slots = st.lists(st.integers(0, 2**256 - 1), max_size=3).map(tuple)
    listed = st.lists(st.tuples(addresses, slots), max_size=3).map(tuple)
    permissions = st.builds(
        lambda address, nonce: SetCodeAuthorization(chain_id=chain_id, address=address, nonce=nonce).signed(OTHER_KEY),
        addresses,
        st.integers(0, 2**64 - 1),
    )
    return Transaction(
        type_id=kind,
        chain_id=None if kind == 0 and draw(st.booleans()) else chain_id,
        nonce=draw(st.integers(0, 2**64 - 1)),
        max_fee_per_gas=Wei(fee),
        max_priority_fee_per_gas=Wei(fee if kind < 2 else draw(wei)),
        gas=Gas(draw(st.integers(0, 2**63))),
        to=target,
        value=draw(wei),
        data=draw(st.binary(max_size=80)),
        access_list=draw(listed) if kind else (),
        authorizations=tuple(draw(st.lists(permissions, min_size=1, max_size=2))) if kind == 4 else (),
    ).signed(KEY)


@given(transactions())
def test_py_evm_reads_the_same(transaction: Transaction) -> None:
    peer: Any = PragueTransactionBuilder.decode(transaction.raw)

    assert peer.sender == transaction.sender == SENDER
    assert peer.hash == transaction.hash
    assert (peer.nonce, peer.gas, peer.to, peer.value, peer.data) == (
        transaction.nonce,
        transaction.gas,
        transaction.to,
        transaction.value,
        transaction.data,
    )
    assert peer.max_fee_per_gas == transaction.max_fee_per_gas
    assert peer.max_priority_fee_per_gas == transaction.max_priority_fee_per_gas
    assert peer.intrinsic_gas == transaction.intrinsic_gas


@given(transactions())
def test_decoding_gives_the_same_value(transaction: Transaction) -> None:
    found = decode_transaction(transaction.raw)

    assert found == transaction
    assert found.raw == transaction.raw


@given(transactions(), st.data())
def test_every_changed_byte_is_refused_or_means_something_else(transaction: Transaction, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(transaction.raw) - 1))
    changed = bytearray(transaction.raw)
    changed[position] ^= data.draw(st.integers(1, 255))

    try:
        found = decode_transaction(bytes(changed))
    except InvalidTransaction:
        return
    assert found.raw == bytes(changed)
    assert found != transaction


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    for raw in (data, b"\x02" + data, b"\xf8\xff" + data):
        with contextlib.suppress(InvalidTransaction):
            assert decode_transaction(raw).raw == raw


def test_deep_nesting_is_refused_at_once() -> None:
    # Ten thousand lists in each other: a decoder that recurses without a bound ends the process.
    data = b""
    for _ in range(10_000):
        data = encode([data]) if len(data) < 2 else bytes(_header(len(data))) + data
    with pytest.raises(InvalidTransaction, match="nested deeper"):
        decode_transaction(b"\x02" + data)


def _header(length: int) -> bytes:
    if length < 56:
        return bytes([0xC0 + length])
    size = integer(length)
    return bytes([0xF7 + len(size)]) + size


REFUSED: Mapping[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "blob": (b"\x03" + b"\xc0", "blob transactions"),
    "unknown type": (b"\x05\xc0", "type 5 is unknown"),
    "too few fields": (b"\x02" + encode([b""] * 11), "a list of 12"),
    "leading zeros": (b"\x02" + encode([b"\x01", b"\x00\x01", *[b""] * 10]), "leading zeros"),
    "short recipient": (b"\x02" + encode([b"\x01", *[b""] * 4, b"\x01\x01", b"", b"", [], *[b""] * 3]), "2 bytes"),
    "no authorisation": (b"\x04" + encode([b"\x01", *[b""] * 4, TARGET, b"", b"", [], [], *[b""] * 3]), "must carry"),
    "legacy v": (encode([b"", b"\x01", b"\x01", TARGET, b"", b"", b"\x1d", b"\x01", b"\x01"]), "v is 29"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_why(name: str) -> None:
    raw, reason = REFUSED[name]

    with pytest.raises(InvalidTransaction, match=reason):
        decode_transaction(raw)


def test_a_set_code_transaction_cannot_create() -> None:
    permission = SetCodeAuthorization(chain_id=1, address=Address(TARGET), nonce=0).signed(OTHER_KEY)
    fields = [b"\x01", *[b""] * 4, b"", b"", b"", [], [permission.items()], *[b""] * 3]

    with pytest.raises(InvalidTransaction, match="cannot create"):
        decode_transaction(b"\x04" + encode(fields))


def test_too_many_bytes_are_refused_before_they_are_read() -> None:
    with pytest.raises(InvalidTransaction, match="more than"):
        decode_transaction(bytes(TRANSACTION_BYTES_MAX + 1))


def plain() -> Transaction:
    return Transaction(
        chain_id=1, nonce=0, max_fee_per_gas=Wei(1), max_priority_fee_per_gas=Wei(1), gas=Gas(21_000), to=TARGET
    ).signed(KEY)


@pytest.mark.parametrize(
    "change",
    [{"r": 0}, {"s": 0}, {"r": SECP256K1_ORDER}, {"y_parity": 2}, {"s": SECP256K1_ORDER - 1}],
)
def test_impossible_signatures(change: dict[str, int]) -> None:
    with pytest.raises(InvalidTransaction, match="signature"):
        evolve(plain(), **change).sender  # noqa: B018


def test_the_twin_signature_is_refused() -> None:
    # For every signature (r, s) the pair (r, n - s) with the other parity is by the same key (EIP-2).
    good = plain()
    twin = evolve(good, s=SECP256K1_ORDER - good.s, y_parity=1 - good.y_parity)

    assert good.sender == SENDER
    with pytest.raises(InvalidTransaction, match="upper half"):
        twin.sender  # noqa: B018


def test_an_authority_is_recovered_or_refused() -> None:
    permission = SetCodeAuthorization(chain_id=1, address=Address(TARGET), nonce=3).signed(OTHER_KEY)

    assert permission.authority() == address_of_private_key(OTHER_KEY)
    with pytest.raises(BadSignature):
        evolve(permission, r=0).authority()


@pytest.mark.parametrize(
    ("data", "to", "least"),
    [
        (b"", TARGET, 21_000),
        (b"\x00", TARGET, 21_010),  # the floor: 10 a token (EIP-7623)
        (b"\x01", TARGET, 21_040),
        (b"\x00" * 32, b"", 53_130),  # 32,000 to create, 4 a zero byte, 2 a word of init code (EIP-3860)
    ],
)
def test_least_gas(data: bytes, to: bytes, least: int) -> None:
    assert evolve(plain(), data=data, to=to).gas_least == least
