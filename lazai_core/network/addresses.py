"""Addresses of nodes as peers tell them to each other."""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.network import PeerId
from lazai_core.config.peer_address import HOST_BYTES_MAX, HOST_PATTERN, PeerAddress

ADDRESSES_MAX = 64
_ADDRESS_BYTES_MIN = 20 + 4 + 1 + 2
ADDRESSES_BYTES_MAX = 4 + ADDRESSES_MAX * (20 + 4 + HOST_BYTES_MAX + 2)


def write_address(writer: Writer, address: PeerAddress) -> Writer:
    """Canonical bytes of one address."""
    return writer.raw(address.peer).text(address.host).u16(address.port)


def read_address(reader: Reader) -> PeerAddress:
    """Inverse of `write_address`. Raises EncodingError."""
    peer, host, port = PeerId(reader.raw(20)), reader.text(HOST_BYTES_MAX), reader.u16()
    if not HOST_PATTERN.fullmatch(host) or not port:
        raise reader.fail("an address without a host or a port")
    return PeerAddress(peer=peer, host=host, port=port)


def encode_addresses(addresses: Sequence[PeerAddress]) -> bytes:
    """Answer to a question for addresses: the first of them."""
    return Writer().sequence(addresses[:ADDRESSES_MAX], write_address).finish()


def decode_addresses(data: bytes) -> tuple[PeerAddress, ...]:
    """Inverse of `encode_addresses`. Raises EncodingError."""
    reader = Reader(data)
    found = reader.sequence(read_address, limit=ADDRESSES_MAX, item_bytes_min=_ADDRESS_BYTES_MIN)
    reader.finish()
    return found
