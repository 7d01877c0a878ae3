"""The one module that imports py-evm. What it needs to be fast is set before the import.

py-evm picks its Keccak when it is first imported, and prefers a slower library unless it is told; eth-keys takes
coincurve by itself where it is installed, which the distribution requires. py-evm's types are its own (another
Address, another Hash32), so that its names leave this module without them.
"""

from __future__ import annotations

import os
from typing import Any, TypeAlias

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

from eth import constants
from eth.db import account
from eth.db.backends import base
from eth.exceptions import OutOfGas, Revert, VMError
from eth.vm import execution_context, message, transaction_context
from eth.vm.forks.prague import computation, state
from eth.vm.forks.prague import constants as prague

ComputationAPI: TypeAlias = Any
MessageAPI: TypeAlias = Any

AccountDB: Any = account.AccountDB
BaseAtomicDB: Any = base.BaseAtomicDB
BaseTransactionContext: Any = transaction_context.BaseTransactionContext
ExecutionContext: Any = execution_context.ExecutionContext
Message: Any = message.Message
PragueComputation: Any = computation.PragueComputation
PragueState: Any = state.PragueState
PragueTransactionExecutor: Any = state.PragueTransactionExecutor

BLANK_ROOT_HASH = bytes(constants.BLANK_ROOT_HASH)
EMPTY_SHA3 = bytes(constants.EMPTY_SHA3)
DELEGATION_PREFIX = bytes(prague.DELEGATION_DESIGNATION_PREFIX)
HISTORY_SERVE_WINDOW = int(prague.HISTORY_SERVE_WINDOW)
HISTORY_STORAGE_ADDRESS: Any = prague.HISTORY_STORAGE_ADDRESS
REFUND_EXISTING_AUTHORITY = int(prague.PER_EMPTY_ACCOUNT_BASE_COST - prague.PER_AUTH_BASE_COST)

__all__ = [
    "BLANK_ROOT_HASH",
    "DELEGATION_PREFIX",
    "EMPTY_SHA3",
    "HISTORY_SERVE_WINDOW",
    "HISTORY_STORAGE_ADDRESS",
    "REFUND_EXISTING_AUTHORITY",
    "AccountDB",
    "BaseAtomicDB",
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
]
