"""Who must agree: monotone quorum predicates, flat by power or nested by iDAO.

A *quorum* may decide. A set *hits every quorum* when no quorum can form without it, so at least one of its members is
honest as long as the faulty members leave some quorum whole. The second predicate is derived from the first: a set
hits every quorum exactly when its complement is none. It takes the place of the "f + 1" of the Tendermint paper
(arXiv 1807.04938, line 55). Nested quorums follow "Consensus Beyond Thresholds" (arXiv 2006.04616).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from attrs import frozen

from lazai_core.api.types import Address


class Tally(Protocol):
    """Counts a growing set of members. Each member is added at most once."""

    def add(self, member: Address) -> None:
        """Count a member of the rule; a stranger counts nothing."""

    @property
    def is_quorum(self) -> bool:
        """Whether the members counted so far may decide."""

    @property
    def hits_every_quorum(self) -> bool:
        """Whether no quorum can form without one of them."""


class QuorumRule(Protocol):
    """A quorum predicate over a fixed set of members."""

    members: frozenset[Address]

    def tally(self) -> Tally:
        """A fresh, empty count."""


def is_quorum(rule: QuorumRule, members: Iterable[Address]) -> bool:
    """Whether these members, each counted once, may decide."""
    tally = rule.tally()
    for member in frozenset(members):
        tally.add(member)
    return tally.is_quorum


def hits_every_quorum(rule: QuorumRule, members: Iterable[Address]) -> bool:
    """The derived predicate, by its definition: the complement is no quorum."""
    return not is_quorum(rule, rule.members - frozenset(members))


def _check_power(power: int, owner: str) -> None:
    if power < 1:
        raise ValueError(f"the power of {owner} is {power}; it must be at least 1")


class FlatRule:
    """More than two thirds of the power."""

    def __init__(self, powers: Mapping[Address, int]) -> None:
        for member, power in powers.items():
            _check_power(power, f"0x{member.hex()}")
        self.powers = dict(powers)
        self.members = frozenset(self.powers)
        self.total = sum(self.powers.values())

    def tally(self) -> FlatTally:
        """A fresh, empty count."""
        return FlatTally(self)


class FlatTally:
    """Sum of power."""

    __slots__ = ("_rule", "power")

    def __init__(self, rule: FlatRule) -> None:
        self._rule = rule
        self.power = 0

    def add(self, member: Address) -> None:
        """Count a member."""
        self.power += self._rule.powers.get(member, 0)

    @property
    def is_quorum(self) -> bool:
        """More than two thirds of all power."""
        return 3 * self.power > 2 * self._rule.total

    @property
    def hits_every_quorum(self) -> bool:
        """At least a third: what is left is then at most two thirds."""
        return self.power > 0 and 3 * self.power >= self._rule.total


@frozen(kw_only=True)
class Idao:
    """An iDAO: its power on the chain, and its members' power inside it."""

    name: Address
    power: int
    members: tuple[tuple[Address, int], ...]


class NestedRule:
    """iDAOs with more than two thirds of the chain's power, each with more than two thirds of its members' power.

    A member belongs to one iDAO only. With one member an iDAO the rule is the flat one.
    """

    def __init__(self, idaos: Sequence[Idao]) -> None:
        self.inner: list[FlatRule] = []
        self.outer: list[int] = []
        self.place: dict[Address, int] = {}
        for index, idao in enumerate(idaos):
            _check_power(idao.power, f"iDAO 0x{idao.name.hex()}")
            if not idao.members:
                raise ValueError(f"iDAO 0x{idao.name.hex()} has no member, so it could never vote")
            for member, _ in idao.members:
                if member in self.place:
                    raise ValueError(f"0x{member.hex()} is a member twice; one key belongs to one iDAO")
                self.place[member] = index
            self.inner.append(FlatRule(dict(idao.members)))
            self.outer.append(idao.power)
        self.total = sum(self.outer)
        self.members = frozenset(self.place)

    def tally(self) -> NestedTally:
        """A fresh, empty count."""
        return NestedTally(self)


class NestedTally:
    """Power inside each iDAO, and the power of the iDAOs that have voted or that can no longer vote without us."""

    __slots__ = ("_blocked", "_blocked_power", "_inner", "_rule", "_voted", "_voted_power")

    def __init__(self, rule: NestedRule) -> None:
        self._rule = rule
        self._inner: dict[int, FlatTally] = {}
        self._voted: set[int] = set()
        self._blocked: set[int] = set()
        self._voted_power = 0
        self._blocked_power = 0

    def add(self, member: Address) -> None:
        """Count a member in its iDAO."""
        index = self._rule.place.get(member)
        if index is None:
            return
        inner = self._inner.get(index)
        if inner is None:
            inner = self._inner[index] = self._rule.inner[index].tally()
        inner.add(member)
        if inner.is_quorum and index not in self._voted:
            self._voted.add(index)
            self._voted_power += self._rule.outer[index]
        if inner.hits_every_quorum and index not in self._blocked:
            self._blocked.add(index)
            self._blocked_power += self._rule.outer[index]

    @property
    def is_quorum(self) -> bool:
        """iDAOs with more than two thirds of the chain's power have voted."""
        return 3 * self._voted_power > 2 * self._rule.total

    @property
    def hits_every_quorum(self) -> bool:
        """iDAOs with at least a third of the chain's power cannot vote without the counted members."""
        return self._blocked_power > 0 and 3 * self._blocked_power >= self._rule.total
