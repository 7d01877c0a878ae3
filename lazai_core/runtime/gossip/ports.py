"""What gossip needs of the pools. Each may be missing: a node then takes part in what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.types import JobId
from lazai_core.chain.transaction import Transaction


class TransactionPort(Protocol):
    """Transactions of wallets that wait for a block."""

    def on_added(self, tell: Callable[[Transaction], None]) -> None:
        """Call `tell` for every transaction that enters the pool from now on, wherever it comes from."""

    def raw(self, transaction_hash: bytes) -> bytes | None:
        """The bytes of a transaction in the pool."""

    def pending(self) -> Iterator[bytes]:
        """Hashes of the transactions in the pool, the oldest first."""

    async def submit(self, transaction: Transaction) -> None:
        """Take a peer's transaction in as if a wallet had sent it. Raises InvalidTransaction or Busy."""


class RecordPort(Protocol):
    """Compute records that wait for a block."""

    def on_added(self, tell: Callable[[ComputeRecord], None]) -> None:
        """Call `tell` for every verified record that enters the pool from now on."""

    def record(self, job_id: JobId) -> ComputeRecord | None:
        """A record in the pool."""

    async def keep(self, job: ComputeJob, record: ComputeRecord) -> None:
        """Verify a peer's record of a job that is needed here and keep it. Raises InvalidBlock, blaming the worker."""


class EvidencePort(Protocol):
    """Proofs of misbehaviour that wait for a block."""

    def add(self, evidence: bytes) -> bool:
        """Whether it is new and right. Raises ConsensusFault for a forged one."""

    def pending(self) -> tuple[bytes, ...]:
        """What may enter the next block."""
