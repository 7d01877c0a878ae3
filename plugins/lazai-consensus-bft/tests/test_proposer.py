"""Turns to propose: fair in every prefix, exact over a period, the same everywhere."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from bft_driving import identity
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_consensus_bft.committee import flat_committee, nested_committee, validators_hash
from lazai_consensus_bft.proposer import turn
from lazai_consensus_bft.quorum import Idao
from lazai_core.api.consensus import Validator
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import Address
from lazai_core.chain.block import validators_hash as header_validators_hash

POWERS = st.lists(st.integers(1, 7), min_size=1, max_size=5)


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
    first = Idao(name=Address(b"\x01" * 20), power=1, members=((identity(0).address, 1), (identity(1).address, 1)))
    second = Idao(name=Address(b"\x02" * 20), power=1, members=((identity(2).address, 1),))
    committee = nested_committee([second, first])
    counts = Counter(committee.proposer(height, 0) for height in range(400))

    assert counts == {identity(0).address: 100, identity(1).address: 100, identity(2).address: 200}
    assert committee.proposer(3, 2) == committee.proposer(5, 0)


def test_a_flat_committee_has_the_hash_that_headers_carry() -> None:
    validators = [Validator(address=identity(number).address, power=number + 1) for number in range(4)]

    assert flat_committee(validators).hash == validators_hash(validators) == header_validators_hash(validators)
    assert flat_committee(validators[::-1]).hash == flat_committee(validators).hash


def test_the_hash_of_idaos_covers_every_power_and_place() -> None:
    members = ((identity(0).address, 1), (identity(1).address, 2))
    name, other = Address(b"\x01" * 20), Address(b"\x02" * 20)
    hashes = {
        nested_committee(idaos).hash
        for idaos in (
            [Idao(name=name, power=1, members=members)],
            [Idao(name=name, power=2, members=members)],
            [Idao(name=other, power=1, members=members)],
            [Idao(name=name, power=1, members=members[:1])],
            [Idao(name=name, power=1, members=members[:1]), Idao(name=other, power=1, members=members[1:])],
        )
    }
    assert len(hashes) == 5


def test_ambiguous_committees_are_refused() -> None:
    validator = Validator(address=identity(0).address, power=1)
    idao = Idao(name=Address(b"\x01" * 20), power=1, members=((identity(0).address, 1),))
    for validators in ([], [validator, validator], [Validator(address=validator.address, power=0)]):
        with pytest.raises(ConsensusFault):
            flat_committee(validators)
    for idaos in ([], [idao, idao], [Idao(name=idao.name, power=0, members=idao.members)]):
        with pytest.raises(ConsensusFault):
            nested_committee(idaos)
