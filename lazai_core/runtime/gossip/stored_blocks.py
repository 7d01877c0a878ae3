"""Blocks that the host or the chain holds, cut into parts for peers that ask."""

from __future__ import annotations

from lazai_core.api.needs import NodeIdentity
from lazai_core.api.types import Hash32
from lazai_core.chain.block import BlockHeader

from .assembly import Assembly
from .bounds import Recent
from .part_set import PART_BYTES, PartSet
from .peers import HostOf, PeerState, PeerTable

PART_SETS_MAX = 4


class StoredBlocks:
    """The last few stay cut, as a peer asks for one block many times."""

    def __init__(self, peers: PeerTable, identity: NodeIdentity, host: HostOf) -> None:
        self._peers = peers
        self._identity = identity
        self._host = host
        self._cut: Recent[Hash32, Assembly] = Recent(PART_SETS_MAX)

    def find(self, block_id: Hash32, state: PeerState) -> Assembly | None:
        """All parts of a block, signed where it is this node's own. Reading and cutting it costs the peer its size."""
        known = self._cut.get(block_id)
        if known is not None:
            return known
        if not state.served.has(self._peers.now):
            return None
        found = self._read(block_id)
        if found is None:
            return None
        header, data = found
        state.served.spend(self._peers.now, len(data) / PART_BYTES)
        own = header.proposer == self._identity.address
        assembly = Assembly.whole(header, PartSet.cut(header, data, self._identity.sign if own else None))
        self._cut.put(block_id, assembly)
        return assembly

    def _read(self, block_id: Hash32) -> tuple[BlockHeader, bytes] | None:
        block = self._host().known_block(block_id)
        if block is not None:
            return block.header, block.encode()
        history = self._peers.chain.history
        height = history.height_of(block_id)
        if height is None:
            return None
        # The bytes go out as they are stored: nothing but the header is decoded.
        header, data = history.header(height), history.block_bytes(height)
        return None if header is None or data is None else (header, data)
