"""Where the consensus host meets the network: what each may ask of the other. Gossip stands between them.

Both sides live on one event loop; no call here blocks, and everything handed to a `Peers` may be lost on the way.
"""

from __future__ import annotations

from typing import Protocol

from attrs import field, frozen

from lazai_core.api.consensus import Certificate, ReportEvidence
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.chain.block import Block


@frozen(kw_only=True)
class ConsensusMessage:
    """An engine's message; `sender` is the address whose key made `signature`."""

    sender: Address
    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    signature: bytes = field(repr=False)


class Peers(Protocol):
    """What the host asks of the network."""

    def send_message(self, message: ConsensusMessage) -> None:
        """Bring a message of this node to all validators."""

    def send_block(self, block: Block) -> None:
        """Bring a block that this node proposes to all validators, in parts."""

    def want_block(self, height: Height, block_id: Hash32) -> None:
        """A block that was proposed or decided is not here; `HostPort.block_arrived` answers. May be asked again."""

    def unwant_block(self, block_id: Hash32) -> None:
        """Nobody waits for this block any more."""

    def want_decided(self, up_to: Height) -> None:
        """Fetch the decided blocks after the head, up to this height; `HostPort.decided_arrived` answers in order."""

    def send_evidence(self, evidence: ReportEvidence) -> None:
        """Bring a proof of misbehaviour to whoever may put it into a block."""

    def height_started(self, height: Height) -> None:
        """The node decides this height now: tell peers where it stands, and forget what belonged to earlier heights."""

    def blame(self, peer: PeerId, fault: PeerFault) -> None:
        """The peer sent something that the host found to be wrong."""


class HostPort(Protocol):
    """What the network asks of the host."""

    @property
    def height(self) -> Height:
        """The height that is being decided."""

    def message_arrived(self, peer: PeerId, message: ConsensusMessage) -> None:
        """An authentic message of a validator of this or the next height, or a late one of the height before."""

    def block_arrived(self, peer: PeerId, block: Block) -> None:
        """A whole block whose parts fit its hash; it is not checked further."""

    def decided_arrived(self, peer: PeerId, block: Block, certificate: Certificate) -> None:
        """A decided block of the head's next height or a later one; the host verifies both."""

    def known_block(self, block_id: Hash32) -> Block | None:
        """A proposed block of the present height that this node holds, for peers that lack it."""


class Alone:
    """`Peers` of a node that has none."""

    def send_message(self, message: ConsensusMessage) -> None:
        """Nobody hears it."""

    def send_block(self, block: Block) -> None:
        """Nobody needs it."""

    def want_block(self, height: Height, block_id: Hash32) -> None:
        """Nobody has it."""

    def unwant_block(self, block_id: Hash32) -> None:
        """Nobody was asked."""

    def want_decided(self, up_to: Height) -> None:
        """Nobody is ahead."""

    def send_evidence(self, evidence: ReportEvidence) -> None:
        """Nobody is there to be convinced."""

    def height_started(self, height: Height) -> None:
        """Nobody asks."""

    def blame(self, peer: PeerId, fault: PeerFault) -> None:
        """Nobody sent anything."""
