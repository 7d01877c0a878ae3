"""What a validator looks at before it votes for a block, on the thread that owns the machine's state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from lazai_core.api.consensus import Certificate, ConsensusEngine, Validator
from lazai_core.api.errors import CannotJudge, ConsensusFault, InvalidBlock
from lazai_core.api.needs import Clock
from lazai_core.chain.block import Block
from lazai_core.lazvm.vm import ExecutedBlock, LazVM

from .execution import BoundedThreads
from .gossip.body import body_fits
from .pace import BlockPace

log = structlog.get_logger(__name__)

TIME_AHEAD_S_MAX = 15
"""A block's time may be this far ahead of our clock; a validator waits with its vote until it is."""
JUDGE_AGAIN_S, JUDGE_AGAIN_S_MAX = 1.0, 30.0


class BlockChecks:
    """Checks blocks on the head."""

    def __init__(
        self, *, vm: LazVM, execution: BoundedThreads, clock: Clock, pace: BlockPace | None = None
    ) -> None:
        self._pace = pace
        self._vm = vm
        self._execution = execution
        self._clock = clock

    async def fits(self, block: Block) -> bool:
        """Whether the body is the one that the header names."""
        return await self._execution.run_first(lambda: body_fits(block))

    async def certified(
        self, engine: ConsensusEngine, certificate: Certificate, validators: Sequence[Validator]
    ) -> bool:
        """Whether these validators decided what the certificate says."""

        def look() -> bool:
            try:
                engine.verify_certificate(certificate, validators, self._vm.genesis.chain_id)
            except ConsensusFault:
                return False
            return True

        return await self._execution.run_first(look)

    async def check(self, block: Block) -> ExecutedBlock:
        """Execute a proposed block. Raises InvalidBlock.

        A block from the future is neither valid nor invalid: whoever refused it by the clock would refuse it for good.
        """
        header = block.header
        if all(validator.address != header.proposer for validator in self._vm.validators(block.height)):
            raise InvalidBlock(
                f"0x{header.proposer.hex()} is no validator of height {block.height}",
                check="proposer",
                blame=header.proposer,
            )
        while (ahead := header.timestamp - self._clock.now_seconds() - TIME_AHEAD_S_MAX) > 0:
            await asyncio.sleep(min(ahead, 60))
        loop = asyncio.get_running_loop()
        started = loop.time()
        executed = await self.execute(block)
        if self._pace is not None:
            self._pace.took(len(block.transactions), 1000 * (loop.time() - started))
        return executed

    async def execute(self, block: Block, tries_max: int | None = None) -> ExecutedBlock:
        """The block on the head; again and again while it is this node that cannot judge. Raises InvalidBlock."""
        tries, pause_s = 0, JUDGE_AGAIN_S
        while True:
            tries += 1
            try:
                return await self._execution.run_first(self._vm.check_block, block)
            except CannotJudge as error:
                if tries == tries_max:
                    raise
                log.warning("block.not_judged", height=block.height, error=str(error), again_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, JUDGE_AGAIN_S_MAX)
