"""What a block carries for its transactions: compute records, and so much of everything that is scarce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.precompile import NeedsCompute, StatePort
from lazai_core.api.types import JobId


class RecordCheck(Protocol):
    """Decides whether a record may stand in a block."""

    def __call__(self, job: ComputeJob, record: ComputeRecord, state: StatePort) -> None:
        """Raises InvalidBlock with the worker to blame when signature, size or proof is wrong."""


class BlockFull(Exception):
    """The block cannot hold what a transaction asks for; an effect, like NeedsCompute."""

    def __init__(self, what: str, wanted: int, left: int) -> None:
        super().__init__(f"{wanted} {what} asked for, {left} left in the block")
        self.wanted = wanted
        self.left = left


class BlockMeter:
    """Adds up something of which a block may hold so much, transaction by transaction: a `ComputeMeter`."""

    def __init__(self, what: str, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._what = what
        self._pending = 0

    def add(self, gas: int) -> None:
        """Count `gas`. Raises BlockFull when the block cannot hold it."""
        if self.used + self._pending + gas > self.limit:
            raise BlockFull(self._what, self._pending + gas, self.limit - self.used)
        self._pending += gas

    def keep(self) -> int:
        """The transaction stays in the block; returns its part."""
        pending, self._pending = self._pending, 0
        self.used += pending
        return pending

    def drop(self) -> None:
        """The transaction is left out."""
        self._pending = 0


class BlockWitness:
    """Records by job; remembers which were needed and in what order, transaction by transaction."""

    def __init__(
        self, records: Mapping[JobId, ComputeRecord], check: RecordCheck, state: StatePort, size: BlockMeter
    ) -> None:
        self._size = size
        self._records = records
        self._check = check
        self._state = state
        self._used: dict[JobId, ComputeRecord] = {}
        self._pending: dict[JobId, ComputeRecord] = {}

    def record(self, job: ComputeJob) -> ComputeRecord:
        """The checked record of `job`. Raises NeedsCompute, BlockFull, or InvalidBlock with the worker to blame."""
        job_id = job.job_id
        record = self._records.get(job_id)
        if record is None:
            raise NeedsCompute(job)
        if job_id not in self._used and job_id not in self._pending:
            self._size.add(len(record.encode()))
            self._check(job, record, self._state)
            self._pending[job_id] = record
        return record

    def keep(self) -> None:
        """The transaction stays in the block, and so do the records that it needed first."""
        self._used.update(self._pending)
        self._pending = {}

    def drop(self) -> None:
        """The transaction is left out."""
        self._pending = {}

    @property
    def used(self) -> tuple[ComputeRecord, ...]:
        """Records of the transactions kept, in the order in which they were first needed."""
        return tuple(self._used.values())
