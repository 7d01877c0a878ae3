"""Receipt files of settled jobs, made from the chain when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazai_core.api.consensus import Certificate, Validator
from lazai_core.api.precompile import StatePort
from lazai_core.api.types import Hash32, Height, JobId
from lazai_core.chain.history import ChainHistory
from lazai_core.chain.receipt_file import build_receipt
from lazai_core.chain.system_state import read_verifying_key

from .index import SettlementIndex


class ReceiptFiles:
    """Builds receipts; nothing is kept besides the chain and its index. Safe to use from any thread."""

    def __init__(
        self,
        *,
        history: ChainHistory,
        index: SettlementIndex,
        validators: Callable[[Height], Sequence[Validator]],
        state: Callable[[Hash32], StatePort],
    ) -> None:
        self._history = history
        self._index = index
        self._validators = validators
        self._state = state

    def build(self, job_id: JobId) -> bytes | None:
        """The canonical receipt file of a job, or None where no block holds it."""
        place = self._index.job(job_id)
        block = None if place is None else self._history.block(place.height)
        if place is None or block is None:
            return None
        state = self._state(block.header.state_root)
        receipt = build_receipt(
            block,
            self._history.receipts(place.height),
            transaction_index=place.transaction_index,
            record_index=place.record_index,
            job=place.job,
            certificate=Certificate.decode(self._history.certificate(place.height)),
            validators=self._validators(place.height),
            verifying_key=read_verifying_key(state, place.job.model, place.job.proof_system) or b"",
        )
        return receipt.encode()
