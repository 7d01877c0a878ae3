"""Nonces of open requests: whose turn it is, what is reserved, and that nothing stays reserved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import Busy, NonceReused, StaleNonce
from lazai_core.api.types import Address, Hash32, Wei
from lazai_core.runtime.lanes import Lanes, RequestKey, same_or_reused

USER, OTHER = Address(b"\x01" * 20), Address(b"\x02" * 20)
BODY = Hash32(bytes(32))


def key(counter: int, lane: int = 0, user: Address = USER) -> RequestKey:
    return RequestKey(user=user, lane=lane, counter=counter)


def on_a_loop(work: Callable[[Lanes], None], *, open_max: int = 10, per_account_max: int = 4) -> None:
    async def main() -> None:
        work(Lanes(open_max=open_max, open_per_account_max=per_account_max))

    asyncio.run(main())


def test_open_requests_count_towards_the_next_counter() -> None:
    def work(lanes: Lanes) -> None:
        lanes.check_turn(key(3), settled=3)
        lanes.open(key(3), BODY, Wei(5))
        with pytest.raises(StaleNonce, match="behind lane 0, whose next counter is 4"):
            lanes.check_turn(key(3), settled=3)
        with pytest.raises(StaleNonce, match="ahead of lane 0"):
            lanes.check_turn(key(5), settled=3)
        lanes.check_turn(key(4), settled=3)
        lanes.check_turn(key(0, lane=1), settled=0)
        # The chain may be ahead of what is still open for a moment, or of everything.
        assert lanes.next_counter(USER, 0, 4) == 4
        assert lanes.next_counter(USER, 0, 9) == 9

    on_a_loop(work)


def test_reservations_add_up_and_are_released_once() -> None:
    def work(lanes: Lanes) -> None:
        first = lanes.open(key(0), BODY, Wei(5))
        second = lanes.open(key(0, lane=1), BODY, Wei(7))
        lanes.open(key(0, user=OTHER), BODY, Wei(100))
        assert lanes.reserved(USER) == 12
        lanes.close(first)
        lanes.close(first)
        assert lanes.reserved(USER) == 7
        lanes.close(second)
        assert lanes.reserved(USER) == 0
        assert len(lanes) == 1

    on_a_loop(work)


def test_wallet_and_node_have_bounds() -> None:
    def work(lanes: Lanes) -> None:
        for lane in range(4):
            lanes.check_room(USER)
            lanes.open(key(0, lane), BODY, Wei(1))
        with pytest.raises(Busy, match="this wallet has 4"):
            lanes.check_room(USER)
        lanes.check_room(OTHER)
        lanes.open(key(0, user=OTHER), BODY, Wei(1))
        with pytest.raises(Busy, match="5 requests are open"):
            lanes.check_room(Address(b"\x03" * 20))
        with pytest.raises(Busy):
            lanes.check_unsigned(0)

    on_a_loop(work, open_max=5)


def test_a_nonce_with_another_body_is_reuse() -> None:
    same_or_reused(key(1), BODY, BODY)
    with pytest.raises(NonceReused, match="counter 1 of lane 0"):
        same_or_reused(key(1), BODY, Hash32(b"\x01" * 32))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(1, 9)), max_size=30))
def test_books_balance_whatever_happens(steps: list[tuple[bool, int, int]]) -> None:
    def work(lanes: Lanes) -> None:
        model: dict[RequestKey, int] = {}
        opened = {}
        for opens, lane, cost in steps:
            if opens:
                name = key(lanes.next_counter(USER, lane, 0), lane)
                opened[name] = lanes.open(name, BODY, Wei(cost))
                model[name] = cost
            elif model:
                name = sorted(model, key=lambda item: (item.lane, item.counter))[cost % len(model)]
                lanes.close(opened[name])
                del model[name]
            assert lanes.reserved(USER) == sum(model.values())
            assert len(lanes) == len(model)

    on_a_loop(work)
