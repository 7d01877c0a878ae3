"""What faulty validators do. Each is the shipped node with one thing wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from random import Random

from attrs import evolve

from lazai_core.api.consensus import ReportEvidence
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Address, Gas, Hash32, Height
from lazai_core.chain.block import Block, BlockHeader, transactions_root
from lazai_core.runtime.block_timing import BlockTiming
from lazai_core.runtime.builder import Draft
from lazai_core.runtime.peering import ConsensusMessage, HostPort, Peers

from .chain import transfer


class Behaviour(StrEnum):
    """What a validator does."""

    HONEST = "honest"
    TWINS = "twins"
    """Two whole nodes with one key, each heard by some of the others, who change sides."""
    SILENT = "silent"
    """Listens and says nothing."""
    WITHHOLDING = "withholding"
    """Proposes blocks and gives them to nobody."""
    INVALID = "invalid"
    """Proposes blocks that break a rule."""
    FORGETFUL = "forgetful"
    """Loses its log and the record of what it signed with every crash."""


FAULTY = tuple(behaviour for behaviour in Behaviour if behaviour is not Behaviour.HONEST)


class QuietPeers:
    """`Peers` that lets only some of it out."""

    def __init__(self, peers: Peers, *, messages: bool, blocks: bool) -> None:
        self._peers = peers
        self._messages = messages
        self._blocks = blocks

    def send_message(self, message: ConsensusMessage) -> None:
        """Or not."""
        if self._messages:
            self._peers.send_message(message)

    def send_block(self, block: Block) -> None:
        """Or not."""
        if self._blocks:
            self._peers.send_block(block)

    def want_block(self, height: Height, block_id: Hash32) -> None:
        """As usual."""
        self._peers.want_block(height, block_id)

    def unwant_block(self, block_id: Hash32) -> None:
        """As usual."""
        self._peers.unwant_block(block_id)

    def want_decided(self, up_to: Height) -> None:
        """As usual."""
        self._peers.want_decided(up_to)

    def send_evidence(self, evidence: ReportEvidence) -> None:
        """As usual."""
        self._peers.send_evidence(evidence)

    def height_started(self, height: Height) -> None:
        """As usual."""
        self._peers.height_started(height)

    def blame(self, peer: PeerId, fault: PeerFault) -> None:
        """As usual."""
        self._peers.blame(peer, fault)


def quiet(behaviour: Behaviour, peers: Peers) -> Peers:
    """The way out that this behaviour leaves open."""
    match behaviour:
        case Behaviour.SILENT:
            return QuietPeers(peers, messages=False, blocks=False)
        case Behaviour.WITHHOLDING:
            return QuietPeers(peers, messages=True, blocks=False)
    return peers


class HidingPort:
    """`HostPort` of a host that shows its blocks to nobody."""

    def __init__(self, host: HostPort) -> None:
        self._host = host
        self.message_arrived = host.message_arrived
        self.block_arrived = host.block_arrived
        self.decided_arrived = host.decided_arrived

    @property
    def height(self) -> Height:
        """As usual."""
        return self._host.height

    def known_block(self, block_id: Hash32) -> Block | None:
        """Never."""
        return None


Spoil = Callable[[BlockHeader], BlockHeader]
SPOILT: Mapping[str, Spoil] = {
    "state root": lambda header: evolve(header, state_root=Hash32(bytes(32))),
    "receipts root": lambda header: evolve(header, receipts_root=Hash32(bytes(32))),
    "gas used": lambda header: evolve(header, gas_used=Gas(header.gas_used + 1)),
    "gas limit": lambda header: evolve(header, gas_limit=Gas(header.gas_limit + 1)),
    "compute gas": lambda header: evolve(header, compute_gas_used=Gas(header.compute_gas_used + 1)),
    "parent": lambda header: evolve(header, parent_hash=Hash32(bytes(32))),
    "validators": lambda header: evolve(header, next_validators_hash=Hash32(bytes(32))),
    "time past": lambda header: evolve(header, timestamp=0),
    "time to come": lambda header: evolve(header, timestamp=header.timestamp + 3600),
    "proposer": lambda header: evolve(header, proposer=Address(b"\x0f" * 20)),
}
BODY = "body"
"""A transaction that nobody may send: its root is right, it cannot be executed."""


class SpoilingTiming(BlockTiming):
    """Builds a block and breaks one thing of it."""

    random: Random

    async def draft(self, round_number: int, *, shared: bool) -> Draft:
        """A block that no honest validator may accept."""
        draft = await super().draft(round_number, shared=shared)
        block = draft.executed.block
        fault = self.random.choice((*SPOILT, BODY))
        if fault == BODY:
            raw = (*block.transactions, transfer(0, 2**40, Address(bytes(20)), 1).raw)
            wrong = Block(
                header=evolve(block.header, transactions_root=transactions_root(raw)),
                transactions=raw,
                last_certificate=block.last_certificate,
                evidence=block.evidence,
            )
        else:
            wrong = evolve(block, header=SPOILT[fault](block.header))
        return evolve(draft, executed=evolve(draft.executed, block=wrong))
