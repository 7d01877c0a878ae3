"""Transactions of wallets: pushed to a few peers, announced to the others, taken in once, and only what is well made.

A transaction that the present state refuses is nobody's fault: the state may have moved while it travelled. One that no
state would take is its sender's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import isqrt

import structlog
from attrs import define, field

from lazai_core.api.errors import BadSignature, Busy, EncodingError, InvalidTransaction
from lazai_core.api.hashing import keccak256
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.chain.recent_transactions import recent_transaction
from lazai_core.chain.transaction import Transaction

from .bounds import Seen
from .peers import PeerState, PeerTable
from .ports import TransactionPort
from .transaction_wire import (
    FRAME_BYTES_MAX,
    HASHES_MAX,
    TRAVELLING_BYTES_MAX,
    decode_hashes,
    decode_transactions,
    encode_hashes,
    frames_of,
)
from .wire import Topic

log = structlog.get_logger(__name__)

PUSHED_TO_ALL_MAX = 8
"""Up to so many peers each gets the whole transaction; of more, the square root of their number does."""
ADMITTED_IN_A_ROW_MAX = 8


@define(kw_only=True, eq=False)
class _Fetch:
    """A transaction that was announced, and by whom; `asked` of them were asked."""

    announcers: list[PeerId] = field(factory=list)
    asked: int = 0


class TransactionRoom:
    """Transactions on their way in and out."""

    def __init__(self, peers: PeerTable, port: TransactionPort | None) -> None:
        self._peers = peers
        self._port = port
        options = peers.options
        self._seen: Seen[bytes] = Seen(options.transactions_seen_max)
        self._sources: dict[bytes, PeerId] = {}
        self._queue: deque[tuple[PeerId, bytes, bytes]] = deque()
        self._queue_bytes = 0
        self._work = asyncio.Event()
        self._pushes: dict[PeerId, list[bytes]] = {}
        self._announcements: dict[PeerId, list[bytes]] = {}
        self._flushing = False
        self._fetches: dict[bytes, _Fetch] = {}
        if port is not None:
            port.on_added(self.added)

    @property
    def waiting(self) -> int:
        """Transactions that have arrived and are not admitted yet."""
        return len(self._queue)

    @property
    def waiting_bytes(self) -> int:
        """Their bytes."""
        return self._queue_bytes

    @property
    def announced(self) -> int:
        """Transactions that were announced and have not come."""
        return len(self._fetches)

    # Out.

    def added(self, transaction: Transaction) -> None:
        """A transaction entered the pool: bring it on to the peers that do not have it from its source."""
        transaction_hash, raw = transaction.hash, transaction.raw
        self._seen.add(transaction_hash)
        source = self._sources.pop(transaction_hash, None)
        if len(raw) > TRAVELLING_BYTES_MAX:
            return
        targets = [
            state
            for state in self._peers.active()
            if state.peer != source and (source is None or source not in state.neighbours)
        ]
        pushed = len(targets) if len(targets) <= PUSHED_TO_ALL_MAX else isqrt(len(targets)) + 1
        if not targets:
            return
        if pushed < len(targets):
            targets = self._peers.shuffled(targets)
        for state in targets[:pushed]:
            self._pushes.setdefault(state.peer, []).append(raw)
        for state in targets[pushed:]:
            self._announcements.setdefault(state.peer, []).append(transaction_hash)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._peers.later(self._peers.options.transaction_batch_ms, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        pushes, self._pushes = self._pushes, {}
        announcements, self._announcements = self._announcements, {}
        for peer, raws in pushes.items():
            for frame in frames_of(raws):
                self._peers.send(peer, Topic.TRANSACTIONS, frame)
        for peer, hashes in announcements.items():
            for start in range(0, len(hashes), HASHES_MAX):
                self._peers.send(peer, Topic.ANNOUNCE, encode_hashes(hashes[start : start + HASHES_MAX]))

    def announce_pending(self, state: PeerState, count_max: int) -> None:
        """Tell a peer of the transactions that have waited for longest: it may lack them."""
        if self._port is None:
            return
        hashes = [each for each, _ in zip(self._port.pending(), range(min(count_max, HASHES_MAX)), strict=False)]
        if hashes:
            self._peers.send(state.peer, Topic.ANNOUNCE, encode_hashes(hashes))

    def exchange(self) -> None:
        """Now and then, with one peer: what was lost on the way is found again."""
        states = self._peers.active()
        if states:
            self.announce_pending(self._peers.random.choice(states), self._peers.options.transactions_repeated)

    # In.

    def transactions_arrived(self, state: PeerState, payload: bytes) -> None:
        """Whole transactions. Raises EncodingError."""
        raws = decode_transactions(payload)
        if not state.transactions.take(self._peers.now, len(raws)):
            self._peers.blame(state.peer, PeerFault.FLOOD, "transactions")
            return
        options = self._peers.options
        for raw in raws:
            transaction_hash = keccak256(raw)
            self._fetches.pop(transaction_hash, None)
            if self._port is None or not self._seen.add(transaction_hash):
                continue
            if len(self._queue) >= options.transactions_queue_max or (
                self._queue_bytes + len(raw) > options.transactions_queue_bytes_max
            ):
                # It may come again when there is room.
                self._seen.forget(transaction_hash)
                continue
            self._queue.append((state.peer, transaction_hash, raw))
            self._queue_bytes += len(raw)
            self._work.set()

    async def admit_all(self) -> None:
        """Admit what has arrived, one after the other, until cancelled."""
        while True:
            self._work.clear()
            in_a_row = 0
            while self._queue:
                peer, transaction_hash, raw = self._queue.popleft()
                self._queue_bytes -= len(raw)
                await self._admit(peer, transaction_hash, raw)
                in_a_row += 1
                if in_a_row >= ADMITTED_IN_A_ROW_MAX:
                    # Votes must not wait for a crowd of transactions.
                    in_a_row = 0
                    await asyncio.sleep(0)
            await self._work.wait()

    async def _admit(self, peer: PeerId, transaction_hash: bytes, raw: bytes) -> None:
        assert self._port is not None, "nothing is queued without a pool"
        try:
            transaction = recent_transaction(raw)
            fault = self._fault(transaction)
        except (EncodingError, InvalidTransaction, BadSignature) as error:
            fault = error.message
        if fault:
            self._peers.blame(peer, PeerFault.INVALID_TRANSACTION, fault)
            return
        self._sources[transaction_hash] = peer
        try:
            await self._port.submit(transaction)
        except Busy:
            self._seen.forget(transaction_hash)
        except InvalidTransaction as error:
            log.debug("transaction.refused", transaction=transaction_hash, error=error.message)
        finally:
            self._sources.pop(transaction_hash, None)

    def _fault(self, transaction: Transaction) -> str:
        """What no state of this chain would take. Raises InvalidTransaction or BadSignature."""
        chain_id = self._peers.chain.genesis.chain_id
        if transaction.chain_id not in (None, chain_id):
            return f"a transaction for chain {transaction.chain_id}"
        if transaction.gas > self._peers.chain.genesis.block_gas_limit:
            return f"a gas limit of {transaction.gas}, more than a block's"
        return "" if transaction.sender else "a transaction of nobody"

    # Announcements.

    def announced_by(self, state: PeerState, payload: bytes) -> None:
        """Hashes of transactions that a peer holds. Raises EncodingError."""
        hashes = decode_hashes(payload)
        if not state.transactions.take(self._peers.now, len(hashes)):
            self._peers.blame(state.peer, PeerFault.FLOOD, "announcements")
            return
        if self._port is None:
            return
        wanted = []
        for transaction_hash in hashes:
            if transaction_hash in self._seen:
                continue
            fetch = self._fetches.get(transaction_hash)
            if fetch is not None:
                if len(fetch.announcers) < self._peers.options.announcers_max and state.peer not in fetch.announcers:
                    fetch.announcers.append(state.peer)
            elif len(self._fetches) < self._peers.options.transactions_announced_max:
                self._fetches[transaction_hash] = _Fetch(announcers=[state.peer], asked=1)
                wanted.append(transaction_hash)
        self._ask(state.peer, wanted)

    def _ask(self, peer: PeerId, wanted: list[bytes]) -> None:
        if wanted:
            self._peers.send(peer, Topic.GET_TRANSACTIONS, encode_hashes(wanted))
            self._peers.later(self._peers.options.transaction_timeout_ms, lambda: self._ask_others(wanted))

    def _ask_others(self, wanted: list[bytes]) -> None:
        """What has not come is asked of the next peer that announced it, or forgotten."""
        by_peer: dict[PeerId, list[bytes]] = {}
        for transaction_hash in wanted:
            fetch = self._fetches.get(transaction_hash)
            if fetch is None:
                continue
            if fetch.asked >= len(fetch.announcers):
                del self._fetches[transaction_hash]
                continue
            by_peer.setdefault(fetch.announcers[fetch.asked], []).append(transaction_hash)
            fetch.asked += 1
        for peer, hashes in by_peer.items():
            self._ask(peer, hashes)

    def request_arrived(self, state: PeerState, payload: bytes) -> None:
        """A peer wants transactions that it heard of. Raises EncodingError."""
        hashes = decode_hashes(payload)
        if not state.requests.take(self._peers.now):
            self._peers.blame(state.peer, PeerFault.FLOOD, "requests for transactions")
            return
        if self._port is None:
            return
        found: list[bytes] = []
        for transaction_hash in hashes:
            raw = self._port.raw(transaction_hash)
            if raw is None or len(raw) > TRAVELLING_BYTES_MAX:
                continue
            if not state.served.take(self._peers.now, len(raw) / FRAME_BYTES_MAX):
                break
            found.append(raw)
        for frame in frames_of(found):
            self._peers.send(state.peer, Topic.TRANSACTIONS, frame)
