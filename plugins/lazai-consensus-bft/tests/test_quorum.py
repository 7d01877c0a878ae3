"""The quorum predicates: their definitions, the meeting of quorums, and the nested rule's special case."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_consensus_bft.quorum import FlatRule, Idao, NestedRule, QuorumRule, hits_every_quorum, is_quorum
from lazai_core.api.types import Address


def member(number: int) -> Address:
    """An address."""
    return Address(number.to_bytes(20, "big"))


def subsets(rule: QuorumRule) -> list[frozenset[Address]]:
    """All sets of members."""
    ordered = sorted(rule.members)
    return [frozenset(chosen) for size in range(len(ordered) + 1) for chosen in combinations(ordered, size)]


def flat_rules(members_max: int = 6) -> st.SearchStrategy[FlatRule]:
    """Flat rules of small sets, powers alike and unlike."""
    powers = st.lists(st.integers(1, 9), min_size=1, max_size=members_max)
    return powers.map(lambda values: FlatRule({member(number): power for number, power in enumerate(values)}))


@st.composite
def nested_rules(draw: st.DrawFn, members_max: int = 9) -> NestedRule:
    """Nested rules of a few iDAOs."""
    idaos, used = [], 0
    for name in range(draw(st.integers(1, 4))):
        size = draw(st.integers(1, max(1, min(4, members_max - used - 3 + name))))
        members = tuple((member(used + number), draw(st.integers(1, 3))) for number in range(size))
        idaos.append(Idao(name=member(1000 + name), power=draw(st.integers(1, 4)), members=members))
        used += size
    return NestedRule(idaos)


RULES = st.one_of(flat_rules(), nested_rules())


@given(RULES)
@settings(max_examples=40, deadline=None)
def test_quorums_meet_outside_every_tolerated_faulty_set(rule: QuorumRule) -> None:
    """A faulty set is tolerated when what is left is still a quorum: the chain can go on without it."""
    quorums = [chosen for chosen in subsets(rule) if is_quorum(rule, chosen)]
    smallest = [chosen for chosen in quorums if not any(other < chosen for other in quorums)]
    for first in smallest:
        for second in smallest:
            both = first & second
            # The largest tolerated sets are the complements of the smallest quorums.
            assert all(both & left for left in smallest), (first, second)


@given(RULES)
@settings(max_examples=40, deadline=None)
def test_the_skip_rule_is_that_every_quorum_is_hit(rule: QuorumRule) -> None:
    quorums = [chosen for chosen in subsets(rule) if is_quorum(rule, chosen)]
    for chosen in subsets(rule):
        tally = rule.tally()
        for number in sorted(chosen):
            tally.add(number)
        hit = all(chosen & quorum for quorum in quorums)

        assert tally.hits_every_quorum == hit == hits_every_quorum(rule, chosen)
        assert tally.is_quorum == is_quorum(rule, chosen)


@given(RULES, st.randoms())
@settings(max_examples=40, deadline=None)
def test_more_members_never_undo_a_quorum(rule: QuorumRule, random: object) -> None:
    order = sorted(rule.members)
    random.shuffle(order)  # type: ignore[attr-defined]
    tally, quorum, hit = rule.tally(), False, False
    for number in order:
        tally.add(number)
        assert tally.is_quorum >= quorum
        assert tally.hits_every_quorum >= hit
        quorum, hit = tally.is_quorum, tally.hits_every_quorum
    assert (quorum, hit) == (True, True)


@given(st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_one_member_an_idao_is_the_flat_rule(values: list[int], data: st.DataObject) -> None:
    flat = FlatRule({member(number): power for number, power in enumerate(values)})
    nested = NestedRule(
        [
            Idao(name=member(1000 + number), power=power, members=((member(number), data.draw(st.integers(1, 9))),))
            for number, power in enumerate(values)
        ]
    )
    chosen = data.draw(st.sets(st.sampled_from(sorted(flat.members))))

    assert nested.members == flat.members
    assert is_quorum(nested, chosen) == is_quorum(flat, chosen)
    left, right = nested.tally(), flat.tally()
    for number in chosen:
        left.add(number)
        right.add(number)
    assert left.hits_every_quorum == right.hits_every_quorum == hits_every_quorum(flat, chosen)


def test_two_thirds_and_one_third_are_exact() -> None:
    rule = FlatRule({member(0): 60, member(1): 30, member(2): 10})
    assert is_quorum(rule, {member(0), member(2)})
    assert not is_quorum(rule, {member(0)})
    assert not hits_every_quorum(rule, {member(1)})
    assert hits_every_quorum(rule, {member(1), member(2)})
    thirds = FlatRule({member(number): 1 for number in range(3)})
    assert not is_quorum(thirds, {member(0), member(1)}), "exactly two thirds are not more than two thirds"
    assert hits_every_quorum(thirds, {member(0)})


def test_four_idaos_of_four_stand_seven_faults_where_sixteen_validators_stand_five() -> None:
    groups = [
        Idao(name=member(100 + group), power=1, members=tuple((member(4 * group + k), 1) for k in range(4)))
        for group in range(4)
    ]
    nested = NestedRule(groups)
    faulty = {member(number) for number in range(4)} | {member(4 * group) for group in (1, 2, 3)}
    flat = FlatRule(dict.fromkeys(nested.members, 1))

    assert len(faulty) == 7
    assert not hits_every_quorum(nested, faulty)
    assert hits_every_quorum(flat, faulty)
    assert not hits_every_quorum(flat, sorted(faulty)[:5])


def test_strangers_count_nothing_and_bad_sets_are_refused() -> None:
    rule = FlatRule({member(0): 1})
    tally = rule.tally()
    tally.add(member(9))
    assert (tally.is_quorum, tally.hits_every_quorum) == (False, False)
    nested = NestedRule([Idao(name=member(1), power=1, members=((member(0), 1),))]).tally()
    nested.add(member(9))
    assert (nested.is_quorum, nested.hits_every_quorum) == (False, False)
    assert not FlatRule({}).tally().is_quorum
    for idaos in (
        [Idao(name=member(1), power=0, members=((member(0), 1),))],
        [Idao(name=member(1), power=1, members=())],
        [Idao(name=member(1), power=1, members=((member(0), 0),))],
        [Idao(name=member(n), power=1, members=((member(0), 1),)) for n in (1, 2)],
    ):
        with pytest.raises(ValueError, match=r"at least 1|no member|member twice"):
            NestedRule(idaos)
