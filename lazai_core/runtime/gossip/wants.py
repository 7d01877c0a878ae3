"""Blocks that are missing: who waits for them, and whom to ask next for which parts of them.

One request for a block is out at a time, and it stands as long as parts come: asking again would bring them twice, and
a line that is full already would fill up with copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial

import structlog
from attrs import define, field

from lazai_core.api.network import PeerId
from lazai_core.api.types import Hash32, Height
from lazai_core.chain.block import Block

from .assembly import Assembly
from .bounds import Seen
from .part_set import WantParts
from .peers import PeerState, PeerTable
from .wire import Topic

log = structlog.get_logger(__name__)

ASKED_REMEMBERED_MAX = 4096
WANTED_MAX = 64
PARTS_MIN = 2
"""Parts asked for at once on the slowest line."""
PATIENCE_MAX = 4
"""A silence is waited for so many times longer after silences in a row."""
Tell = Callable[[PeerId, Block], None]


class Waiting(StrEnum):
    """Who waits for a block. Each wants and gives up for itself."""

    HOST = "host"
    SYNC = "sync"
    SNAPSHOT = "snapshot"


@define(kw_only=True, eq=False)
class _Request:
    """What one peer was asked for: `left` parts have not come, `fresh` of those that came were new."""

    peer: PeerId
    left: int
    asked_at: float
    fresh: int = 0


@define(kw_only=True, eq=False)
class _Want:
    """A block that is missing, who is told of it, and how asking for it has gone."""

    height: Height
    block_id: Hash32
    since: float
    tells: dict[Waiting, Tell] = field(factory=dict)
    asked: list[PeerId] = field(factory=list)
    request: _Request | None = None
    fruitless: dict[Hash32, int] = field(factory=dict)
    """Requests for parts under a root since one brought some."""
    failures: int = 0
    """Requests in a row that brought nothing, or ended in silence."""
    ask_after: float = 0.0
    progress_at: float | None = None


class Wants:
    """Asks one peer after the other for the parts of each block, whichever of its roots they lie under."""

    def __init__(self, peers: PeerTable, roots: Callable[[Hash32], list[Assembly]]) -> None:
        """`roots` are the parts of a block that are here, by root."""
        self._peers = peers
        self._roots = roots
        self._wants: dict[Hash32, _Want] = {}
        self._asked: Seen[tuple[PeerId, Hash32]] = Seen(ASKED_REMEMBERED_MAX)
        self._heard_at: dict[PeerId, float] = {}
        self._progress_at = 0.0
        self._parts_at_once = peers.options.parts_per_answer_max

    def __contains__(self, block_id: object) -> bool:
        return block_id in self._wants

    def __iter__(self) -> Iterator[Hash32]:
        return iter(tuple(self._wants))

    def was_asked(self, peer: PeerId, block_id: Hash32) -> bool:
        """Whether this node asked the peer for parts of the block, not long ago."""
        return (peer, block_id) in self._asked

    def progress_at(self, block_id: Hash32) -> float | None:
        """When a wanted block's newest part came; None while none has."""
        want = self._wants.get(block_id)
        return None if want is None else want.progress_at

    # Who waits.

    def add(self, height: Height, block_id: Hash32, waiting: Waiting, tell: Tell, first: PeerId | None) -> bool:
        """Ask for a block until it is here; False where too many are wanted already."""
        want = self._wants.get(block_id)
        if want is not None:
            want.tells.setdefault(waiting, tell)
            return True
        if len(self._wants) >= WANTED_MAX:
            log.warning("gossip.too_many_wants", height=height)
            return False
        want = _Want(height=height, block_id=block_id, since=self._peers.now, tells={waiting: tell})
        self._wants[block_id] = want
        state = None if first is None else self._peers.get(first)
        if state is not None:
            self._ask(want, state)
        self._peers.later(self._peers.options.pull_ms, partial(self._tick, want))
        return True

    def remove(self, block_id: Hash32, waiting: Waiting) -> None:
        """This one waits for it no longer; others may."""
        want = self._wants.get(block_id)
        if want is not None:
            want.tells.pop(waiting, None)
            if not want.tells:
                del self._wants[block_id]

    def arrived(self, block_id: Hash32) -> tuple[Tell, ...]:
        """The block is here: whom to tell."""
        want = self._wants.pop(block_id, None)
        return () if want is None else tuple(want.tells.values())

    def height_started(self) -> None:
        """Forget earlier heights."""
        for want in [want for want in self._wants.values() if want.height < self._peers.height]:
            del self._wants[want.block_id]

    def peer_left(self, peer: PeerId) -> None:
        """What it was asked for does not come."""
        self._heard_at.pop(peer, None)
        for want in self._wants.values():
            if want.request is not None and want.request.peer == peer:
                want.request = None

    # What comes.

    def part_arrived(self, peer: PeerId, assembly: Assembly, *, is_new: bool) -> None:
        """A part of a block, which may be a wanted one. `is_new` where it was checked and kept."""
        want = self._wants.get(assembly.header.hash)
        if want is None:
            return
        request = want.request
        answers = request is not None and request.peer == peer
        if is_new:
            want.progress_at = self._peers.now
            if self.was_asked(peer, want.block_id):
                self._heard_at[peer] = self._progress_at = self._peers.now
        if request is None or not answers:
            return
        request.left -= 1
        if is_new:
            request.fresh += 1
            want.failures = 0
            want.fruitless.pop(assembly.root, None)
        if request.left > 0:
            return
        want.request = None
        self._learn_pace(self._peers.now - request.asked_at)
        if request.fresh:
            # It gave as much as one gives for one request: there is more where this came from.
            state = self._peers.get(peer)
            if state is not None and not assembly.is_whole:
                self._ask(want, state)
        else:
            self._failed(want)

    def _learn_pace(self, took_s: float) -> None:
        """On a slow line many parts at once stand in the way of everything else, and are asked for again in vain."""
        silent_s = self._peers.options.parts_silent_ms / 1000
        if took_s < silent_s:
            self._parts_at_once = min(2 * self._parts_at_once, self._peers.options.parts_per_answer_max)
        elif took_s >= 2 * silent_s:
            self._parts_at_once = max(self._parts_at_once // 2, PARTS_MIN)

    def _failed(self, want: _Want) -> None:
        """Somebody else is asked, a little later each time."""
        options = self._peers.options
        wait_ms = min(options.pull_ms << min(want.failures, 10), options.pull_ms_max)
        want.request = None
        want.failures += 1
        want.ask_after = self._peers.now + wait_ms / 1000

    # Whom to ask.

    def _tick(self, want: _Want) -> None:
        if self._wants.get(want.block_id) is not want:
            return
        if want.request is not None and self._is_silent(want, want.request):
            if self._progress_at > want.request.asked_at:
                self._learn_pace(self._peers.now - want.request.asked_at)
            want.request = None
            want.failures += 1
        if want.request is None and self._peers.now >= want.ask_after and not self._is_pushed(want):
            self._ask_somebody(want)
        self._peers.later(self._peers.options.pull_ms, partial(self._tick, want))

    def _is_silent(self, want: _Want, request: _Request) -> bool:
        """Whether an answer is given up: nothing comes from anybody, nothing from this peer, or it takes too long."""
        now, silent_s = self._peers.now, self._peers.options.parts_silent_ms / 1000
        patience = min(1 + want.failures, PATIENCE_MAX)
        if now - max(request.asked_at, self._progress_at) >= silent_s * patience:
            return True
        # While others' parts come, its own may stand behind them in the line.
        heard_at = self._heard_at.get(request.peer, 0.0)
        if now - max(request.asked_at, heard_at) >= silent_s * 2 * PATIENCE_MAX:
            return True
        return now - request.asked_at >= self._peers.options.parts_answer_ms / 1000

    def _is_pushed(self, want: _Want) -> bool:
        """Whether parts come by themselves. Not for ever: a trickle must not keep this node from asking."""
        now, options = self._peers.now, self._peers.options
        is_recent = want.progress_at is not None and now - want.progress_at < options.pull_ms / 1000
        return is_recent and not want.asked and now - want.since < 2 * options.pull_ms_max / 1000

    def _ask_somebody(self, want: _Want) -> None:
        now = self._peers.now
        candidates = [
            state
            for state in self._peers.active()
            if state.height >= want.height and state.asks.has(now) and _holds(state, want.height)
        ]
        fresh = [state for state in candidates if state.peer not in want.asked]
        if candidates and not fresh:
            want.asked.clear()
            fresh = candidates
        if fresh:
            roots = self._roots(want.block_id)
            knowing = [state for state in fresh if any(one.known.get(state.peer) for one in roots)]
            self._ask(want, self._peers.random.choice(knowing or fresh))

    def _ask(self, want: _Want, state: PeerState) -> None:
        if not state.asks.take(self._peers.now):
            # More would be a flood for an honest peer.
            return
        if state.peer not in want.asked:
            want.asked.append(state.peer)
        self._asked.add((state.peer, want.block_id))
        root = self._root(want, state.peer)
        request = WantParts(height=want.height, block_id=want.block_id)
        left = self._peers.options.parts_per_answer_max
        if root is not None:
            missing = _lowest(root.missing, self._parts_at_once)
            want.fruitless[root.root] = want.fruitless.get(root.root, 0) + 1
            request = WantParts(height=want.height, block_id=want.block_id, root=root.root, missing=missing)
            left = missing.bit_count()
        want.request = _Request(peer=state.peer, left=left, asked_at=self._peers.now)
        self._peers.send(state.peer, Topic.WANT_PARTS, request.encode())

    def _root(self, want: _Want, peer: PeerId) -> Assembly | None:
        """The parts to ask a peer for: of a root that it has shown to know, and that has not been asked for in vain.

        A faulty proposer may sign a second root of which fewer parts are missing, and never give the rest.
        """
        roots = self._roots(want.block_id)
        known = [one for one in roots if one.known.get(peer)]
        return min(
            known or roots,
            key=lambda one: (want.fruitless.get(one.root, 0), one.missing.bit_count()),
            default=None,
        )


def _holds(state: PeerState, height: Height) -> bool:
    """Whether a peer has not said that it lacks so old a block."""
    return state.status is not None and state.status.lowest <= height


def _lowest(bits: int, count: int) -> int:
    """The lowest bits that are set, no more than `count`."""
    found = 0
    while bits and found.bit_count() < count:
        found |= bits & -bits
        bits &= bits - 1
    return found
