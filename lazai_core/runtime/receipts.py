"""Receipt files of settled jobs, made from the chain when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.consensus import Validator
from lazai_core.api.types import JobId
from lazai_core.chain.history import ChainHistory

from .index import SettlementIndex


class ReceiptFiles:
    """Builds receipts; nothing is kept besides the chain and its index."""

    def __init__(self, *, history: ChainHistory, index: SettlementIndex, validators: Sequence[Validator]) -> None:
        self._history = history
        self._index = index
        self._validators = tuple(validators)

    def build(self, job_id: JobId) -> bytes | None:
        """The canonical receipt file of a job, or None where no block holds it."""
        place = self._index.job(job_id)
        if place is None:
            return None
        raise NotImplementedError
