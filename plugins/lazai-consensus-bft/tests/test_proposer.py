"""Turns to propose: fair in every prefix, exact over a period, the same everywhere."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from attrs import evolve
from bft_driving import identity
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_consensus_bft.committee import committee_of
from lazai_consensus_bft.proposer import turn
from lazai_consensus_bft.quorum import FlatRule, is_quorum
from lazai_core.api.consensus import Validator, validators_hash
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import ZERO_ADDRESS, Address

FIRST, SECOND = Address(b"\x01" * 20), Address(b"\x02" * 20)
POWERS = st.lists(st.integers(1, 7), min_size=1, max_size=5)


def member(number: int, power: int, idao: Address) -> Validator:
    return Validator(address=identity(number).address, power=power, idao=idao)


@given(POWERS)
@settings(max_examples=60, deadline=None)
def test_a_period_is_the_sorted_list_of_everybodys_places(powers: list[int]) -> None:
    places = sorted(
        (Fraction(2 * slot + 1, 2 * power), position) for position, power in enumerate(powers) for slot in range(power)
    )
    total, seen = sum(powers), Counter[int]()
    for index in range(2 * total):
        position, earlier = turn(powers, index)
        assert position == places[index % total][1]
        assert earlier == seen[position]
        seen[position] += 1


@given(st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=20), st.integers(0, 2**70))
@settings(max_examples=40, deadline=None)
def test_turns_are_near_a_members_share_however_large_the_powers(powers: list[int], index: int) -> None:
    position, earlier = turn(powers, index)
    share = Fraction(powers[position], sum(powers)) * index

    assert abs(earlier - share) <= len(powers)


def test_equal_powers_rotate() -> None:
    assert [turn([3, 3, 3], index)[0] for index in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_idaos_take_turns_and_their_members_inside_them() -> None:
    committee = committee_of([member(2, 2, SECOND), member(1, 1, FIRST), member(0, 1, FIRST)])
    counts = Counter(committee.proposer(height, 0) for height in range(400))

    assert counts == {identity(0).address: 100, identity(1).address: 100, identity(2).address: 200}
    assert committee.proposer(3, 2) == committee.proposer(5, 0)


def test_a_committee_has_the_hash_that_headers_carry() -> None:
    validators = [Validator(address=identity(number).address, power=number + 1) for number in range(4)]

    assert committee_of(validators).hash == validators_hash(validators)
    assert committee_of(validators[::-1]).hash == committee_of(validators).hash


def test_the_hash_of_a_committee_covers_every_power_and_place() -> None:
    sets = (
        [member(0, 1, FIRST), member(1, 2, FIRST)],
        [member(0, 1, FIRST), member(1, 3, FIRST)],
        [member(0, 1, SECOND), member(1, 2, SECOND)],
        [member(0, 1, FIRST)],
        [member(0, 1, FIRST), member(1, 2, SECOND)],
        [member(0, 1, FIRST), member(1, 2, ZERO_ADDRESS)],
    )
    assert len({committee_of(validators).hash for validators in sets}) == len(sets)


def test_ambiguous_committees_are_refused() -> None:
    validator = member(0, 1, ZERO_ADDRESS)
    for validators in (
        [],
        [validator, validator],
        [evolve(validator, power=0)],
        [member(0, 1, FIRST), member(0, 1, SECOND)],
        [member(0, 0, FIRST), member(1, 1, FIRST)],
    ):
        with pytest.raises(ConsensusFault):
            committee_of(validators)


def test_one_member_an_idao_is_the_flat_rule() -> None:
    alone = committee_of([member(0, 1, FIRST), member(1, 2, SECOND)])

    assert isinstance(alone.rule, FlatRule)


def test_an_idao_cannot_take_a_lone_validator_in_by_its_address() -> None:
    lone = member(0, 4, ZERO_ADDRESS)
    named_alike = committee_of([lone, *(member(number, 1, lone.address) for number in range(1, 4))])

    assert is_quorum(named_alike.rule, [identity(number).address for number in range(4)])
    assert not is_quorum(named_alike.rule, [identity(number).address for number in range(1, 4)])
    assert is_quorum(committee_of([evolve(lone, power=9), member(1, 1, lone.address)]).rule, [lone.address])
