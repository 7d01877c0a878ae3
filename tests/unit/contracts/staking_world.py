"""A chain whose contract Validators holds a few validators, and short words for what may be done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from lazai_core.api.consensus import Offence, OffenceKind, Validator
from lazai_core.api.hashing import sign_digest
from lazai_core.api.types import VALIDATORS_ADDRESS, ZERO_ADDRESS, Address, Height, Wei
from lazai_core.chain.abi import encode_call
from lazai_core.chain.staking import (
    StakingParameters,
    StakingRecord,
    read_record,
    read_validators,
    staked,
    staking_storage,
)
from lazai_core.chain.staking_calls import (
    ADD_STAKE,
    REGISTER_VALIDATOR,
    WITHDRAW_STAKE,
    encode_begin_block,
    registration_digest,
)
from tests.unit.contracts.harness import CHAIN_ID, COIN, GOVERNOR, Outcome, World, address_of, key_of

OWNER = address_of("user")
IDAO = address_of("other")
FIRST, SECOND, THIRD, FOURTH = (address_of(f"validator {number}") for number in range(4))
NEW = address_of("newcomer")

SMALL = StakingParameters(
    minimum_stake=Wei(2 * COIN),
    count_max=6,
    unbonding_blocks=50,
    evidence_blocks=40,
    window_blocks=10,
    absences_max=3,
    jail_blocks=7,
    double_sign_share=250_000,
    amnesia_share=100_000,
    downtime_share=10_000,
)
"""Short times and round shares."""


class StakingWorld(World):
    """Four validators of power 10, owned by OWNER, unless others are given; OWNER can pay."""

    def __init__(
        self,
        powers: Sequence[int] = (10, 10, 10, 10),
        parameters: StakingParameters = SMALL,
        idao: Address = ZERO_ADDRESS,
    ) -> None:
        names = [address_of(f"validator {number}") for number in range(len(powers))]
        members = [
            Validator(address=name, power=power, idao=idao) for name, power in zip(names, powers, strict=True)
        ]
        owners = dict.fromkeys(names, OWNER)
        super().__init__(staking=staking_storage(members, parameters, owners))
        self.state.set_balance(VALIDATORS_ADDRESS, staked(members, parameters))
        self.state.lock_changes()
        # The first window ends where a test begins.
        self.advance(blocks=parameters.window_blocks - 1)

    def do(self, sender: Address, signature: str, *values: Any, value: int = 0) -> Outcome:
        """A call of the contract, in a block of its own."""
        return self.send(sender, VALIDATORS_ADDRESS, encode_call(signature, *values), value=value)

    def register(
        self, name: str, stake: int, *, owner: Address = OWNER, idao: Address = ZERO_ADDRESS, signer: str = ""
    ) -> Outcome:
        """Register the validator of this name with so many coins."""
        validator = address_of(name)
        digest = registration_digest(CHAIN_ID, validator, owner, idao)
        signature = sign_digest(digest, key_of(signer or name))
        return self.do(owner, REGISTER_VALIDATOR, validator, idao, signature, value=stake * COIN)

    def add(self, validator: Address, coins: int, owner: Address = OWNER) -> Outcome:
        """Add stake."""
        return self.do(owner, ADD_STAKE, validator, value=coins * COIN)

    def withdraw(self, validator: Address, coins: int, owner: Address = OWNER) -> Outcome:
        """Withdraw stake."""
        return self.do(owner, WITHDRAW_STAKE, validator, coins * COIN)

    def begin(self, absent: Sequence[Address] = (), offences: Sequence[tuple[Address, OffenceKind]] = ()) -> None:
        """The chain's own call, in a block of its own."""
        judged = [Offence(validator=who, height=Height(1), kind=kind) for who, kind in offences]
        assert self.system(VALIDATORS_ADDRESS, encode_begin_block(absent, judged)) == ""

    def convict(self, validator: Address, kind: OffenceKind = OffenceKind.DOUBLE_VOTE) -> None:
        """The chain found a validator to have lied."""
        self.begin(offences=[(validator, kind)])

    def miss(self, validator: Address, times: int) -> None:
        """A validator does not sign so many blocks."""
        for _ in range(times):
            self.begin([validator])

    def next_window(self) -> None:
        """Go to the first block of the next window."""
        self.advance(blocks=SMALL.window_blocks - self.height % SMALL.window_blocks)

    @property
    def powers(self) -> dict[Address, int]:
        """The set as nodes read it."""
        return {validator.address: validator.power for validator in read_validators(self)}

    def record(self, validator: Address) -> StakingRecord:
        """A validator's record as nodes read it."""
        found = read_record(self, validator)
        assert found is not None
        return found

    def unbonding(self, validator: Address) -> list[tuple[int, int]]:
        """Pieces of unbonding stake: wei and block of release."""
        return [tuple(piece) for piece in self._record(validator)[10]]

    def _record(self, validator: Address) -> Any:
        kind = "(address,uint32,bool,address,uint64,uint128,uint64,uint64,uint64,uint64,(uint128,uint64)[])"
        (found,) = self.view(VALIDATORS_ADDRESS, "recordOf(address)", validator).values(kind)
        return found

    @property
    def burnt(self) -> int:
        """Wei that were slashed."""
        (found,) = self.view(VALIDATORS_ADDRESS, "burnt()").values("uint256")
        return int(found)

    @property
    def total_power(self) -> int:
        """Power of the set, as the contract counts it."""
        (found,) = self.view(VALIDATORS_ADDRESS, "totalPower()").values("uint256")
        return int(found)


def with_parameters(**changes: Any) -> StakingParameters:
    """The small parameters with changes."""
    return evolve(SMALL, **changes)


def error(name: str, **values: object) -> str:
    """A custom error as outcomes describe it."""
    shown = {key: f"0x{value.hex()}" if isinstance(value, bytes) else value for key, value in values.items()}
    return f"{name}({', '.join(f'{key}={value}' for key, value in shown.items())})"


__all__ = [
    "COIN", "FIRST", "FOURTH", "GOVERNOR", "IDAO", "NEW", "OWNER", "SECOND", "SMALL", "THIRD", "StakingWorld", "error",
    "with_parameters",
]
