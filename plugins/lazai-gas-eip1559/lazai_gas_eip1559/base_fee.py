"""How a base fee moves from block to block (EIP-1559, section "Block validity").

    delta  = parent_fee * |used - target| // target // 8
    fee    = parent_fee + max(delta, 1)   when used > target
           = parent_fee - delta           when used < target
           = parent_fee                   when used = target

Two bounds are added: a fee is at least 1 wei, so that it can rise again, and below 2^64, so that it fits the header.
"""

from __future__ import annotations

from lazai_core.api.types import Gas, Wei

BASE_FEE_MAX_CHANGE_DENOMINATOR = 8
BASE_FEE_MIN = 1
BASE_FEE_MAX = 2**64 - 1


def next_base_fee(parent_fee: Wei, gas_used: Gas, gas_target: Gas) -> Wei:
    """Base fee of the child of a block, in wei per unit of gas; the same rule serves EVM gas and compute gas."""
    target = max(gas_target, 1)
    delta = parent_fee * abs(gas_used - target) // target // BASE_FEE_MAX_CHANGE_DENOMINATOR
    moved = parent_fee + max(delta, 1) if gas_used > target else parent_fee - delta
    return Wei(min(max(moved, BASE_FEE_MIN), BASE_FEE_MAX))


def highest_base_fee(base_fee: Wei, blocks: int) -> Wei:
    """The most that a base fee can become within `blocks` blocks, each using up to twice its target."""
    for _ in range(blocks):
        base_fee = next_base_fee(base_fee, Gas(2), Gas(1))
    return base_fee
