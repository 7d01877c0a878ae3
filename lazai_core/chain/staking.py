"""The contract Validators: its first storage, and what it holds, read without running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import asdict, frozen

from lazai_core.api.consensus import Validator
from lazai_core.api.errors import InvalidGenesis
from lazai_core.api.precompile import StatePort
from lazai_core.api.types import VALIDATORS_ADDRESS, ZERO_ADDRESS, Address, Wei, to_hex

from .storage_layout import array_slot, mapping_slot, packed_field, word_address

COIN_WEI = 10**18
SHARE_ALL = 1_000_000
"""Shares are in millionths."""
SET_COUNT_MAX = 512
"""No set is larger, whatever the governor says: the contract's work at the start of a block grows with it."""
POWER_MAX = 2**48
STAKE_MAX = 2**127

_SET, _RECORDS, _CONSENTS, _TOTAL_POWER, _PARAMETERS = 0, 1, 3, 4, 9
_SEAT, _BOND = 1, 2
# Offsets of bytes in the slots of a validator's record.
_POSITION_BYTES, _CONVICTED_BYTES = 20, 24
_POWER_BYTES = 20
_APPROVED_BYTES, _JAILED_BYTES = 16, 24


@frozen(kw_only=True)
class StakingParameters:
    """What the genesis fixes and, but for `power_unit`, the governor may change. Stakes in wei, times in blocks.

    Power is stake divided by `power_unit`, rounded down. Shares are in millionths: of an offender's bonded and
    unbonding stake that is burnt, and of the set's power that may enter it in a window without the governor's approval.
    """

    power_unit: Wei = Wei(COIN_WEI)
    minimum_stake: Wei = Wei(COIN_WEI)
    count_max: int = 128
    unbonding_blocks: int = 200_000
    evidence_blocks: int = 100_000
    window_blocks: int = 1_000
    absences_max: int = 500
    jail_blocks: int = 600
    double_sign_share: int = 50_000
    amnesia_share: int = 50_000
    downtime_share: int = 100
    entry_share: int = 340_000


DEFAULT_STAKING = StakingParameters()

# Least and greatest value of each, as the contract holds them too.
RANGES: Mapping[str, tuple[int, int]] = {
    "power_unit": (1, STAKE_MAX),
    "minimum_stake": (1, STAKE_MAX),
    "count_max": (1, SET_COUNT_MAX),
    "unbonding_blocks": (3, 2**40),
    "evidence_blocks": (1, 2**40),
    "window_blocks": (2, 2**40),
    "absences_max": (1, 2**40),
    "jail_blocks": (1, 2**40),
    "double_sign_share": (0, SHARE_ALL),
    "amnesia_share": (0, SHARE_ALL),
    "downtime_share": (0, SHARE_ALL),
    "entry_share": (0, SHARE_ALL // 2 - 1),
}

STAKES = ("power_unit", "minimum_stake")
"""The parameters that are amounts in wei."""


def staking_problems(parameters: StakingParameters) -> list[str]:
    """What is wrong with parameters, one sentence each."""
    found = []
    for name, (least, most) in RANGES.items():
        value = getattr(parameters, name)
        if not least <= value <= most:
            found.append(f"{name} is {value}, outside {least} to {most}")
    if parameters.minimum_stake < parameters.power_unit:
        found.append("minimum_stake is below power_unit; a validator with it would have no power")
    if parameters.evidence_blocks > parameters.unbonding_blocks - 2:
        # A validator may withdraw its stake one block before it votes for the last time.
        found.append("evidence_blocks is not two below unbonding_blocks; stake could leave before it is judged")
    if parameters.absences_max >= parameters.window_blocks:
        found.append("absences_max is not below window_blocks; nobody could be absent so often")
    return found


def stake_of(validator: Validator, parameters: StakingParameters) -> Wei:
    """Stake behind a validator of the genesis."""
    return Wei(validator.power * parameters.power_unit)


def staked(validators: Sequence[Validator], parameters: StakingParameters) -> Wei:
    """Wei that the contract holds at the start for these validators."""
    return Wei(sum(stake_of(validator, parameters) for validator in validators))


def staking_storage(
    validators: Sequence[Validator],
    parameters: StakingParameters = DEFAULT_STAKING,
    owners: Mapping[Address, Address] | None = None,
) -> dict[int, int]:
    """First storage of the contract. A validator whose owner is not named owns itself.

    Raises InvalidGenesis for parameters or validators that the contract would not take.
    """
    problems = staking_problems(parameters)
    ordered = sorted(validators, key=lambda validator: validator.address)
    if not 1 <= len(ordered) <= parameters.count_max:
        problems.append(f"{len(ordered)} validators; 1 to count_max = {parameters.count_max} are possible")
    for validator in ordered:
        name = to_hex(validator.address)
        if stake_of(validator, parameters) < parameters.minimum_stake:
            problems.append(f"{name}: a power of {validator.power} is less than the minimum stake gives")
        if stake_of(validator, parameters) > STAKE_MAX:
            problems.append(f"{name}: a power of {validator.power} stands for more stake than {STAKE_MAX} wei")
        if not 1 <= validator.power <= POWER_MAX:
            problems.append(f"{name}: the power {validator.power} is outside 1 to {POWER_MAX}")
    if problems:
        raise InvalidGenesis("\n".join(problems))
    slots = {_SET: len(ordered), _TOTAL_POWER: sum(validator.power for validator in ordered)}
    for position, validator in enumerate(ordered, start=1):
        owner = (owners or {}).get(validator.address, validator.address)
        slots[array_slot(_SET, position - 1)] = _number(validator.address)
        slots.update(_record_slots(validator, owner, position, parameters))
    for index, value in enumerate(asdict(parameters).values()):
        slots[_PARAMETERS + index] = value
    return {slot: value for slot, value in slots.items() if value}


def _record_slots(
    validator: Validator, owner: Address, position: int, parameters: StakingParameters
) -> dict[int, int]:
    base = mapping_slot(_RECORDS, validator.address)
    slots = {
        base: _number(owner) | position << (8 * _POSITION_BYTES),
        base + _SEAT: _number(validator.idao) | validator.power << (8 * _POWER_BYTES),
        base + _BOND: stake_of(validator, parameters) | validator.power << (8 * _APPROVED_BYTES),
    }
    if any(validator.idao):
        slots[mapping_slot(_CONSENTS, validator.idao, validator.address)] = 1
    return slots


def _number(address: Address) -> int:
    return int.from_bytes(address, "big")


def owner_in(storage: Mapping[int, int], validator: Address) -> Address:
    """Owner of a validator in a first storage, zero where it has none."""
    return word_address(storage.get(mapping_slot(_RECORDS, validator), 0))


def has_staking(state: StatePort) -> bool:
    """Whether the chain has the contract; without it the genesis' validators decide for ever."""
    return bool(state.code(VALIDATORS_ADDRESS))


def read_validators(state: StatePort) -> tuple[Validator, ...]:
    """The set that the contract names, in order of address."""
    found = []
    for index in range(state.storage(VALIDATORS_ADDRESS, _SET)):
        address = word_address(state.storage(VALIDATORS_ADDRESS, array_slot(_SET, index)))
        seat = state.storage(VALIDATORS_ADDRESS, mapping_slot(_RECORDS, address) + _SEAT)
        power = packed_field(seat, _POWER_BYTES, 8)
        found.append(Validator(address=address, power=power, idao=word_address(seat)))
    return tuple(sorted(found, key=lambda validator: validator.address))


def read_staking(state: StatePort) -> StakingParameters:
    """The parameters that hold now."""
    names = list(RANGES)
    words = [state.storage(VALIDATORS_ADDRESS, _PARAMETERS + index) for index in range(len(names))]
    return StakingParameters(**dict(zip(names, words, strict=True)))  # type: ignore[arg-type]


def evidence_blocks(state: StatePort) -> int:
    """How many blocks after its height an offence may still be judged."""
    return state.storage(VALIDATORS_ADDRESS, _PARAMETERS + list(RANGES).index("evidence_blocks"))


def is_convicted(state: StatePort, validator: Address) -> bool:
    """Whether a validator was found to have broken the rules; nobody is judged twice."""
    word = state.storage(VALIDATORS_ADDRESS, mapping_slot(_RECORDS, validator))
    return packed_field(word, _CONVICTED_BYTES, 1) != 0


@frozen(kw_only=True)
class StakingRecord:
    """A validator in the contract. `power` is 0 outside of the set, `jailed_until` a block, 0 outside of jail."""

    owner: Address
    in_set: bool
    convicted: bool
    idao: Address
    power: int
    stake: Wei
    approved: int
    jailed_until: int


def read_record(state: StatePort, validator: Address) -> StakingRecord | None:
    """What the contract holds of a validator, None where nobody registered it."""
    base = mapping_slot(_RECORDS, validator)
    first, seat, bond = (state.storage(VALIDATORS_ADDRESS, base + index) for index in range(3))
    owner = word_address(first)
    if owner == ZERO_ADDRESS:
        return None
    return StakingRecord(
        owner=owner,
        in_set=packed_field(first, _POSITION_BYTES, 4) != 0,
        convicted=packed_field(first, _CONVICTED_BYTES, 1) != 0,
        idao=word_address(seat),
        power=packed_field(seat, _POWER_BYTES, 8),
        stake=Wei(packed_field(bond, 0, 16)),
        approved=packed_field(bond, _APPROVED_BYTES, 8),
        jailed_until=packed_field(bond, _JAILED_BYTES, 8),
    )
