"""Records that were made and verified and wait for the block that needs them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from attrs import frozen

from lazai_core.api.job import ComputeRecord, Measurement
from lazai_core.api.proof import Verdict
from lazai_core.api.types import JobId


@frozen(kw_only=True)
class KnownRecord:
    """A verified record, how it was verified, what making it took (None for another worker's), and when it came."""

    record: ComputeRecord
    verdict: Verdict
    measurement: Measurement | None
    height: int
    size_bytes: int


class RecordPool:
    """Verified records by job id, bounded: the oldest give way, and unused ones expire after some blocks."""

    def __init__(self, *, count_max: int, bytes_max: int, blocks_max: int) -> None:
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._blocks_max = blocks_max
        self._known: OrderedDict[JobId, KnownRecord] = OrderedDict()
        self._bytes = 0
        self._added: Callable[[ComputeRecord], None] = lambda record: None

    def __len__(self) -> int:
        return len(self._known)

    @property
    def size_bytes(self) -> int:
        """Bytes of all records."""
        return self._bytes

    def add(self, record: ComputeRecord, verdict: Verdict, height: int, measurement: Measurement | None = None) -> None:
        """Keep a verified record; a job's first record stays, as all right ones agree on the output."""
        if record.job_id in self._known:
            return
        size = len(record.output) + len(record.proof.data)
        self._known[record.job_id] = KnownRecord(
            record=record, verdict=verdict, measurement=measurement, height=height, size_bytes=size
        )
        self._bytes += size
        # The newest always stays: it is the one that somebody waits for.
        while len(self._known) > 1 and (self._bytes > self._bytes_max or len(self._known) > self._count_max):
            self._drop(next(iter(self._known)))
        self._added(record)

    def on_added(self, tell: Callable[[ComputeRecord], None]) -> None:
        """Call `tell` for every record that comes in from now on."""
        self._added = tell

    def get(self, job_id: JobId) -> KnownRecord | None:
        """The record of a job."""
        return self._known.get(job_id)

    def snapshot(self) -> dict[JobId, ComputeRecord]:
        """All records, as a value that another thread may read."""
        return {job_id: known.record for job_id, known in self._known.items()}

    def settled(self, job_ids: Iterable[JobId]) -> None:
        """These stand in a block now."""
        for job_id in job_ids:
            self._drop(job_id)

    def expire(self, height: int) -> int:
        """Drop what no block has needed for long; returns how many."""
        old = [job_id for job_id, known in self._known.items() if known.height + self._blocks_max < height]
        for job_id in old:
            self._drop(job_id)
        return len(old)

    def _drop(self, job_id: JobId) -> None:
        known = self._known.pop(job_id, None)
        if known is not None:
            self._bytes -= known.size_bytes
