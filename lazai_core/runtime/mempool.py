"""Work that waits for a block. Bounded in number, in bytes, and for each sender."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from lazai_core.api.errors import Busy, InvalidTransaction
from lazai_core.api.types import Address

from .options import RuntimeOptions
from .work import NodeCall, Phase, WalletTransaction, Work

# As most nodes do: a replacement must pay its way, or it would be free to make the others redo their work.
REPLACEMENT_PERCENT_MIN = 110


class Mempool:
    """Work by id, in order of arrival. `changed` is set whenever something became ready."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self._work: dict[bytes, Work] = {}
        self._by_nonce: dict[tuple[Address, int], WalletTransaction] = {}
        self._senders: dict[Address, int] = {}
        self._bytes = 0
        self.changed = asyncio.Event()
        self._added: Callable[[WalletTransaction], None] = lambda work: None

    def __len__(self) -> int:
        return len(self._work)

    def __iter__(self) -> Iterator[Work]:
        return iter(tuple(self._work.values()))

    def get(self, work_id: bytes) -> Work | None:
        """Work by its id: the hash of a wallet's transaction, or a node call's own."""
        return self._work.get(work_id)

    def of_nonce(self, sender: Address, nonce: int) -> WalletTransaction | None:
        """The wallet transaction that waits with this sender's nonce."""
        return self._by_nonce.get((sender, nonce))

    def counts(self) -> Mapping[str, int]:
        """How much is pending and ready."""
        ready = sum(work.phase is Phase.READY for work in self._work.values())
        return {"pending": len(self._work) - ready, "ready": ready}

    def add(self, work: Work) -> WalletTransaction | None:
        """Take work in; returns the transaction it replaces. Raises Busy or InvalidTransaction."""
        replaced = self._replaced(work)
        self._check_room(work, replaced)
        if replaced is not None:
            self.remove(replaced)
        self._work[work.work_id] = work
        self._senders[work.sender] = self._senders.get(work.sender, 0) + 1
        self._bytes += work.size_bytes
        if isinstance(work, WalletTransaction):
            self._by_nonce[work.sender, work.transaction.nonce] = work
            self._added(work)
        return replaced

    def on_added(self, tell: Callable[[WalletTransaction], None]) -> None:
        """Call `tell` for every wallet's transaction that comes in from now on."""
        self._added = tell

    def _replaced(self, work: Work) -> WalletTransaction | None:
        if not isinstance(work, WalletTransaction):
            return None
        old = self._by_nonce.get((work.sender, work.transaction.nonce))
        if old is None:
            return None
        new_fee, old_fee = work.transaction.max_fee_per_gas, old.transaction.max_fee_per_gas
        if new_fee * 100 < old_fee * REPLACEMENT_PERCENT_MIN:
            raise InvalidTransaction(
                f"a transaction with nonce {work.transaction.nonce} of this sender waits already, offering "
                f"{old_fee} wei per gas",
                hint=f"offer at least {REPLACEMENT_PERCENT_MIN - 100} percent more to replace it",
            )
        return old

    def _check_room(self, work: Work, replaced: Work | None) -> None:
        options = self._options
        freed = 0 if replaced is None else 1
        freed_bytes = 0 if replaced is None else replaced.size_bytes
        if len(self._work) - freed >= options.transactions_max:
            raise Busy(f"{len(self._work)} transactions wait for a block, as many as this node keeps")
        if self._bytes - freed_bytes + work.size_bytes > options.transactions_bytes_max:
            raise Busy(f"the waiting transactions have {self._bytes} bytes, as many as this node keeps")
        waiting = self._senders.get(work.sender, 0) - freed
        # The node's own calls are bounded by admission, which counts open requests.
        if isinstance(work, WalletTransaction) and waiting >= options.transactions_per_account_max:
            raise Busy(f"{waiting} transactions of this sender wait for a block, as many as one sender may have")

    def mark_ready(self, work: Work) -> None:
        """Everything the work is known to need is there."""
        if work.phase is Phase.PENDING:
            work.phase = Phase.READY
            self.changed.set()

    def mark_pending(self, work: Work) -> None:
        """It turned out to need more."""
        if work.phase is Phase.READY:
            work.phase = Phase.PENDING

    def ready(self) -> list[Work]:
        """Ready work in order of arrival, with each sender's transactions by nonce and each lane's by counter.

        What must not overtake work that is still pending waits for it.
        """
        pending: dict[object, int] = {}
        for work in self._work.values():
            if work.phase is Phase.PENDING:
                series, place = _series(work)
                pending[series] = min(place, pending.get(series, place))
        ready = (work for work in self._work.values() if work.phase is Phase.READY)
        return _in_turn([work for work in ready if _is_free(work, pending)])

    def remove(self, work: Work) -> None:
        """Forget it. Idempotent."""
        if self._work.get(work.work_id) is not work:
            return
        del self._work[work.work_id]
        if work.phase is Phase.PENDING:
            # Whatever waited behind it is to be tried now.
            self.changed.set()
        self._bytes -= work.size_bytes
        self._senders[work.sender] -= 1
        if not self._senders[work.sender]:
            del self._senders[work.sender]
        if isinstance(work, WalletTransaction):
            self._by_nonce.pop((work.sender, work.transaction.nonce), None)


def _series(work: Work) -> tuple[object, int]:
    """What a piece of work must not overtake, and its place there."""
    if isinstance(work, WalletTransaction):
        return work.sender, work.transaction.nonce
    if isinstance(work, NodeCall) and work.lane is not None:
        return work.lane, work.counter
    return work.work_id, 0


def _is_free(work: Work, pending: dict[object, int]) -> bool:
    series, place = _series(work)
    return place <= pending.get(series, place)


def _in_turn(arrived: list[Work]) -> list[Work]:
    """The same places in the queue, each series' own places in order of nonce or counter."""
    queues: dict[object, list[Work]] = {}
    for work in arrived:
        queues.setdefault(_series(work)[0], []).append(work)
    for queue in queues.values():
        queue.sort(key=lambda work: _series(work)[1], reverse=True)
    return [queues[_series(work)[0]].pop() for work in arrived]
