"""The compute records of one block, as precompiles read them during execution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.precompile import NeedsCompute, StatePort
from lazai_core.api.types import Gas, JobId


class RecordCheck(Protocol):
    """Decides whether a record may stand in a block."""

    def __call__(self, job: ComputeJob, record: ComputeRecord, state: StatePort) -> None:
        """Raises InvalidBlock with the worker to blame when signature, size or proof is wrong."""


class BlockWitness:
    """Records by job; remembers which were needed and in what order, transaction by transaction."""

    def __init__(
        self, records: Mapping[JobId, ComputeRecord], check: RecordCheck, state: StatePort
    ) -> None:
        self._records = records
        self._check = check
        self._state = state
        self._used: dict[JobId, ComputeRecord] = {}
        self._pending: dict[JobId, ComputeRecord] = {}

    def record(self, job: ComputeJob) -> ComputeRecord:
        """The checked record of `job`. Raises NeedsCompute, or InvalidBlock with the worker to blame."""
        job_id = job.job_id
        record = self._records.get(job_id)
        if record is None:
            raise NeedsCompute(job)
        if job_id not in self._used and job_id not in self._pending:
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


class ComputeGasExceeded(Exception):
    """The block's compute gas does not suffice for what a transaction asks; an effect, like NeedsCompute."""

    def __init__(self, wanted: int, left: int) -> None:
        super().__init__(f"{wanted} compute gas is asked for, {left} is left in the block")
        self.wanted = wanted
        self.left = left


class BlockComputeMeter:
    """Adds up the compute gas of a block, transaction by transaction, up to twice the target."""

    def __init__(self, limit: Gas) -> None:
        self.limit = limit
        self.used = Gas(0)
        self._pending = 0

    def add(self, gas: Gas) -> None:
        """Count `gas`. Raises ComputeGasExceeded when the block cannot hold it."""
        total = self.used + self._pending + gas
        if total > self.limit:
            raise ComputeGasExceeded(self._pending + gas, self.limit - self.used)
        self._pending += gas

    def keep(self) -> Gas:
        """The transaction stays in the block; returns its compute gas."""
        pending, self._pending = Gas(self._pending), 0
        self.used = Gas(self.used + pending)
        return pending

    def drop(self) -> None:
        """The transaction is left out."""
        self._pending = 0
