"""Proofs of misbehaviour: each goes into the pool and on to all peers once, when the pool has found it to be right."""

from __future__ import annotations

import structlog

from lazai_core.api.encoding import domain_hash
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.network import PeerFault

from .bounds import Seen
from .peers import PeerState, PeerTable
from .ports import EvidencePort
from .transaction_wire import decode_evidence, frames_of
from .wire import Topic

log = structlog.get_logger(__name__)

FORGED_REMEMBERED_MAX = 1024


class EvidenceRoom:
    """Evidence on its way to whoever proposes next."""

    def __init__(self, peers: PeerTable, port: EvidencePort | None) -> None:
        self._peers = peers
        self._port = port
        self._spread_names: Seen[bytes] = Seen(FORGED_REMEMBERED_MAX)
        self._forged: Seen[bytes] = Seen(FORGED_REMEMBERED_MAX)

    def send(self, evidence: bytes) -> None:
        """This node has found a liar."""
        name = domain_hash("lazai/gossip/evidence/v1", evidence)
        if self._port is None or name in self._spread_names:
            return
        try:
            # Whether it was new or not: the pool may have it from the host, and peers have it from here.
            self._port.add(evidence)
        except ConsensusFault as error:
            log.warning("evidence.unprovable", error=error.message)
            return
        self._spread_names.add(name)
        self._spread(evidence, ())

    def arrived(self, state: PeerState, payload: bytes) -> None:
        """Pieces of evidence. Raises EncodingError."""
        pieces = decode_evidence(payload)
        # Each costs as much to verify as a crowd of votes.
        if not state.evidence.take(self._peers.now, len(pieces)):
            self._peers.blame(state.peer, PeerFault.FLOOD, "evidence")
            return
        if self._port is None:
            return
        for piece in pieces:
            name = domain_hash("lazai/gossip/evidence/v1", piece)
            if name in self._forged:
                self._peers.blame(state.peer, PeerFault.FORGED_EVIDENCE)
                continue
            try:
                is_new = self._port.add(piece)
            except ConsensusFault as error:
                self._forged.add(name)
                self._peers.blame(state.peer, PeerFault.FORGED_EVIDENCE, error.message)
                continue
            if is_new:
                self._spread(piece, (state,))

    def _spread(self, evidence: bytes, without: tuple[PeerState, ...]) -> None:
        (frame,) = frames_of([evidence])
        for state in self._peers.active():
            if state not in without:
                self._peers.send(state.peer, Topic.EVIDENCE, frame)

    def tell(self, state: PeerState) -> None:
        """A peer has joined: what waits here may be new to it."""
        if self._port is None:
            return
        for frame in frames_of(self._port.pending()):
            self._peers.send(state.peer, Topic.EVIDENCE, frame)
