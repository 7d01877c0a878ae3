"""The rule of every operation of an exact program: result type, result interval, and what is refused.

This is `docs/EXACT.md` sections 1, 2 and 4 in Python integers. Nothing here touches tensor data, so that a
validator which holds only a program's skeleton can check it whole. The symbolic dimension counts at its
maximum (or minimum, whichever is worse).
"""

from __future__ import annotations

from ..program_types import ACCUMULATOR_LIMIT, SYMBOLIC, AttributeValue, Dim, DType, Shape, ValueInfo
from .base import RuleViolation, check_extents, round_shift
from .elementwise import broadcast
from .linear import weighted_reach
from .schemas import OP_SCHEMAS, OpSchema, infer

__all__ = [
    "infer",
    "check_extents",
    "RuleViolation",
    "OP_SCHEMAS",
    "OpSchema",
    "round_shift",
    "broadcast",
    "weighted_reach",
    "ACCUMULATOR_LIMIT",
    "SYMBOLIC",
    "AttributeValue",
    "DType",
    "Dim",
    "Shape",
    "ValueInfo",
]
