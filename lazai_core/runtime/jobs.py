"""Jobs that contracts made, from the moment they turn up until a block holds their records."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from lazai_core.api.job import ComputeJob
from lazai_core.api.types import JobId
from lazai_core.lazvm.vm import ExecutedBlock

REMEMBERED_MAX = 4096


class ContractJobs:
    """The jobs themselves: a block holds their records, not their inputs, and receipts need both."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[JobId, ComputeJob] = OrderedDict()

    def remember(self, job: ComputeJob) -> None:
        """A transaction asked for this job."""
        self._jobs[job.job_id] = job
        if len(self._jobs) > REMEMBERED_MAX:
            self._jobs.popitem(last=False)

    def of_block(self, executed: ExecutedBlock) -> Mapping[JobId, tuple[int, ComputeJob]]:
        """Known jobs of a block, each with the index of the transaction that first needed it."""
        found = {}
        for index, outcome in enumerate(executed.outcomes):
            for record in outcome.records:
                job = self._jobs.get(record.job_id)
                if job is not None:
                    found[record.job_id] = (index, job)
        return found

    def forget(self, job_ids: Iterable[JobId]) -> None:
        """These are settled, or will never be."""
        for job_id in job_ids:
            self._jobs.pop(job_id, None)
