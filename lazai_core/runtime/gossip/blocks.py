"""Blocks on their way: cut into parts, brought on by whoever has them, put together, asked for when they stay away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from lazai_core.api.errors import BadSignature, EncodingError
from lazai_core.api.hashing import recover_address
from lazai_core.api.merkle import verify_merkle_path
from lazai_core.api.needs import NodeIdentity
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.chain.block import Block, BlockHeader

from .assembly import Assembly
from .body import body_fits
from .bounds import Recent
from .part_set import Part, PartSet, WantParts, parts_digest
from .peers import HostOf, PeerState, PeerTable
from .stored_blocks import StoredBlocks
from .wants import Waiting, Wants
from .wire import Topic

log = structlog.get_logger(__name__)

HEADERS_REMEMBERED_MAX = 64

Key = tuple[Hash32, Hash32]
"""Hash of a block, and root over its parts."""


class BlockRoom:
    """Parts of the blocks of two heights, and of those that are wanted."""

    def __init__(self, peers: PeerTable, identity: NodeIdentity, host: HostOf) -> None:
        self._peers = peers
        self._identity = identity
        self._host = host
        self._assemblies: dict[Key, Assembly] = {}
        self._bytes = 0
        self._wants = Wants(peers, self._roots)
        self._headers: Recent[bytes, BlockHeader] = Recent(HEADERS_REMEMBERED_MAX)
        self._stored = StoredBlocks(peers, identity, host)
        self._members: dict[int, frozenset[Address]] = {}

    @property
    def size_bytes(self) -> int:
        """Bytes of all parts kept."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._assemblies)

    # This node's own block, and others' that it proposes again.

    def send(self, block: Block) -> None:
        """To all peers: straight, or, where that is much, each part to one peer that brings it to the others."""
        assembly = self._whole(block)
        if assembly is None:
            return
        targets = self._peers.shuffled(
            state for state in self._peers.active() if block.height - 1 <= state.height <= block.height
        )
        if not targets:
            return
        straight = assembly.count * len(targets) <= self._peers.options.parts_direct_max
        for index, piece in enumerate(assembly.pieces):
            assert piece is not None, "the block is whole"
            chosen = targets if straight else [targets[index % len(targets)]]
            encoded = assembly.part(index, piece, spread=not straight).encode()
            for state in chosen:
                if not assembly.known.get(state.peer, 0) >> index & 1:
                    assembly.knows(state.peer, index)
                    self._peers.send(state.peer, Topic.PART, encoded)

    def _whole(self, block: Block) -> Assembly | None:
        """The signed parts of a block; None where the signature is another's and was never here."""
        for assembly in self._assemblies.values():
            if assembly.block is not None and assembly.block.hash == block.hash and assembly.signature:
                return assembly
        if block.header.proposer != self._identity.address:
            return None
        parts = PartSet.of(block, self._identity.sign)
        assembly = Assembly.whole(block.header, parts, block)
        self._keep((block.hash, parts.root), assembly)
        return assembly

    def _keep(self, key: Key, assembly: Assembly) -> None:
        old = self._assemblies.pop(key, None)
        if old is not None:
            self._bytes -= old.size_bytes
        self._assemblies[key] = assembly
        self._bytes += assembly.size_bytes

    # Parts from peers.

    def part_arrived(self, state: PeerState, payload: bytes) -> None:
        """One part. Raises EncodingError."""
        if not state.parts.take(self._peers.now):
            self._peers.blame(state.peer, PeerFault.FLOOD, "block parts")
            return
        part = Part.decode(payload)
        header = self._header(part.header)
        key = (header.hash, part.root)
        assembly = self._assemblies.get(key)
        if assembly is None or (part.signature and part.signature != assembly.signature):
            assembly = self._admit(state, part, header, assembly)
            if assembly is None:
                return
        elif not part.signature and not self._was_asked(state, header.hash):
            return
        if assembly.unfit or part.count != assembly.count:
            self._blame_wrong(state, part)
            return
        self._take(state, part, key, assembly)

    def _header(self, encoded: bytes) -> BlockHeader:
        header = self._headers.get(encoded)
        if header is None:
            header = BlockHeader.decode(encoded)
            if header.chain_id != self._peers.chain.genesis.chain_id:
                raise EncodingError(f"the block is of chain {header.chain_id}")
            self._headers.put(encoded, header)
        return header

    def _admit(
        self, state: PeerState, part: Part, header: BlockHeader, known: Assembly | None
    ) -> Assembly | None:
        """Room for the parts of a block that this one announces; None where there must be none."""
        if header.height < self._peers.height and header.hash not in self._wants:
            return None
        if part.signature:
            if self._is_late(state, header):
                return None
            fault = self._signature_fault(part, header)
            if fault is not None:
                self._peers.blame(state.peer, fault, f"a part of block {header.height}")
                return None
            if known is not None:
                known.signature = known.signature or part.signature
                return known
        elif not self._was_asked(state, header.hash):
            return None
        if not self._has_room(header):
            log.warning("gossip.too_many_blocks", proposer=header.proposer, height=header.height)
            return None
        assembly = Assembly.begin(header, part)
        self._keep((header.hash, part.root), assembly)
        return assembly

    def _is_late(self, state: PeerState, header: BlockHeader) -> bool:
        """Whether the part was asked for, and the block is wanted no longer."""
        if header.hash in self._wants or header.height <= self._peers.height + 1:
            return False
        return self._wants.was_asked(state.peer, header.hash)

    def _signature_fault(self, part: Part, header: BlockHeader) -> PeerFault | None:
        if header.hash not in self._wants:
            if header.height > self._peers.height + 1:
                return PeerFault.FAR_HEIGHT
            if header.proposer not in self._validators(header.height):
                return PeerFault.UNKNOWN_KEY
        try:
            signer = recover_address(parts_digest(header.hash, part.root, part.count), part.signature)
        except BadSignature:
            return PeerFault.BAD_SIGNATURE
        return None if signer == header.proposer else PeerFault.BAD_SIGNATURE

    def _validators(self, height: Height) -> frozenset[Address]:
        members = self._members.get(height)
        if members is None:
            members = frozenset(one.address for one in self._peers.chain.validators(height))
            self._members[height] = members
        return members

    def _was_asked(self, state: PeerState, block_id: Hash32) -> bool:
        """Whether this node asked the peer for the block; only then it takes parts without the proposer's signature."""
        if self._wants.was_asked(state.peer, block_id):
            return True
        self._peers.blame(state.peer, PeerFault.UNASKED_ANSWER, "an unsigned part of a block")
        return False

    def _has_room(self, header: BlockHeader) -> bool:
        """Whether the proposer's blocks of this height are few; of a wanted block's roots the emptiest gives way."""
        limit = self._peers.options.blocks_per_proposer_max
        if header.hash in self._wants:
            rivals = {key: one for key, one in self._assemblies.items() if key[0] == header.hash and not one.is_whole}
            if len(rivals) >= limit:
                emptiest = min(rivals, key=lambda key: rivals[key].size_bytes)
                self._bytes -= self._assemblies.pop(emptiest).size_bytes
            return True
        same = (header.proposer, header.height)
        return sum((one.header.proposer, one.header.height) == same for one in self._assemblies.values()) < limit

    def _blame_wrong(self, state: PeerState, part: Part) -> None:
        if not part.signature:
            self._peers.blame(state.peer, PeerFault.WRONG_PART, "a part that gives no block")

    def _take(self, state: PeerState, part: Part, key: Key, assembly: Assembly) -> None:
        if assembly.pieces[part.index] is not None:
            assembly.knows(state.peer, part.index)
            self._wants.part_arrived(state.peer, assembly, is_new=False)
            return
        try:
            fits = verify_merkle_path(part.root, part.data, part.index, part.count, part.path)
        except EncodingError:
            fits = False
        if not fits:
            self._peers.blame(state.peer, PeerFault.WRONG_PART, f"part {part.index} of block {assembly.header.height}")
            return
        if not self._make_room(len(part.data), key):
            self._wants.part_arrived(state.peer, assembly, is_new=False)
            return
        assembly.add(part)
        self._bytes += len(part.data)
        assembly.knows(state.peer, part.index)
        if not part.signature:
            assembly.vouchers.add(state.peer)
        self._forward(state, part, assembly)
        self._wants.part_arrived(state.peer, assembly, is_new=True)
        if assembly.is_whole:
            self._complete(state, key, assembly)

    def _make_room(self, size_bytes: int, key: Key) -> bool:
        """Blocks that nobody waits for give way, the oldest first, and then wanted ones of later heights."""
        limit = self._peers.options.parts_bytes_max
        if self._bytes + size_bytes <= limit:
            return True
        height = self._assemblies[key].header.height
        idle = [other for other in self._assemblies if other != key and other[0] not in self._wants]
        later = [
            other
            for other, one in self._assemblies.items()
            if other[0] in self._wants and one.header.height > height
        ]
        later.sort(key=lambda other: self._assemblies[other].header.height, reverse=True)
        for other in (*idle, *later):
            self._bytes -= self._assemblies.pop(other).size_bytes
            if self._bytes + size_bytes <= limit:
                return True
        return False

    def _forward(self, state: PeerState, part: Part, assembly: Assembly) -> None:
        """To the peers that do not get it from where it came."""
        if not assembly.signature:
            return
        encoded = b""
        for other in self._peers.active():
            if other.peer == state.peer or not assembly.header.height - 1 <= other.height <= assembly.header.height:
                continue
            if assembly.known.get(other.peer, 0) >> part.index & 1:
                continue
            if not part.spread and state.peer in other.neighbours:
                continue
            if not encoded:
                encoded = assembly.part(part.index, part.data).encode()
            assembly.knows(other.peer, part.index)
            self._peers.send(other.peer, Topic.PART, encoded)

    def _complete(self, state: PeerState, key: Key, assembly: Assembly) -> None:
        try:
            block = Block.decode(assembly.joined())
            fits = block.hash == key[0] and body_fits(block)
        except EncodingError:
            fits = False
        if not fits:
            # The proposer signed a root that gives no block of its; without its signature the senders answer for it.
            log.warning("block.parts_unfit", height=assembly.header.height, proposer=assembly.header.proposer)
            for peer in assembly.vouchers:
                self._peers.blame(peer, PeerFault.INVALID_BLOCK, "parts that give no block")
            self._bytes -= assembly.size_bytes
            assembly.unfit, assembly.size_bytes = True, 0
            assembly.pieces = [None] * assembly.count
            return
        assembly.block = block
        source = PeerId(block.header.proposer) if assembly.signature else state.peer
        tells = self._wants.arrived(block.hash)
        for tell in tells:
            tell(source, block)
        if not tells and block.height <= self._peers.height + 1:
            self._host().block_arrived(source, block)

    # What does not come by itself.

    def want(
        self,
        height: Height,
        block_id: Hash32,
        arrived: Callable[[PeerId, Block], None] | None = None,
        *,
        first: PeerId | None = None,
        waiting: Waiting = Waiting.HOST,
    ) -> bool:
        """Bring a block here; `arrived` hears of it, or the host. `first` is asked at once. False: it is not tried."""
        tell = arrived or (lambda peer, block: self._host().block_arrived(peer, block))
        for assembly in self._roots(block_id):
            if assembly.block is not None:
                source = PeerId(assembly.header.proposer)
                self._peers.later(0, partial(tell, source, assembly.block))
                return True
        return self._wants.add(height, block_id, waiting, tell, first)

    def unwant(self, block_id: Hash32, waiting: Waiting = Waiting.HOST) -> None:
        """This one waits for it no longer."""
        self._wants.remove(block_id, waiting)

    def progress_at(self, block_id: Hash32) -> float | None:
        """When a wanted block's newest part came; None while none has."""
        return self._wants.progress_at(block_id)

    def _roots(self, block_id: Hash32) -> list[Assembly]:
        return [one for key, one in self._assemblies.items() if key[0] == block_id and not one.unfit]

    def peer_left(self, peer: PeerId) -> None:
        """When it comes back it may have forgotten what it had."""
        self._wants.peer_left(peer)
        for assembly in self._assemblies.values():
            assembly.known.pop(peer, None)

    # What peers ask for.

    def request_arrived(self, state: PeerState, payload: bytes) -> None:
        """A peer lacks parts. Raises EncodingError."""
        want = WantParts.decode(payload)
        if not state.requests.take(self._peers.now):
            self._peers.blame(state.peer, PeerFault.FLOOD, "requests for parts")
            return
        assembly = self._assemblies.get((want.block_id, want.root)) if want.root else self._fullest(want.block_id)
        if assembly is None or assembly.missing & want.missing == want.missing != 0:
            assembly = self._stored.find(want.block_id, state) or self._fullest(want.block_id)
        if assembly is None:
            return
        wanted = want.missing if assembly.root == want.root else (1 << assembly.count) - 1
        for number, part in enumerate(assembly.parts(wanted)):
            if number >= self._peers.options.parts_per_answer_max or not state.served.take(self._peers.now):
                return
            assembly.knows(state.peer, part.index)
            self._peers.send(state.peer, Topic.PART, part.encode())

    def _fullest(self, block_id: Hash32) -> Assembly | None:
        """The parts under the root of which most are here: a faulty proposer signs others too."""
        return max(self._roots(block_id), key=lambda one: (one.is_whole, one.size_bytes), default=None)

    def height_started(self) -> None:
        """Forget earlier heights."""
        height = self._peers.height
        self._wants.height_started()
        for key, assembly in list(self._assemblies.items()):
            if assembly.header.height < height and key[0] not in self._wants:
                self._bytes -= self._assemblies.pop(key).size_bytes
        for earlier in [number for number in self._members if number < height]:
            del self._members[earlier]
