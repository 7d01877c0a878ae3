"""The validators of one height: their powers, their quorum rule and their turns to propose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from attrs import field, frozen

from lazai_core.api.consensus import Validator
from lazai_core.api.encoding import Writer, domain_hash
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import Address, Hash32

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


CommitteeOf: TypeAlias = Callable[[Sequence[Validator]], Committee]


def validators_hash(validators: Sequence[Validator]) -> Hash32:
    """Hash over (address, power), powers as u64, in order of address, as block headers carry it."""
    writer = Writer()
    ordered = sorted(validators, key=lambda validator: validator.address)
    writer.sequence(ordered, lambda out, validator: out.raw(validator.address).u64(validator.power))
    return Hash32(domain_hash("lazai/validators/v1", writer.finish()))


def idaos_hash(idaos: Sequence[Idao]) -> Hash32:
    """Hash over every iDAO's name and power and its members' (address, power), in order of name and address."""
    writer = Writer()

    def write(out: Writer, idao: Idao) -> None:
        out.raw(idao.name).u64(idao.power)
        out.sequence(sorted(idao.members), lambda inner, member: inner.raw(member[0]).u64(member[1]))

    writer.sequence(sorted(idaos, key=lambda idao: idao.name), write)
    return Hash32(domain_hash("lazai/validators/idaos/v1", writer.finish()))


def flat_committee(validators: Sequence[Validator]) -> Committee:
    """Every validator counts by its own power. Raises ConsensusFault for an empty or ambiguous set."""
    ordered = sorted(validators, key=lambda validator: validator.address)
    powers = {validator.address: validator.power for validator in ordered}
    if not ordered:
        raise ConsensusFault("a validator set is empty; nobody could decide")
    if len(powers) != len(ordered):
        raise ConsensusFault("a validator set names one address twice")
    try:
        rule = FlatRule(powers)
    except ValueError as error:
        raise ConsensusFault(str(error)) from error
    weights = [validator.power for validator in ordered]
    return Committee(
        rule=rule,
        hash=validators_hash(ordered),
        turn_of=lambda index: ordered[turn(weights, index)[0]].address,
    )


def nested_committee(idaos: Sequence[Idao]) -> Committee:
    """Quorums of iDAO quorums; iDAOs take turns by chain power, and inside one its members by theirs.

    Raises ConsensusFault for an empty or ambiguous set.
    """
    ordered = sorted(idaos, key=lambda idao: idao.name)
    if not ordered:
        raise ConsensusFault("a set of iDAOs is empty; nobody could decide")
    if len({idao.name for idao in ordered}) != len(ordered):
        raise ConsensusFault("a set of iDAOs holds one name twice")
    try:
        rule = NestedRule(ordered)
    except ValueError as error:
        raise ConsensusFault(str(error)) from error
    outer = [idao.power for idao in ordered]
    members = [sorted(idao.members) for idao in ordered]

    def turn_of(index: int) -> Address:
        position, earlier = turn(outer, index)
        inner = members[position]
        return inner[turn([power for _, power in inner], earlier)[0]][0]

    return Committee(rule=rule, hash=idaos_hash(ordered), turn_of=turn_of)
