"""Where a node stands among the others, and when it must not serve."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lazai_core.api.consensus import ConsensusStatus, Validator
from lazai_core.api.network import PeerId
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.network.transport import PeerInfo
from lazai_core.runtime.standing import NodeStanding, is_quorum


def account(number: int) -> Address:
    return Address(bytes([number]) * 20)


def members(*powers: int, idaos: tuple[int, ...] = ()) -> list[Validator]:
    groups = idaos or (0,) * len(powers)
    return [
        Validator(address=account(number + 1), power=power, idao=account(group) if group else Address(bytes(20)))
        for number, (power, group) in enumerate(zip(powers, groups, strict=True))
    ]


@pytest.mark.parametrize(
    ("validators", "there", "expected"),
    [
        (members(1, 1, 1, 1), {1, 2, 3}, True),
        (members(1, 1, 1, 1), {1, 2}, False),
        (members(1, 1, 1), {1, 2}, False),
        (members(5, 1, 1), {1}, True),
        (members(5, 1, 1), {2, 3}, False),
        # Two iDAOs of three: each needs all of its own, and the chain both.
        (members(1, 1, 1, 1, 1, 1, idaos=(9, 9, 9, 8, 8, 8)), {1, 2, 3, 4, 5}, False),
        (members(1, 1, 1, 1, 1, 1, idaos=(9, 9, 9, 8, 8, 8)), {1, 2, 3, 4, 5, 6}, True),
        # A large iDAO with two thirds there does not vote; with more it does.
        (members(4, 4, 4, 1, idaos=(9, 9, 9, 0)), {1, 2, 4}, False),
        (members(4, 4, 4, 1, idaos=(9, 9, 9, 0)), {1, 2, 3}, True),
    ],
)
def test_a_quorum_is_more_than_two_thirds_within_idaos_and_among_them(
    validators: list[Validator], there: set[int], expected: bool
) -> None:
    assert is_quorum(validators, {account(number) for number in there}) is expected


class Connected:
    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def peer_infos(self) -> list[PeerInfo]:
        return [
            PeerInfo(
                peer=PeerId(account(number)),
                remote="192.0.2.1:5",
                is_dialled=True,
                is_persistent=True,
                connected_s=1.0,
                bytes_in=1,
                bytes_out=2,
                queued=0,
                dropped=0,
                round_trip_ms=1.6,
                score=0,
            )
            for number in self._numbers
        ]

    def fault_counts(self) -> dict[str, int]:
        return {"flood": 2}


def standing(validators: list[Validator], connected: Connected | None, heights: dict[int, int]) -> NodeStanding:
    head = SimpleNamespace(height=Height(10), hash=Hash32(bytes(32)), header=SimpleNamespace(timestamp=7))
    vm: Any = SimpleNamespace(head=head, validators=lambda height: tuple(validators) if height == 11 else ())
    engine: Any = SimpleNamespace(status=lambda: ConsensusStatus(height=Height(11), round=3, step="prevote"))
    told = {PeerId(account(number)): Height(height) for number, height in heights.items()}
    mempool: Any = [1, 2]
    return NodeStanding(
        vm=vm, engine=engine, mempool=mempool, node=account(1), connected=connected, heights=lambda: told
    )


@pytest.mark.parametrize(
    ("peers", "heights", "failing"),
    [
        ((2, 3), {2: 11, 3: 12}, []),
        ((2,), {2: 11}, ["no-quorum-of-peers"]),
        ((2, 3, 4), {2: 13, 3: 13, 4: 13}, ["catching-up"]),
        # One liar of four convinces nobody; two of four are more than a third.
        ((2, 3, 4), {2: 999, 3: 11, 4: 11}, []),
        ((2, 3, 4), {2: 999, 3: 999, 4: 11}, ["catching-up"]),
        # Who decides nothing may say what it likes.
        ((2, 3, 4, 8, 9), {8: 999, 9: 999}, []),
    ],
)
def test_what_keeps_a_node_from_serving(peers: tuple[int, ...], heights: dict[int, int], failing: list[str]) -> None:
    assert list(standing(members(1, 1, 1, 1), Connected(*peers), heights).failing()) == failing


def test_a_node_alone_needs_nobody() -> None:
    assert list(standing(members(1, 1, 1, 1), None, {}).failing()) == []
    assert list(standing(members(1), Connected(), {}).failing()) == []


def test_the_status_tells_of_engine_pool_and_peers() -> None:
    status = standing(members(1, 1, 1, 1), Connected(2, 3), {2: 12}).status()
    assert (status.height, status.deciding, status.round, status.step) == (10, 11, 3, "prevote")
    assert (status.validators, status.is_validator, status.transactions_waiting) == (4, True, 2)
    assert [(peer.address, peer.height, peer.round_trip_ms) for peer in status.peers] == [
        (account(2), 12, 2),
        (account(3), 0, 2),
    ]
    assert status.faults == {"flood": 2}
