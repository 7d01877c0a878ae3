"""Headers with their certificates and validator sets as one file, for who has no node (docs/CHAIN.md, section 6)."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from lazai_core.api.consensus import Certificate, Validator, decode_validators, encode_validators, validators_hash
from lazai_core.api.errors import ConsensusFault, EncodingError
from lazai_core.api.types import Hash32, Height, to_hex

from .block import BlockHeader
from .bounded_json import parse_json
from .genesis import canonical_json
from .history import ChainHistory
from .light_client import LightBlock, LightClient

FORMAT = "lazai/headers/v1"
FILE_BYTES_MAX = 256 * 1024 * 1024
HEADERS_MAX = 200_000


@frozen(kw_only=True)
class HeaderFile:
    """Headers by height, the certificates of those that have one, and validator sets by hash. Nothing is verified."""

    headers: dict[int, BlockHeader] = field(repr=lambda headers: f"<{len(headers)} headers>")
    certificates: dict[int, Certificate] = field(repr=lambda items: f"<{len(items)} certificates>")
    sets: dict[Hash32, tuple[Validator, ...]] = field(repr=lambda items: f"<{len(items)} sets>")

    def encode(self) -> bytes:
        """The canonical JSON document."""
        return canonical_json(
            {
                "format": FORMAT,
                "blocks": [
                    [to_hex(header.encode()), to_hex(self._certificate(height))]
                    for height, header in sorted(self.headers.items())
                ],
                "validators": sorted(to_hex(encode_validators(members)) for members in self.sets.values()),
            }
        )

    def _certificate(self, height: int) -> bytes:
        found = self.certificates.get(height)
        return b"" if found is None else found.encode()

    @classmethod
    def decode(cls, data: bytes) -> HeaderFile:
        """Inverse of `encode`. Raises EncodingError for anything but the canonical form."""
        if len(data) > FILE_BYTES_MAX:
            raise EncodingError(f"{len(data)} bytes, more than {FILE_BYTES_MAX}")
        try:
            document = parse_json(data.decode("ascii"))
        except ValueError as cause:
            raise EncodingError(f"not a JSON document: {cause}") from cause
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise EncodingError(f"a document of format {FORMAT!r} is expected")
        headers: dict[int, BlockHeader] = {}
        certificates: dict[int, Certificate] = {}
        for item in _list(document.get("blocks")):
            header, certificate = (_bytes(part) for part in _list(item, 2))
            read = BlockHeader.decode(header)
            headers[read.height] = read
            if certificate:
                certificates[read.height] = Certificate.decode(certificate)
        members = [decode_validators(_bytes(item)) for item in _list(document.get("validators"))]
        found = cls(headers=headers, certificates=certificates, sets={validators_hash(item): item for item in members})
        if found.encode() != data:
            raise EncodingError("the headers are not in their canonical form")
        return found

    def block(self, height: Height) -> LightBlock:
        """All that the file has of a height. Raises ConsensusFault where it lacks the header."""
        header = self.header(height)
        return LightBlock(
            header=header,
            certificate=self.certificates.get(height),
            validators=self.sets.get(header.validators_hash, ()),
            next_validators=self.sets.get(header.next_validators_hash, ()),
        )

    def header(self, height: Height) -> BlockHeader:
        """The header of a height. Raises ConsensusFault where the file lacks it."""
        header = self.headers.get(height)
        if header is None:
            raise ConsensusFault(f"the headers given lack height {height}")
        return header

    def find(self, header_hash: Hash32) -> BlockHeader | None:
        """The header with this hash."""
        return next((header for header in self.headers.values() if header.hash == header_hash), None)


def headers_of(history: ChainHistory, heights: Iterable[int]) -> HeaderFile:
    """What a chain's store holds of these heights. Raises ConsensusFault for one that it lacks."""
    headers: dict[int, BlockHeader] = {}
    certificates: dict[int, Certificate] = {}
    sets: dict[Hash32, tuple[Validator, ...]] = {}
    for height in heights:
        header = history.header(height)
        if header is None:
            raise ConsensusFault(f"the chain's store has no header of height {height}")
        headers[height] = header
        certificate = history.certificate(height)
        if certificate:
            certificates[height] = Certificate.decode(certificate)
        for name in (header.validators_hash, header.next_validators_hash):
            members = sets.get(name) or history.validators(name)
            if members is not None:
                sets[name] = members
    return HeaderFile(headers=headers, certificates=certificates, sets=sets)


def heights_between(client: LightClient, history: ChainHistory, trusted: Height, target: Height) -> list[int]:
    """The heights that lead from a trusted header to another: few forwards, all of them backwards.

    Raises ConsensusFault where the chain's store lacks one of them.
    """
    if target <= trusted:
        return list(range(target, trusted + 1))
    asked: set[int] = set()

    def fetch(height: Height) -> LightBlock:
        asked.add(height)
        return headers_of(history, [height]).block(height)

    client.verify_to(fetch(trusted), target, fetch)
    return sorted(asked)


def _list(value: object, length: int | None = None) -> list[object]:
    if isinstance(value, list) and len(value) <= HEADERS_MAX and length in (None, len(value)):
        return value
    raise EncodingError("a list of the documented length is expected")


def _bytes(value: object) -> bytes:
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            pass
    raise EncodingError("bytes in hexadecimal with 0x are expected")
