"""The validators of one height: their powers, their quorum rule and their turns to propose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import field, frozen

from lazai_core.api.consensus import Validator, validators_hash
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import ZERO_ADDRESS, Address, Hash32

from .proposer import turn
from .quorum import FlatRule, Idao, NestedRule, QuorumRule

TURNS_CACHED_MAX = 1024


@frozen(kw_only=True, eq=False)
class Committee:
    """A quorum rule, the hash a header carries for it, and `turn_of`, the proposer of a running index."""

    rule: QuorumRule
    hash: Hash32
    turn_of: Callable[[int], Address]
    _turns: dict[int, Address] = field(factory=dict, init=False, repr=False)

    def proposer(self, height: int, round_number: int) -> Address:
        """Who proposes in this round: turns go on by one with each height and each round."""
        index = height + round_number
        found = self._turns.get(index)
        if found is None:
            if len(self._turns) >= TURNS_CACHED_MAX:
                self._turns.clear()
            found = self._turns[index] = self.turn_of(index)
        return found

    def __contains__(self, member: Address) -> bool:
        return member in self.rule.members


def committee_of(validators: Sequence[Validator]) -> Committee:
    """The committee of a validator set: nested where any validator belongs to an iDAO, flat otherwise.

    An iDAO's power on the chain is the sum of its members'; a validator of no iDAO is one of its own. iDAOs take turns
    to propose by power, and inside one its members by theirs. Raises ConsensusFault for an empty or ambiguous set.
    """
    ordered = sorted(validators, key=lambda validator: validator.address)
    if not ordered:
        raise ConsensusFault("a validator set is empty; nobody could decide")
    if len({validator.address for validator in ordered}) != len(ordered):
        raise ConsensusFault("a validator set names one address twice")
    groups = _groups(ordered)
    try:
        rule = _rule(groups)
    except ValueError as error:
        raise ConsensusFault(str(error)) from error
    outer = [sum(member.power for member in members) for members in groups.values()]
    inner = list(groups.values())

    def turn_of(index: int) -> Address:
        position, earlier = turn(outer, index)
        members = inner[position]
        return members[turn([member.power for member in members], earlier)[0]].address

    return Committee(rule=rule, hash=validators_hash(ordered), turn_of=turn_of)


def _groups(ordered: Sequence[Validator]) -> dict[tuple[bool, Address], list[Validator]]:
    """Members by iDAO, in order: first the validators of none, each under its own address, then the iDAOs."""
    groups: dict[tuple[bool, Address], list[Validator]] = {}
    for validator in ordered:
        alone = validator.idao == ZERO_ADDRESS
        # An iDAO that takes a lone validator's address as its own must not become one group with it.
        key = (not alone, validator.address if alone else validator.idao)
        groups.setdefault(key, []).append(validator)
    return dict(sorted(groups.items()))


def _rule(groups: dict[tuple[bool, Address], list[Validator]]) -> QuorumRule:
    if all(len(members) == 1 for members in groups.values()):
        return FlatRule({member.address: member.power for (member,) in groups.values()})
    return NestedRule(
        [
            Idao(
                name=name,
                power=sum(member.power for member in members),
                members=tuple((member.address, member.power) for member in members),
            )
            for (_, name), members in groups.items()
        ]
    )
