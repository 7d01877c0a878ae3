"""What this validator has signed in a height: never two things for one round and step."""

from __future__ import annotations

from attrs import define, field

from .messages import Kind, Message

ROUNDS_SENT_AGAIN = 2


@define
class HeightSigner:
    """Last-sign state of one height. A validator that is `silent` signs nothing at all."""

    silent: bool
    _newest: int = field(default=-1, init=False)
    _intents: dict[tuple[int, Kind], bytes] = field(factory=dict, init=False)
    _waiting: dict[bytes, Message] = field(factory=dict, init=False)
    _signed: dict[tuple[int, Kind], tuple[Message, bytes, bytes]] = field(factory=dict, init=False)

    def restore(self, message: Message, payload: bytes) -> None:
        """Take over a message recorded before a crash."""
        self._newest = max(self._newest, message.round)
        self._intents.setdefault((message.round, message.kind), payload)

    def request(self, message: Message, payload: bytes) -> bool | None:
        """Ask to sign: True for a first time, which must be recorded; False to sign the same again; None refuses."""
        if self.silent or message.round < self._newest - ROUNDS_SENT_AGAIN:
            return None
        self._newest = max(self._newest, message.round)
        self._forget_before(self._newest - ROUNDS_SENT_AGAIN)
        key = (message.round, message.kind)
        fresh = key not in self._intents
        if self._intents.setdefault(key, payload) != payload:
            return None
        self._waiting[payload] = message
        return fresh

    def signed(self, payload: bytes, signature: bytes) -> Message | None:
        """The signature came; None when nobody waits for it."""
        message = self._waiting.pop(payload, None)
        if message is not None:
            self._signed[message.round, message.kind] = (message, payload, signature)
        return message

    def is_waiting(self, payload: bytes) -> bool:
        """Whether a signature for this payload was asked for."""
        return payload in self._waiting

    def has_spoken(self, round_number: int, kind: Kind) -> bool:
        """Whether a message of this step was asked for, or may have been and is forgotten."""
        return (round_number, kind) in self._intents or round_number < self._newest - ROUNDS_SENT_AGAIN

    def _forget_before(self, round_number: int) -> None:
        # What is forgotten here is refused for ever: `request` looks at the round first.
        self._signed = {key: held for key, held in self._signed.items() if key[0] >= round_number}
        self._intents = {key: held for key, held in self._intents.items() if key[0] >= round_number}

    def newest(self) -> list[tuple[Message, bytes, bytes]]:
        """Message, payload and signature of our messages of the last rounds we spoke in, to be sent again."""
        rounds = sorted({number for number, _ in self._signed})[-ROUNDS_SENT_AGAIN:]
        return [self._signed[key] for key in sorted(self._signed) if key[0] in rounds]
