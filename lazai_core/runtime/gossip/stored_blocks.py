"""Blocks that the host or the chain holds, cut into parts for peers that ask."""

from __future__ import annotations

from lazai_core.api.needs import NodeIdentity
from lazai_core.api.types import Hash32

from .assembly import Assembly
from .bounds import Recent
from .part_set import PartSet
from .peers import HostOf, PeerTable

PART_SETS_MAX = 4


class StoredBlocks:
    """The last few stay cut, as a peer asks for one block many times."""

    def __init__(self, peers: PeerTable, identity: NodeIdentity, host: HostOf) -> None:
        self._peers = peers
        self._identity = identity
        self._host = host
        self._cut: Recent[Hash32, Assembly] = Recent(PART_SETS_MAX)

    def find(self, block_id: Hash32) -> Assembly | None:
        """All parts of a block, signed where it is this node's own."""
        known = self._cut.get(block_id)
        if known is not None:
            return known
        block = self._host().known_block(block_id) or self._peers.chain.history.block_by_hash(block_id)
        if block is None:
            return None
        own = block.header.proposer == self._identity.address
        assembly = Assembly.whole(block, PartSet.of(block, self._identity.sign if own else None))
        self._cut.put(block_id, assembly)
        return assembly
