"""What waits for a block: transactions that wallets signed, and calls that this node signs when it builds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum

from attrs import define, field, frozen

from lazai_core.api.compute import CancelToken
from lazai_core.api.job import ComputeJob, Measurement
from lazai_core.api.types import Address, Gas
from lazai_core.chain.block import Block
from lazai_core.chain.receipts import Receipt
from lazai_core.chain.transaction import Transaction


class Phase(Enum):
    """Where a piece of work stands. PENDING lacks records, READY may enter a block, DONE has left the pool."""

    PENDING = "pending"
    READY = "ready"
    DONE = "done"


@frozen(kw_only=True)
class Inclusion:
    """A transaction in its block, with what is needed to tell how it went."""

    block: Block = field(repr=False)
    receipts: tuple[Receipt, ...] = field(repr=False)
    index: int
    transaction: Transaction = field(repr=False)

    @property
    def receipt(self) -> Receipt:
        """Its receipt."""
        return self.receipts[self.index]

    @property
    def gas_used(self) -> Gas:
        """EVM gas that it used."""
        before = self.receipts[self.index - 1].cumulative_gas_used if self.index else 0
        return Gas(self.receipt.cumulative_gas_used - before)


def new_future() -> asyncio.Future[Inclusion]:
    """A future whose failure may go unread: nobody has to wait for a transaction."""
    future: asyncio.Future[Inclusion] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return future


@define(kw_only=True, eq=False)
class Work:
    """One future transaction. `done` resolves when a durable block holds it, or fails with the reason."""

    work_id: bytes
    sender: Address
    size_bytes: int
    phase: Phase = Phase.PENDING
    rounds: int = 0
    received_ns: int = 0
    done: asyncio.Future[Inclusion] = field(factory=new_future)
    cancel: CancelToken = field(factory=CancelToken)

    def fail(self, reason: Exception) -> None:
        """Tell whoever waits why there will be no block with it, and stop computing for it."""
        self.phase = Phase.DONE
        self.cancel.cancel()
        if not self.done.done():
            self.done.set_exception(reason)

    def include(self, inclusion: Inclusion) -> None:
        """Tell whoever waits where it is."""
        self.phase = Phase.DONE
        if not self.done.done():
            self.done.set_result(inclusion)


@define(kw_only=True, eq=False)
class WalletTransaction(Work):
    """A transaction as its sender signed it; `foreign` where a peer brought it, which may compute what it needs."""

    transaction: Transaction
    foreign: bool = False


@define(kw_only=True, eq=False)
class NodeCall(Work):
    """A call that this node pays for and signs at the moment it builds a block, so that nonces leave no gaps.

    `jobs` are the records it is known to need; `fixed_gas` and `runs` (compute gas) give its gas limit.
    `lane` orders calls that must enter blocks one after the other.
    `explain` turns a revert of the call into the error of its requester.
    """

    to: Address
    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    jobs: tuple[ComputeJob, ...]
    fixed_gas: Gas
    runs: tuple[Gas, ...]
    explain: Callable[[bytes], Exception] = field(repr=False)
    lane: tuple[Address, int] | None = None
    counter: int = 0
    expiry: int = 0
    measurements: tuple[Measurement, ...] = ()
    verified: tuple[str, ...] = ()
