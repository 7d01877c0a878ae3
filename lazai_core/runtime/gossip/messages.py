"""Consensus messages: each is checked and handed over once, brought on to peers that its author does not reach itself,
and compared with peers when a height lasts, so that what was lost or withheld comes after all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from attrs import define, field

from lazai_core.api.consensus import Certificate, MessagePlace
from lazai_core.api.encoding import domain_hash
from lazai_core.api.errors import BadSignature, EncodingError
from lazai_core.api.hashing import recover_address
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Address, Height
from lazai_core.runtime.peering import ConsensusMessage

from .bounds import Budget, Seen
from .peers import HostOf, PeerState, PeerTable
from .wire import ENVELOPE_BYTES_MAX, MESSAGES_MAX, Have, SignedPayload, Topic, batch_messages, decode_messages, name_of

FRAME_BYTES_MAX = ENVELOPE_BYTES_MAX // 2
NAMES_IN_EXCHANGE_MAX = MESSAGES_MAX
REPEATED_MAX = 1000


@define(kw_only=True, eq=False)
class Held:
    """A message of the present or the next height, as it goes to peers."""

    message: ConsensusMessage
    encoded: bytes
    wire_name: bytes
    name: bytes
    place: MessagePlace
    handed_over: float = -1.0
    known_by: set[PeerId] = field(factory=set)


class MessageRoom:
    """Messages of two heights. `host` is who decides them."""

    def __init__(self, peers: PeerTable, place_of: Callable[[bytes], MessagePlace], host: HostOf) -> None:
        self._peers = peers
        self._place_of = place_of
        self._host = host
        self._seen: Seen[bytes] = Seen(peers.options.seen_max)
        self._statements: dict[bytes, Held] = {}
        self._held: dict[bytes, Held] = {}
        self._by_signer: dict[tuple[int, Address], list[Held]] = {}
        self._bytes = 0
        self._members: dict[int, frozenset[Address]] = {}
        self._authors: dict[Address, Budget] = {}
        self._outbox: dict[PeerId, list[bytes]] = {}
        self._flushing = False

    @property
    def size_bytes(self) -> int:
        """Bytes of all messages held."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._held)

    # This node's own.

    def send(self, message: ConsensusMessage) -> None:
        """To all peers, also what they got before: this node says it again because nothing moves."""
        signed = SignedPayload(payload=message.payload, signature=message.signature)
        wire_name = _wire_name(signed)
        held = self._held.get(wire_name)
        if held is None:
            try:
                place = self._place_of(message.payload)
            except EncodingError:
                return
            held = self._hold(message, signed, wire_name, place)
            self._seen.add(wire_name)
        for state in self._peers.active():
            if held.place.height - 1 <= state.height <= held.place.height:
                self._post(state, held)

    # From peers.

    def arrive(self, state: PeerState, payload: bytes) -> None:
        """An envelope of messages. Raises EncodingError."""
        messages = decode_messages(payload)
        if not state.messages.take(self._peers.now, len(messages)):
            self._peers.blame(state.peer, PeerFault.FLOOD, "consensus messages")
            return
        for signed in messages:
            wire_name = _wire_name(signed)
            held = self._held.get(wire_name)
            if held is not None:
                held.known_by.add(state.peer)
                if state.peer == PeerId(held.message.sender):
                    self._hand_over_again(state.peer, held)
            elif wire_name not in self._seen:
                self._take(state, signed, wire_name)

    def _take(self, state: PeerState, signed: SignedPayload, wire_name: bytes) -> None:
        place = self._place_of(signed.payload)
        height = self._peers.height
        if place.height < height:
            self._help(state, place.height)
            if place.height == height - 1:
                self._take_late(state, signed, wire_name)
            return
        fault = self._fault(signed, place)
        if isinstance(fault, PeerFault):
            self._peers.blame(state.peer, fault, f"height {place.height}, round {place.round}")
            return
        message = ConsensusMessage(sender=fault, payload=signed.payload, signature=signed.signature)
        known = self._statements.get(name_of(signed.payload, fault))
        if known is not None:
            # The author made another signature over the same bytes: nothing new.
            self._seen.add(wire_name)
            known.known_by.add(state.peer)
            return
        if not self._may_speak(state, message.sender):
            return
        self._seen.add(wire_name)
        held = self._hold(message, signed, wire_name, place)
        held.known_by.add(state.peer)
        self._hand_over(state.peer, held)
        self._relay(held)

    def _hand_over(self, peer: PeerId, held: Held) -> None:
        held.handed_over = self._peers.now
        self._host().message_arrived(peer, held.message)

    def _hand_over_again(self, peer: PeerId, held: Held) -> None:
        """Its author says it again, since nothing moves: perhaps the host had too much to do when it came first."""
        if held.handed_over >= 0 and (self._peers.now - held.handed_over) * 1000 >= self._peers.options.repeat_ms:
            self._hand_over(peer, held)

    def _take_late(self, state: PeerState, signed: SignedPayload, wire_name: bytes) -> None:
        """A message of the height just decided: its author's signature may still join the certificate."""
        self._seen.add(wire_name)
        try:
            signer = recover_address(signed.digest, signed.signature)
        except BadSignature:
            self._peers.blame(state.peer, PeerFault.BAD_SIGNATURE, "a late message")
            return
        if signer not in self._validators(Height(self._peers.height - 1)):
            self._peers.blame(state.peer, PeerFault.UNKNOWN_KEY, "a late message")
            return
        message = ConsensusMessage(sender=signer, payload=signed.payload, signature=signed.signature)
        self._host().message_arrived(state.peer, message)

    def _fault(self, signed: SignedPayload, place: MessagePlace) -> PeerFault | Address:
        """What is wrong with a message, or whose it is."""
        if place.height > self._peers.height + 1:
            return PeerFault.FAR_HEIGHT
        if place.round > self._peers.options.rounds_max:
            return PeerFault.FAR_ROUND
        try:
            signer = recover_address(signed.digest, signed.signature)
        except BadSignature:
            return PeerFault.BAD_SIGNATURE
        return signer if signer in self._validators(place.height) else PeerFault.UNKNOWN_KEY

    def _may_speak(self, state: PeerState, author: Address) -> bool:
        """No honest validator has more to say; what a liar says beyond that goes no further."""
        options = self._peers.options
        budget = self._authors.get(author)
        if budget is None:
            budget = Budget(rate=options.author_rate, burst=4 * options.author_rate)
            self._authors[author] = budget
        if budget.take(self._peers.now):
            return True
        if state.peer == PeerId(author):
            self._peers.blame(state.peer, PeerFault.FLOOD, "a validator's own messages")
        return False

    def _validators(self, height: Height) -> frozenset[Address]:
        members = self._members.get(height)
        if members is None:
            members = frozenset(one.address for one in self._peers.chain.validators(height))
            self._members[height] = members
        return members

    # What is kept.

    def _hold(self, message: ConsensusMessage, signed: SignedPayload, wire_name: bytes, place: MessagePlace) -> Held:
        name = name_of(message.payload, message.sender)
        held = Held(message=message, encoded=signed.encode(), wire_name=wire_name, name=name, place=place)
        of_signer = self._by_signer.setdefault((place.height, message.sender), [])
        of_signer.append(held)
        self._held[wire_name] = self._statements[name] = held
        self._bytes += len(held.encoded)
        if len(of_signer) > self._peers.options.messages_per_signer_max:
            self._drop(of_signer[0])
        while self._bytes > self._peers.options.messages_bytes_max and len(self._held) > 1:
            self._drop(next(iter(self._held.values())))
        return held

    def _drop(self, held: Held) -> None:
        del self._held[held.wire_name]
        if self._statements.get(held.name) is held:
            del self._statements[held.name]
        self._bytes -= len(held.encoded)
        key = (int(held.place.height), held.message.sender)
        self._by_signer[key].remove(held)
        if not self._by_signer[key]:
            del self._by_signer[key]

    def height_started(self) -> None:
        """Forget earlier heights."""
        height = self._peers.height
        for held in [held for held in self._held.values() if held.place.height < height]:
            self._drop(held)
        for earlier in [number for number in self._members if number < height]:
            del self._members[earlier]
        present = frozenset().union(*self._members.values())
        self._authors = {author: budget for author, budget in self._authors.items() if author in present}

    # To peers.

    def _relay(self, held: Held) -> None:
        """To the peers that do not have it from its author."""
        author = PeerId(held.message.sender)
        for state in self._peers.active():
            if state.peer == author or state.peer in held.known_by or author in state.neighbours:
                continue
            if held.place.height - 1 <= state.height <= held.place.height:
                self._post(state, held)

    def peer_left(self, peer: PeerId) -> None:
        """When it comes back it may have forgotten what it knew."""
        for held in self._held.values():
            held.known_by.discard(peer)
        self._outbox.pop(peer, None)

    def peer_advanced(self, state: PeerState, before: Height) -> None:
        """A peer has come to a height: it gets what is held for it and was too early until now."""
        for held in tuple(self._held.values()):
            place = held.place.height
            if before + 1 < place and state.height <= place <= state.height + 1 and state.peer not in held.known_by:
                self._post(state, held)

    def _post(self, state: PeerState, held: Held) -> None:
        """Into the next envelope to the peer; what comes up in one turn of the loop travels together."""
        held.known_by.add(state.peer)
        self._outbox.setdefault(state.peer, []).append(held.encoded)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        outbox, self._outbox = self._outbox, {}
        made: dict[tuple[int, ...], list[bytes]] = {}
        for peer, messages in outbox.items():
            key = tuple(map(id, messages))
            frames = made.get(key)
            if frames is None:
                frames = made[key] = _frames(messages)
            for frame in frames:
                self._peers.send(peer, Topic.MESSAGES, frame)

    # What was lost.

    def exchange(self) -> None:
        """The height lasts: ask one peer for what this node lacks, and let the host look at what it may have missed."""
        height = self._peers.height
        if (self._peers.now - self._peers.height_since) * 1000 >= 2 * self._peers.options.repeat_ms:
            of_height = [held for held in self._held.values() if held.place.height == height]
            for held in of_height[-REPEATED_MAX:]:
                self._hand_over_again(PeerId(held.message.sender), held)
        candidates = [state for state in self._peers.active() if state.height == height]
        if not candidates:
            return
        names = [held.name for held in self._held.values() if held.place.height == height]
        have = Have(height=height, names=frozenset(names[-NAMES_IN_EXCHANGE_MAX:]))
        self._peers.send(self._peers.random.choice(candidates).peer, Topic.HAVE, have.encode())

    def have_arrived(self, state: PeerState, payload: bytes) -> None:
        """A peer asks for what it lacks. Raises EncodingError."""
        have = Have.decode(payload)
        now = self._peers.now
        if (now - state.exchanged) * 1000 < self._peers.options.exchange_ms / 2:
            # The answer may be a hundred times as long as the question.
            return
        state.exchanged = now
        if have.height < self._peers.height:
            self._help(state, have.height)
        elif have.height == self._peers.height:
            for held in tuple(self._held.values()):
                if held.place.height == have.height and held.name not in have.names:
                    self._post(state, held)

    def _help(self, state: PeerState, height: Height) -> None:
        """A peer is still at a height that is decided: its votes cannot help it, the certificate does."""
        last_height, last_time = state.certificate_sent
        now = self._peers.now
        if last_height == height and (now - last_time) * 1000 < self._peers.options.certificate_repeat_ms:
            return
        certificate = self._peers.chain.history.certificate(height)
        if certificate:
            state.certificate_sent = (height, now)
            self._peers.send(state.peer, Topic.CERTIFICATE, certificate)

    def certificate_arrived(self, state: PeerState, payload: bytes) -> Certificate | None:
        """The certificate, where it decides the present height. Raises EncodingError."""
        certificate = Certificate.decode(payload)
        return certificate if certificate.height == self._peers.height else None


def _wire_name(signed: SignedPayload) -> bytes:
    return domain_hash("lazai/gossip/wire/v1", signed.payload, signed.signature)


def _frames(messages: Sequence[bytes]) -> list[bytes]:
    """Envelopes that hold the messages, none larger than half of what an envelope may be, or one message alone."""
    frames: list[bytes] = []
    batch: list[bytes] = []
    size = 0
    for encoded in messages:
        if batch and (size + len(encoded) > FRAME_BYTES_MAX or len(batch) >= MESSAGES_MAX):
            frames.append(batch_messages(batch))
            batch, size = [], 0
        batch.append(encoded)
        size += len(encoded)
    frames.append(batch_messages(batch))
    return frames
