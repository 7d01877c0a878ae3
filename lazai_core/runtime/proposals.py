"""Blocks of the height that is being decided: built here, or brought by peers. Bounded."""

from __future__ import annotations

from collections import OrderedDict

from attrs import define, field

from lazai_core.api.network import PeerId
from lazai_core.api.types import Hash32
from lazai_core.chain.block import Block
from lazai_core.lazvm.vm import ExecutedBlock

from .work import Work

BLOCKS_MAX = 64
BLOCKS_BYTES_MAX = 256 << 20


@define(kw_only=True, eq=False)
class HeldBlock:
    """A block, who brought it (None: built here), and what is known of it.

    `fits` says that its body is the one its header names, which `executed` implies.
    """

    block: Block
    peer: PeerId | None = None
    fits: bool = False
    executed: ExecutedBlock | None = None
    work: dict[bytes, Work] = field(factory=dict, repr=False)
    size_bytes: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        # Decoded transactions and records are most of it; the header is small change.
        self.size_bytes = 1024 + sum(map(len, self.block.transactions)) + sum(
            len(record.output) + len(record.proof.data) + 256 for record in self.block.records
        )


class HeldBlocks:
    """Blocks by id. The oldest unchecked ones give way, unwanted ones first, and never the one that is `bound`."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[Hash32, HeldBlock] = OrderedDict()
        self._bytes = 0
        self.wanted: set[Hash32] = set()
        self.bound: Hash32 | None = None

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def size_bytes(self) -> int:
        """Bytes of all blocks."""
        return self._bytes

    def get(self, block_id: Hash32) -> HeldBlock | None:
        """A block of this height."""
        return self._blocks.get(block_id)

    def add(self, held: HeldBlock) -> None:
        """Keep a block; one that is there stays."""
        block_id = held.block.hash
        if block_id in self._blocks:
            return
        self._blocks[block_id] = held
        self._bytes += held.size_bytes
        others = [other for other in self._blocks if other not in (block_id, self.bound)]
        for old in sorted(others, key=self._worth):
            if len(self._blocks) <= BLOCKS_MAX and self._bytes <= BLOCKS_BYTES_MAX:
                break
            self.drop(old)

    def _worth(self, block_id: Hash32) -> tuple[bool, bool]:
        """Blocks of this node's and checked ones before those that peers only sent, then those somebody waits for."""
        held = self._blocks[block_id]
        return held.peer is None or held.executed is not None, block_id in self.wanted

    def drop(self, block_id: Hash32) -> None:
        """Forget a block."""
        held = self._blocks.pop(block_id, None)
        if held is not None:
            self._bytes -= held.size_bytes

    def clear(self) -> None:
        """The height is over."""
        self._blocks.clear()
        self.wanted.clear()
        self.bound = None
        self._bytes = 0
