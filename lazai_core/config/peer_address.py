"""Where a node is and which key it must show: "0x<address>@host:port"."""

from __future__ import annotations

import re

from attrs import frozen

from lazai_core.api.network import PeerId
from lazai_core.api.types import address_from_hex

HOST_BYTES_MAX = 255
HOST_PATTERN = re.compile(r"[A-Za-z0-9._:%-]{1,255}")


def split_host_port(text: str, *, port_min: int = 1) -> tuple[str, int]:
    """Parts of "host:port" or "[v6]:port". Raises ValueError saying what is wrong."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or not port_min <= int(port) <= 65535:
        raise ValueError(f"{text!r} does not end in a port from {port_min} to 65535, as in 127.0.0.1:26700")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in bare and bare == host:
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, as in [::1]:26700")
    if not HOST_PATTERN.fullmatch(bare):
        raise ValueError(f"{text!r}: {bare!r} is no host name and no IP address")
    return bare, int(port)


@frozen(kw_only=True, order=True)
class PeerAddress:
    """A node that listens at host and port, and the address that its key must prove."""

    peer: PeerId
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> PeerAddress:
        """Raises ValueError saying what is wrong with it."""
        key, separator, place = text.partition("@")
        if not separator:
            raise ValueError(f"{text!r} has no '@': write 0x<address of the peer's key>@host:port")
        try:
            peer = PeerId(address_from_hex(key))
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from None
        host, port = split_host_port(place)
        return cls(peer=peer, host=host, port=port)

    @property
    def place(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"0x{self.peer.hex()}@{self.place}"
