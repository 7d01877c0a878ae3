"""The first frame of both ends: who is there, proven with the node key for this very channel."""

from __future__ import annotations

from attrs import field, frozen

from lazai_core.api.encoding import Reader, Writer, domain_hash
from lazai_core.api.errors import BadSignature, EncodingError
from lazai_core.api.hashing import SIGNATURE_BYTES, recover_address
from lazai_core.api.needs import NodeIdentity
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Hash32

from .frames import FrameRefused

PROTOCOL_VERSION = 1
HOST_BYTES_MAX = 255
HELLO_BYTES_MAX = 512
INSTANCE_BYTES = 16


@frozen(kw_only=True)
class Channel:
    """What both ends see of a TLS connection: the SHA-256 of the two certificates (32 bytes each)."""

    dialler: bytes
    listener: bytes

    def digest(self, *, by_dialler: bool, body: bytes) -> Hash32:
        """What one end signs. A signature for one channel, direction or body is good for no other."""
        writer = Writer().boolean(by_dialler).raw(self.dialler).raw(self.listener).bytes_(body)
        return Hash32(domain_hash("lazai/network/hello/v1", writer.finish()))


@frozen(kw_only=True)
class Hello:
    """What a node says of itself. `instance` (16 bytes) is new with every start; port 0: nobody listens there.

    An empty host stands for the address from which the connection comes.
    """

    version: int = PROTOCOL_VERSION
    peer: PeerId
    chain_id: int
    genesis_hash: Hash32
    instance: bytes = field(repr=False)
    host: str
    port: int

    def encode(self) -> bytes:
        """Canonical bytes, without a signature."""
        writer = Writer().u16(self.version).raw(self.peer).u64(self.chain_id).raw(self.genesis_hash).raw(self.instance)
        return writer.text(self.host).u16(self.port).finish()

    @classmethod
    def decode(cls, data: bytes) -> Hello:
        """Inverse of `encode`. Raises EncodingError."""
        reader = Reader(data)
        hello = cls(
            version=reader.u16(),
            peer=PeerId(reader.raw(20)),
            chain_id=reader.u64(),
            genesis_hash=Hash32(reader.raw(32)),
            instance=reader.raw(INSTANCE_BYTES),
            host=reader.text(HOST_BYTES_MAX),
            port=reader.u16(),
        )
        reader.finish()
        return hello


def signed_hello(hello: Hello, channel: Channel, identity: NodeIdentity, *, by_dialler: bool) -> bytes:
    """The payload of a hello frame: body and signature."""
    body = hello.encode()
    return Writer().bytes_(body).raw(identity.sign(channel.digest(by_dialler=by_dialler, body=body))).finish()


def open_hello(payload: bytes, channel: Channel, *, by_dialler: bool) -> Hello:
    """What the other end says, once it has proven to be who it says. Raises FrameRefused."""
    try:
        reader = Reader(payload)
        body = reader.bytes_(HELLO_BYTES_MAX)
        signature = reader.raw(SIGNATURE_BYTES)
        reader.finish()
        hello = Hello.decode(body)
        address = recover_address(channel.digest(by_dialler=by_dialler, body=body), signature)
    except EncodingError as error:
        raise FrameRefused(PeerFault.UNDECODABLE, str(error)) from error
    except BadSignature as error:
        raise FrameRefused(PeerFault.BAD_SIGNATURE, str(error)) from error
    if PeerId(address) != hello.peer:
        raise FrameRefused(PeerFault.BAD_SIGNATURE, f"not signed for this channel by 0x{hello.peer.hex()}")
    return hello
