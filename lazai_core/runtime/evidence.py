"""Proofs of misbehaviour on their way into a block: verified, one an accused, bounded, and gone once judged."""

from __future__ import annotations

from lazai_core.api.consensus import EVIDENCE_BYTES_MAX, Offence
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import Address
from lazai_core.chain.block import EVIDENCE_MAX, Block
from lazai_core.lazvm.opening import EvidenceOutOfTime
from lazai_core.lazvm.vm import LazVM

PIECES_MAX = 64
"""Pieces kept. Where more validators lie at once, the chain has other troubles; the rest comes again by gossip."""
POOL_BYTES_MAX = 8 * 1024 * 1024


class EvidencePool:
    """Evidence that no block holds yet. On the loop's thread; verifying takes as long as reading its signatures."""

    def __init__(self, vm: LazVM) -> None:
        self._vm = vm
        self._pieces: dict[Address, tuple[bytes, Offence]] = {}
        self._bytes = 0

    def add(self, evidence: bytes) -> bool:
        """Take a piece in; False where it is not needed: known, of one accused or convicted already, too old, of a
        height that is not reached here, or no room.

        Raises ConsensusFault for a forged piece.
        """
        if len(evidence) > EVIDENCE_BYTES_MAX:
            raise ConsensusFault(f"{len(evidence)} bytes are more than evidence has")
        if any(evidence == known for known, _ in self._pieces.values()):
            return False
        try:
            offence = self._vm.verify_evidence(evidence)
        except EvidenceOutOfTime:
            return False
        if offence.validator in self._pieces or self._vm.is_convicted(offence.validator):
            return False
        if len(self._pieces) >= PIECES_MAX or self._bytes + len(evidence) > POOL_BYTES_MAX:
            return False
        self._pieces[offence.validator] = (evidence, offence)
        self._bytes += len(evidence)
        return True

    def pending(self) -> tuple[bytes, ...]:
        """What may enter the next block, oldest first; not more than a block holds."""
        head = self._vm.head.height
        return tuple(piece for piece, offence in self._pieces.values() if offence.height <= head)[:EVIDENCE_MAX]

    def committed(self, block: Block) -> None:
        """A block is committed: forget those it judged, and what is too old by now."""
        oldest = self._vm.evidence_from()
        for validator, (piece, offence) in list(self._pieces.items()):
            if piece in block.evidence or offence.height < oldest or self._vm.is_convicted(validator):
                del self._pieces[validator]
                self._bytes -= len(piece)
