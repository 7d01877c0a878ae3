"""What a consensus host is made of."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from lazai_core.api.consensus import ConsensusEngine
from lazai_core.api.types import Address
from lazai_core.chain.block import Block
from lazai_core.lazvm.vm import LazVM

from .block_checks import BlockChecks
from .block_timing import BlockTiming
from .commit import Committer
from .execution import BoundedThreads
from .last_sign import MessageSigner
from .wal import WriteAheadLog


class EvidenceRoom(Protocol):
    """Where proofs of misbehaviour wait for a block."""

    def add(self, evidence: bytes) -> bool:
        """Take a proof in; False where it is known already. Raises ConsensusFault for a forged one."""

    def committed(self, block: Block) -> None:
        """Forget what this block holds."""


@frozen(kw_only=True)
class HostParts:
    """What a consensus host works with. `disk` runs what waits for the disk, `execution` owns the machine's state."""

    engine: ConsensusEngine
    vm: LazVM
    execution: BoundedThreads
    disk: BoundedThreads
    timing: BlockTiming
    checks: BlockChecks
    committer: Committer
    wal: WriteAheadLog
    signer: MessageSigner
    address: Address
    evidence: EvidenceRoom | None = None
