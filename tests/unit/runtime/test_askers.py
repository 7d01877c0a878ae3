"""Which transactions are run before a block does it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from lazai_core.api.types import Gas, Wei
from lazai_core.chain.recent_transactions import RECENT_BYTES_MAX, recent_transaction
from lazai_core.chain.transaction import Transaction, decode_transaction
from lazai_core.runtime.askers import CONTRACTS_MAX, Askers
from lazai_core.testing.parts import account_key

CONTRACT, OTHER, PERSON = b"\x01" * 20, b"\x02" * 20, b"\x03" * 20


def transaction(to: bytes, data: bytes = b"") -> Transaction:
    return Transaction(
        chain_id=1,
        nonce=0,
        max_fee_per_gas=Wei(1),
        max_priority_fee_per_gas=Wei(0),
        gas=Gas(21_000),
        to=to,
        data=data,
    )


def askers() -> Askers:
    state: Any = SimpleNamespace(code=lambda address: b"" if address == PERSON else b"\xfe")
    return Askers(lambda: state)


def test_a_contract_is_run_until_it_is_known_to_ask_for_nothing() -> None:
    known = askers()
    assert known.may_ask(transaction(CONTRACT))
    known.ran(transaction(CONTRACT))
    assert not known.may_ask(transaction(CONTRACT))
    assert known.may_ask(transaction(OTHER))


def test_a_contract_that_has_asked_once_is_always_run() -> None:
    known = askers()
    known.ran(transaction(CONTRACT))
    known.asked(transaction(CONTRACT))
    known.ran(transaction(CONTRACT))
    assert known.may_ask(transaction(CONTRACT))


def test_payments_to_people_are_not_run_and_new_contracts_are() -> None:
    known = askers()
    assert not known.may_ask(transaction(PERSON))
    assert known.may_ask(transaction(b""))


def test_no_more_contracts_are_remembered_than_allowed() -> None:
    known = askers()
    for number in range(CONTRACTS_MAX + 1):
        known.ran(transaction(number.to_bytes(20, "big")))
    assert known.may_ask(transaction((0).to_bytes(20, "big")))
    assert not known.may_ask(transaction(CONTRACTS_MAX.to_bytes(20, "big")))


def test_a_recent_transaction_is_what_decoding_gives_and_the_same_object_each_time() -> None:
    for size in (0, 2 * RECENT_BYTES_MAX):
        raw = transaction(CONTRACT, bytes(size)).signed(account_key(1)).raw
        assert recent_transaction(raw) == decode_transaction(raw)
        assert (recent_transaction(raw) is recent_transaction(bytes(bytearray(raw)))) == (size == 0)
