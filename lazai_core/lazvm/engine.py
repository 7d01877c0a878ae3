"""The one module that imports py-evm. What it needs to be fast is set before the import.

py-evm picks its Keccak when it is first imported, and prefers a slower library unless it is told; eth-keys takes
coincurve by itself where it is installed, which the distribution requires. py-evm's types are its own (another
Address, another Hash32), so that its names leave this module without them.
"""

from __future__ import annotations

import os
import sys
from typing import Any, TypeAlias

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

from eth.exceptions import OutOfGas, Revert, VMError
from eth.precompiles import point_evaluation
from eth.vm import execution_context, message, transaction_context
from eth.vm.forks.prague import computation, state
from eth.vm.forks.prague import constants as prague

# py-evm sets 100,000 for the whole process, after which a deeply nested JSON document ends the interpreter. Calls
# 1,024 deep, the EVM's limit, take about 8,000 frames; C code recurses safely to more than twice this number.
RECURSION_LIMIT = 20_000
sys.setrecursionlimit(RECURSION_LIMIT)

ComputationAPI: TypeAlias = Any
MessageAPI: TypeAlias = Any

BaseTransactionContext: Any = transaction_context.BaseTransactionContext
ExecutionContext: Any = execution_context.ExecutionContext
Message: Any = message.Message
PragueComputation: Any = computation.PragueComputation
PragueState: Any = state.PragueState
PragueTransactionExecutor: Any = state.PragueTransactionExecutor

DELEGATION_PREFIX = bytes(prague.DELEGATION_DESIGNATION_PREFIX)
HISTORY_SERVE_WINDOW = int(prague.HISTORY_SERVE_WINDOW)
HISTORY_STORAGE_ADDRESS: Any = prague.HISTORY_STORAGE_ADDRESS
REFUND_EXISTING_AUTHORITY = int(prague.PER_EMPTY_ACCOUNT_BASE_COST - prague.PER_AUTH_BASE_COST)


def kzg_setup_path() -> str:
    """File of the KZG ceremony's result that py-evm brings."""
    return str(point_evaluation.TRUSTED_SETUP_PATH)


__all__ = [
    "DELEGATION_PREFIX",
    "HISTORY_SERVE_WINDOW",
    "HISTORY_STORAGE_ADDRESS",
    "REFUND_EXISTING_AUTHORITY",
    "BaseTransactionContext",
    "ComputationAPI",
    "ExecutionContext",
    "Message",
    "MessageAPI",
    "OutOfGas",
    "PragueComputation",
    "PragueState",
    "PragueTransactionExecutor",
    "Revert",
    "VMError",
    "kzg_setup_path",
]
