"""Decided blocks from several peers at once, in a window after the head, handed to the host in order.

A peer's height is a claim. It counts as long as the peer delivers what it claims: whoever is silent, empty or wrong is
left out for a while, and a lower claim takes the place of a higher one, so that no claim keeps a node asking for ever.
"""

from __future__ import annotations

from functools import partial

import structlog
from attrs import define, field, frozen

from lazai_core.api.consensus import Certificate
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Height
from lazai_core.chain.block import Block

from .blocks import BlockRoom
from .bounds import Seen
from .large_blocks import LargeBlocks, VerifyCertificate
from .peers import HostOf, PeerState, PeerTable
from .sync_wire import ANSWER_BYTES_MAX, Blocks, DecidedBlock, GetBlocks, encode_blocks
from .wire import Topic

log = structlog.get_logger(__name__)

LATE_REMEMBERED_MAX = 1024
PART_UNIT = 64 << 10
"""Bytes that count as much as one part in what a peer is given."""
DELIVERED_AHEAD_MAX = 4
"""Blocks that the host holds and has not executed yet."""


@frozen(kw_only=True)
class _Fetched:
    """A decided block that waits for its turn, and who gave it."""

    peer: PeerId
    block: Block
    certificate: Certificate
    size_bytes: int


@define(kw_only=True, eq=False)
class _Request:
    """What a peer was asked for and has not answered."""

    peer: PeerId
    start: int
    count: int


@define(kw_only=True, eq=False)
class _Standing:
    """How a peer has done as a source of blocks."""

    failures: int = 0
    left_out_until: float = 0.0
    quiet_until: float = 0.0
    failed_starts: set[int] = field(factory=set)


class BlockSync:
    """Fetches decided blocks, and gives them to peers that ask."""

    def __init__(self, peers: PeerTable, blocks: BlockRoom, host: HostOf, verify: VerifyCertificate) -> None:
        self._peers = peers
        self._host = host
        self._fetched: dict[int, _Fetched] = {}
        self._bytes = 0
        self._large = LargeBlocks(peers, blocks, verify, self)
        self._requests: dict[int, _Request] = {}
        self._late: Seen[tuple[PeerId, int]] = Seen(LATE_REMEMBERED_MAX)
        self._standings: dict[PeerId, _Standing] = {}
        self._next_request = 0
        self._delivered = 0
        self._delivered_at = 0.0
        self._delivering = False
        self._behind_since: float | None = None
        self._syncing = False
        self._waking = False

    @property
    def size_bytes(self) -> int:
        """Bytes of the blocks that wait for their turn."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._fetched)

    @property
    def is_syncing(self) -> bool:
        """Whether peers are known to be ahead, and deliver."""
        return self._syncing

    # When to ask.

    def step(self, *, hurry: bool = False) -> None:
        """Do what can be done now; `hurry` where somebody knows that blocks are missing."""
        self._large.step()
        self._deliver()
        target = self._target()
        height = self._peers.height
        if target < height:
            if self._syncing:
                log.info("sync.done", height=height)
            self._syncing, self._behind_since = False, None
            return
        now = self._peers.now
        if self._behind_since is None:
            self._behind_since = now
        waited_ms = (now - self._behind_since) * 1000
        if hurry or self._syncing or target > height or waited_ms >= self._peers.options.sync_grace_ms:
            if not self._syncing:
                log.debug("sync.begins", height=height, target=target)
            self._syncing = True
            self._ask_all(target)
        self._wake()

    def _wake(self) -> None:
        if not self._waking:
            self._waking = True
            self._peers.later(self._peers.options.sync_step_ms, self._woken)

    def _woken(self) -> None:
        self._waking = False
        self._again_if_stuck()
        self.step()

    def _target(self) -> int:
        """The newest height that a trusted peer says is decided."""
        return max((state.height - 1 for state in self._peers.active() if self._is_source(state)), default=0)

    def _is_source(self, state: PeerState) -> bool:
        standing = self._standings.get(state.peer)
        return standing is None or standing.left_out_until <= self._peers.now

    # Asking.

    def _ask_all(self, target: int) -> None:
        options = self._peers.options
        height = self._peers.height
        asked = {number for one in self._requests.values() for number in range(one.start, one.start + one.count)}
        end = min(target, height + options.sync_window - 1)
        large = self._large.heights
        if large:
            # They fill the line for a while, and those after them are likely to be large too.
            end = min(end, max(large) + (0 if self._large.is_full else options.sync_batch))
        number = int(height)
        while number <= end:
            if number in self._fetched or number in large or number in asked:
                number += 1
                continue
            if self._bytes >= options.sync_bytes_max and number != height:
                return
            count = 1
            while (
                count < options.sync_batch
                and number + count <= end
                and not {number + count} & (self._fetched.keys() | large | asked)
            ):
                count += 1
            count = self._ask(number, count)
            if not count:
                return
            number += count

    def _ask(self, start: int, count: int) -> int:
        """Ask a peer for these blocks, or for as many of them as it has; how many."""
        state = self._source(start)
        if state is None or not state.asks.take(self._peers.now):
            return 0
        count = min(count, state.height - start)
        self._next_request = (self._next_request + 1) & 0xFFFFFFFF
        number = self._next_request
        request = GetBlocks(request=number, start=Height(start), count=count)
        self._requests[number] = _Request(peer=state.peer, start=start, count=count)
        self._peers.send(state.peer, Topic.GET_BLOCKS, request.encode())
        self._peers.later(self._peers.options.sync_timeout_ms, partial(self._timed_out, number))
        return count

    def _source(self, start: int) -> PeerState | None:
        """A peer that claims the block, has little to do, and has not failed at it while others have not."""
        busy: dict[PeerId, int] = {}
        for request in self._requests.values():
            busy[request.peer] = busy.get(request.peer, 0) + 1
        able = [
            state
            for state in self._peers.active()
            if state.height > start
            and state.status is not None
            and state.status.lowest <= start
            and busy.get(state.peer, 0) < self._peers.options.sync_requests_per_peer
            and state.asks.has(self._peers.now)
            and self._is_source(state)
            and self._standing(state.peer).quiet_until <= self._peers.now
        ]
        fresh = [state for state in able if start not in self._standing(state.peer).failed_starts]
        return min(
            self._peers.shuffled(fresh or able), key=lambda state: busy.get(state.peer, 0), default=None
        )

    def _standing(self, peer: PeerId) -> _Standing:
        return self._standings.setdefault(peer, _Standing())

    # What goes wrong.

    def _timed_out(self, number: int) -> None:
        request = self._requests.pop(number, None)
        if request is None:
            return
        # An honest peer may only be slow: its late answer is welcome.
        self._late.add((request.peer, number))
        self._failed(request, "no answer")
        self.step()

    def _failed(self, request: _Request, reason: str) -> None:
        standing = self._standing(request.peer)
        standing.failures += 1
        standing.failed_starts.add(request.start)
        log.debug("sync.failed", peer=request.peer.hex(), start=request.start, reason=reason)
        if standing.failures >= self._peers.options.sync_failures_max:
            self._leave_out(request.peer)
            self._peers.blame(request.peer, PeerFault.BROKEN_PROMISE, f"blocks from {request.start} on: {reason}")

    def _leave_out(self, peer: PeerId) -> None:
        """Take no blocks from a peer for a while, and none of those it gave."""
        self._standings[peer] = _Standing(left_out_until=self._peers.now + self._peers.options.sync_leave_out_ms / 1000)
        for number in [number for number, request in self._requests.items() if request.peer == peer]:
            del self._requests[number]
            self._late.add((peer, number))
        for height in [height for height, one in self._fetched.items() if one.peer == peer]:
            self._drop(height)
        self._large.drop_of(peer)
        self._delivered = min(self._delivered, self._peers.height - 1)

    def refused(self, peer: PeerId) -> None:
        """The host found a block or a certificate of this peer to be wrong."""
        self._leave_out(peer)
        self.step()

    def left(self, peer: PeerId) -> None:
        """The peer is gone: others are asked at once. What it gave already stays."""
        for number in [number for number, request in self._requests.items() if request.peer == peer]:
            del self._requests[number]
            # Its answer may be under way, and the peer soon be back.
            self._late.add((peer, number))
        standing = self._standings.get(peer)
        if standing is not None and standing.left_out_until <= self._peers.now:
            del self._standings[peer]
        self.step()

    def _again_if_stuck(self) -> None:
        """What was handed over and led nowhere is handed over again."""
        waited_ms = (self._peers.now - self._delivered_at) * 1000
        if self._delivered >= self._peers.height and waited_ms >= self._peers.options.sync_redeliver_ms:
            self._delivered = self._peers.height - 1

    # What comes.

    def blocks_arrived(self, state: PeerState, payload: bytes) -> None:
        """An answer. Raises EncodingError."""
        number = int.from_bytes(payload[:4], "big")
        request = self._requests.get(number)
        late = (state.peer, number) in self._late
        if not late and (request is None or request.peer != state.peer):
            self._peers.blame(state.peer, PeerFault.UNASKED_ANSWER, "blocks")
            return
        answer = Blocks.decode(payload)
        if late:
            self._late.forget((state.peer, number))
            if self._is_source(state):
                if answer.blocks:
                    # Perhaps it was this node that stood still.
                    self._standing(state.peer).failures = 0
                self._keep_all(state, answer.blocks)
            self.step()
            return
        assert request is not None, "an answer is late or asked for"
        del self._requests[number]
        heights = [one.certificate.height for one in answer.blocks]
        if not heights:
            self._failed(request, "an empty answer")
            # Perhaps it has given as much as it gives in a second.
            standing = self._standing(state.peer)
            standing.quiet_until = self._peers.now + standing.failures
        elif heights != list(range(request.start, request.start + len(heights))) or len(heights) > request.count:
            self._leave_out(state.peer)
            self._peers.blame(state.peer, PeerFault.INVALID_BLOCK, "blocks of other heights than asked for")
        else:
            self._standing(state.peer).failures = 0
            self._keep_all(state, answer.blocks)
        self.step()

    def _keep_all(self, state: PeerState, blocks: tuple[DecidedBlock, ...]) -> None:
        height = self._peers.height
        for one in blocks:
            number = one.certificate.height
            if not self._is_source(state):
                # One of its claims was just found to be wrong.
                return
            if number in self._fetched or number in self._large.heights:
                continue
            if not height <= number < height + self._peers.options.sync_window:
                continue
            if one.block is not None:
                self._keep(state.peer, one.block, one.certificate, one.size_bytes)
            else:
                self._large.claim(state.peer, one.certificate)

    def _keep(self, peer: PeerId, block: Block, certificate: Certificate, size_bytes: int) -> None:
        self._drop(block.height)
        self._fetched[block.height] = _Fetched(peer=peer, block=block, certificate=certificate, size_bytes=size_bytes)
        self._bytes += size_bytes

    def _drop(self, height: int) -> None:
        old = self._fetched.pop(height, None)
        if old is not None:
            self._bytes -= old.size_bytes

    def large_arrived(self, peer: PeerId, block: Block, certificate: Certificate) -> None:
        """A block came in parts; its certificate is right."""
        self._keep(peer, block, certificate, len(block.encode()))
        self.step()

    def large_failed(self, peer: PeerId, fault: PeerFault, reason: str) -> None:
        """A peer claimed a block that is not, or that it does not give."""
        self._leave_out(peer)
        self._peers.blame(peer, fault, reason)

    # To the host.

    def _deliver(self) -> None:
        """The next blocks in order. The host may commit one while it is handed over, and this is called again then."""
        if self._delivering:
            return
        self._delivering = True
        try:
            while True:
                height = self._peers.height
                self._delivered = max(self._delivered, height - 1)
                number = self._delivered + 1
                fetched = self._fetched.get(number)
                if fetched is None or number >= height + DELIVERED_AHEAD_MAX:
                    return
                self._delivered, self._delivered_at = number, self._peers.now
                self._host().decided_arrived(fetched.peer, fetched.block, fetched.certificate)
        finally:
            self._delivering = False

    def height_started(self) -> None:
        """Forget what is decided here, and go on."""
        height = self._peers.height
        self._behind_since = None
        for number in [number for number in self._fetched if number < height]:
            self._drop(number)
        self._large.height_started()
        for standing in self._standings.values():
            standing.failed_starts = {start for start in standing.failed_starts if start >= height}
        self.step()

    # For peers.

    def request_arrived(self, state: PeerState, payload: bytes) -> None:
        """A peer lacks blocks. Raises EncodingError."""
        wanted = GetBlocks.decode(payload)
        if not state.requests.take(self._peers.now):
            self._peers.blame(state.peer, PeerFault.FLOOD, "requests for blocks")
            return
        found: list[tuple[bytes, bytes]] = []
        size = 0
        head = self._peers.chain.head.height
        for number in range(wanted.start, min(wanted.start + wanted.count, head + 1)):
            one = self._decided(number, ANSWER_BYTES_MAX - size)
            if one is None or not state.served.take(self._peers.now, 1 + (len(one[0]) + len(one[1])) / PART_UNIT):
                break
            found.append(one)
            size += len(one[0]) + len(one[1]) + 8
            if not one[1]:
                break
        self._peers.send(state.peer, Topic.BLOCKS, encode_blocks(wanted.request, found))

    def _decided(self, number: int, room: int) -> tuple[bytes, bytes] | None:
        """Certificate and block as they go out; None where they are not here, or do not fit this answer."""
        history = self._peers.chain.history
        certificate, block = history.certificate(number), history.block_bytes(number)
        if not certificate or block is None or len(certificate) + 8 > room:
            return None
        if len(certificate) + len(block) + 8 <= room:
            return certificate, block
        alone = len(certificate) + len(block) + 8 > ANSWER_BYTES_MAX
        return (certificate, b"") if alone else None
