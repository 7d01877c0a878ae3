"""Calls of the contract Validators: those of owners and iDAOs, and the one that a block makes itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lazai_core.api.consensus import Offence, OffenceKind
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import VALIDATORS_ADDRESS, Address, Hash32

from .abi import address_word, encode_call

REGISTER_VALIDATOR = "register(address,address,bytes)"
ADD_STAKE = "addStake(address)"
WITHDRAW_STAKE = "withdrawStake(address,uint256)"
CLAIM = "claim(address)"
ACTIVATE = "activate(address)"
UNJAIL = "unjail(address)"
MOVE = "move(address,address)"
CONSENT = "consent(address,address)"
DISMISS = "dismiss(address,address)"
SET_ADMIN = "setAdmin(address)"
APPROVE = "approve(address,uint64)"
STAKING_PARAMETERS = "(uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256)"
SET_STAKING = f"setParameters({STAKING_PARAMETERS})"
BEGIN_BLOCK = "beginBlock(address[],(address,uint8)[])"

_DOMAIN_TYPE_HASH = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_REGISTRATION_TYPE_HASH = keccak256(b"ValidatorRegistration(address validator,address owner,address idao)")

_OFFENCE_NUMBERS: Mapping[OffenceKind, int] = {
    OffenceKind.DOUBLE_VOTE: 0,
    OffenceKind.DOUBLE_PROPOSAL: 0,
    OffenceKind.AMNESIA: 1,
}


def encode_begin_block(absent: Sequence[Address], offences: Sequence[Offence]) -> bytes:
    """Calldata of a block's own call: who did not sign the parent, and who broke the rules."""
    judged = [(offence.validator, _OFFENCE_NUMBERS[offence.kind]) for offence in offences]
    return encode_call(BEGIN_BLOCK, list(absent), judged)


def registration_digest(chain_id: int, validator: Address, owner: Address, idao: Address) -> Hash32:
    """What a validator's key signs to be registered by `owner` (EIP-712)."""
    words = keccak256(b"LazAI"), keccak256(b"1"), chain_id.to_bytes(32, "big"), address_word(VALIDATORS_ADDRESS)
    domain = keccak256(_DOMAIN_TYPE_HASH + b"".join(words))
    members = b"".join(address_word(item) for item in (validator, owner, idao))
    return keccak256(b"\x19\x01" + domain + keccak256(_REGISTRATION_TYPE_HASH + members))
