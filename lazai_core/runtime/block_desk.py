"""Blocks on their way to the engine: proposed ones are got and checked, decided ones verified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import structlog
from attrs import field, frozen

from lazai_core.api.consensus import BlockChecked, Certificate, CheckBlock, ConsensusEngine
from lazai_core.api.errors import EncodingError, InvalidBlock, StorageError
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Hash32, Height
from lazai_core.chain.block import Block
from lazai_core.lazvm.vm import LazVM

from .block_checks import BlockChecks
from .builder import Draft
from .decided import DecidedBlocks
from .host_tasks import HostTasks
from .peering import Alone, Peers
from .proposals import HeldBlock, HeldBlocks

log = structlog.get_logger(__name__)

ASK_AGAIN_S = 1.0
CHECKS_WAITING_MAX = 64


@frozen
class BlockReady:
    """A block that is waited for is here, and its body is the one its header names."""

    height: Height
    block_id: Hash32


@frozen
class DecidedReady:
    """A block came from a peer with a certificate that was verified."""

    held: HeldBlock = field(repr=False)
    certificate: Certificate


News: TypeAlias = BlockReady | DecidedReady | BlockChecked


class BlockDesk:
    """Blocks of the height that is being decided. What it finds it `tell`s the host's inbox."""

    def __init__(
        self,
        *,
        vm: LazVM,
        engine: ConsensusEngine,
        checks: BlockChecks,
        tasks: HostTasks,
        tell: Callable[[News], None],
    ) -> None:
        self._vm = vm
        self._engine = engine
        self._checks = checks
        self._tasks = tasks
        self._tell = tell
        self._blocks = HeldBlocks()
        self._decided = DecidedBlocks()
        self._waiting: dict[Hash32, CheckBlock] = {}
        self._asking: asyncio.TimerHandle | None = None
        self.peers: Peers = Alone()
        self.height = Height(vm.head.height + 1)
        self.undecided = True

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def waiting(self) -> int:
        """Proposals whose blocks are not here."""
        return len(self._waiting)

    def get(self, block_id: Hash32) -> HeldBlock | None:
        """A block of this height whose body is the one its header names."""
        held = self._blocks.get(block_id)
        return held if held is not None and held.fits else None

    def start_height(self, height: Height) -> None:
        """Forget what belonged to the height before, and look at what came early for this one."""
        self._blocks.clear()
        self._waiting.clear()
        self.height, self.undecided = height, True
        self.look_at_decided()

    def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()

    # Own blocks.

    def bind(self, block_id: Hash32) -> Block | None:
        """Keep this block until the height is over or another takes its place, and give it to be logged.

        None where it is not here, and where it is bound already.
        """
        held = self.get(block_id)
        if held is None or self._blocks.bound == block_id:
            return None
        self._blocks.bound = block_id
        return held.block

    def recall(self, data: bytes, *, bound: bool = False) -> None:
        """A block that the log kept: of this node's, or one that the engine is bound to. Raises StorageError."""
        try:
            block = Block.decode(data)
        except EncodingError as error:
            raise StorageError(
                f"a block in the consensus log cannot be read: {error.message}",
                hint="finish the height with the version that wrote the log, then update",
            ) from error
        if block.height == self.height:
            self._blocks.add(HeldBlock(block=block, fits=True))
            if bound:
                self._blocks.bound = block.hash

    def add_built(self, draft: Draft) -> None:
        """A block this node has built. Drafts of earlier rounds stay: the engine may still decide one of them."""
        block = draft.executed.block
        self._blocks.drop(block.hash)
        self._blocks.add(HeldBlock(block=block, fits=True, executed=draft.executed, work=draft.work))

    # Peers' blocks.

    def block_arrived(self, peer: PeerId, block: Block) -> None:
        """A proposed block; it is looked at when somebody wants it."""
        if block.height != self.height or self._blocks.get(block.hash) is not None:
            return
        self._blocks.add(HeldBlock(block=block, peer=peer))
        if block.hash in self._blocks.wanted:
            self._look_at(block.hash)

    def decided_arrived(self, peer: PeerId, block: Block, certificate: Certificate) -> None:
        """A decided block of this height or a later one."""
        if (certificate.height, certificate.block_id) != (block.height, block.hash):
            self.peers.blame(peer, PeerFault.FORGED_CERTIFICATE)
        elif self._decided.add(self.height, peer, block, certificate):
            self.look_at_decided()

    # Getting blocks.

    def check(self, effect: CheckBlock) -> None:
        """Check a proposed block once it is here."""
        self._waiting[effect.block_id] = effect
        if len(self._waiting) > CHECKS_WAITING_MAX:
            # Of a round long ago; its proposer gives it to nobody.
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            self._blocks.wanted.discard(oldest)
            self.peers.unwant_block(oldest)
        self.want(effect.block_id)

    def want(self, block_id: Hash32) -> None:
        """Get a block, or go on with the one that is here."""
        self._blocks.wanted.add(block_id)
        if self._blocks.get(block_id) is not None:
            self._look_at(block_id)
            return
        self.peers.want_block(self.height, block_id)
        if self._asking is None:
            self._asking = asyncio.get_running_loop().call_later(ASK_AGAIN_S, self._ask_again)

    def _ask_again(self) -> None:
        self._asking = None
        for block_id in sorted(self._blocks.wanted):
            if self._blocks.get(block_id) is None:
                self.want(block_id)
        if not self.undecided:
            self.peers.want_decided(self.height)

    def _look_at(self, block_id: Hash32) -> None:
        """A wanted block is here: see that its body fits."""
        held, height = self._blocks.get(block_id), self.height
        assert held is not None, "the caller has looked"
        if held.fits:
            self._tell(BlockReady(height, block_id))
            return

        async def look() -> None:
            if await self._checks.fits(held.block):
                held.fits = True
                self._tell(BlockReady(height, block_id))
            elif height == self.height:
                self._drop_wrong(held)

        self._tasks.spawn(look())

    def _drop_wrong(self, held: HeldBlock) -> None:
        if held.peer is not None:
            self.peers.blame(held.peer, PeerFault.WRONG_PART)
        block_id = held.block.hash
        if self._blocks.get(block_id) is held:
            self._blocks.drop(block_id)
            self.want(block_id)

    def ready(self, block_id: Hash32) -> HeldBlock | None:
        """A wanted block is ready: begin the check that waits for it. None where it gave way to others meanwhile."""
        held = self.get(block_id)
        if held is None:
            self.want(block_id)
            return None
        effect = self._waiting.pop(block_id, None)
        if effect is not None:
            self._tasks.spawn(self._check(effect, held))
        return held

    async def _check(self, effect: CheckBlock, held: HeldBlock) -> None:
        try:
            if held.executed is None:
                held.executed = await self._checks.check(held.block)
        except InvalidBlock as error:
            if effect.height != self._vm.head.height + 1:
                # The chain went on, here or on the machine's thread: it was checked on the wrong parent.
                return
            self._refuse(effect, error)
        valid = held.executed is not None
        self._tell(BlockChecked(height=effect.height, round=effect.round, block_id=effect.block_id, valid=valid))

    def _refuse(self, effect: CheckBlock, error: InvalidBlock) -> None:
        log.warning(
            "block.refused",
            height=effect.height,
            round=effect.round,
            proposer=effect.proposer,
            check=error.check,
            blame=error.blame,
            error=str(error),
        )
        if error.blame:
            self.peers.blame(PeerId(effect.proposer), PeerFault.INVALID_BLOCK)

    # Decided blocks.

    def look_at_decided(self) -> None:
        """Verify the decided block of this height, if one is here."""
        height = self.height
        decided = self._decided.next(height)
        if decided is None:
            return

        async def look() -> None:
            validators = self._vm.validators(height)
            if not await self._checks.certified(self._engine, decided.certificate, validators):
                fault = PeerFault.FORGED_CERTIFICATE
            elif not await self._checks.fits(decided.block):
                fault = PeerFault.WRONG_PART
            else:
                held = HeldBlock(block=decided.block, peer=decided.peer, fits=True)
                self._tell(DecidedReady(held, decided.certificate))
                return
            self.peers.blame(decided.peer, fault)
            self._decided.drop(height)
            self.peers.want_decided(height)

        self._tasks.spawn(look())

    def take_decided(self, held: HeldBlock) -> None:
        """Keep a decided block that was verified."""
        block_id = held.block.hash
        if self.get(block_id) is None:
            self._blocks.drop(block_id)
            self._blocks.wanted.add(block_id)
            self._blocks.add(held)
