"""The container that `.r1cs`, `.wtns`, `.zkey` and `.ptau` share; all numbers are little-endian.

`magic[4] | u32 version | u32 sections | { u32 type | u64 size | body }*`. Sections come in any order; each type that
is read must occur once. Types that nobody asks for are kept apart and ignored, as the format demands.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from attrs import field, frozen

from lazai_core.api.errors import EncodingError

SECTIONS_MAX = 64
HEADER_BYTES = 12
SECTION_HEADER_BYTES = 12


@frozen(kw_only=True)
class Section:
    """One section: `start` is the offset of its body in the file."""

    kind: str
    number: int
    start: int
    body: memoryview = field(repr=False)

    def fail(self, offset: int, message: str) -> EncodingError:
        """The error for what stands at `offset` of this section; the caller raises it."""
        return EncodingError(f"{self.kind}: section {self.number} at offset {self.start + offset}: {message}")


@frozen(kw_only=True)
class Container:
    """A file cut into sections."""

    kind: str
    version: int
    sections: tuple[Section, ...]

    def section(self, number: int) -> Section:
        """The only section of this type. Raises EncodingError where there is none or more than one."""
        found = [section for section in self.sections if section.number == number]
        if len(found) != 1:
            raise EncodingError(f"{self.kind}: section {number} must occur once, it occurs {len(found)} times")
        return found[0]

    def optional(self, number: int) -> Section | None:
        """The section, or None where there is none. Raises EncodingError where there is more than one."""
        if all(section.number != number for section in self.sections):
            return None
        return self.section(number)


def read_container(data: bytes | memoryview, magic: bytes, versions: Sequence[int]) -> Container:
    """Cut a file into its sections without copying. Raises EncodingError."""
    view, kind = memoryview(data), f".{magic.decode('ascii')}"
    if len(view) < HEADER_BYTES:
        raise EncodingError(f"{kind}: header at offset 0: {len(view)} bytes are too few")
    found, version, count = struct.unpack("<4sII", view[:HEADER_BYTES])
    if found != magic:
        raise EncodingError(f"{kind}: header at offset 0: the file begins with {found!r}, {magic!r} is expected")
    if version not in versions:
        raise EncodingError(f"{kind}: header at offset 4: version {version} is not one of {list(versions)}")
    if count > SECTIONS_MAX:
        raise EncodingError(f"{kind}: header at offset 8: {count} sections are more than {SECTIONS_MAX}")
    return Container(kind=kind, version=version, sections=_cut(kind, view, count))


def _cut(kind: str, view: memoryview, count: int) -> tuple[Section, ...]:
    sections, offset = [], HEADER_BYTES
    for index in range(count):
        if len(view) - offset < SECTION_HEADER_BYTES:
            raise EncodingError(f"{kind}: header of section {index + 1} of {count} at offset {offset}: the file ends")
        number, size = struct.unpack("<IQ", view[offset : offset + SECTION_HEADER_BYTES])
        offset += SECTION_HEADER_BYTES
        if size > len(view) - offset:
            raise EncodingError(
                f"{kind}: section {number} at offset {offset}: it states {size} bytes, {len(view) - offset} are left"
            )
        sections.append(Section(kind=kind, number=number, start=offset, body=view[offset : offset + size]))
        offset += size
    if offset != len(view):
        raise EncodingError(f"{kind}: end at offset {offset}: {len(view) - offset} bytes follow the last section")
    return tuple(sections)


def write_container(magic: bytes, version: int, sections: Iterable[tuple[int, Sequence[bytes | memoryview]]]) -> bytes:
    """A file from `(type, parts of the body)` in the given order."""
    listed = [(number, list(parts)) for number, parts in sections]
    out = [struct.pack("<4sII", magic, version, len(listed))]
    for number, parts in listed:
        out.append(struct.pack("<IQ", number, sum(len(part) for part in parts)))
        out.extend(bytes(part) for part in parts)
    return b"".join(out)


class Cursor:
    """Reads numbers one after the other from a section."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self._offset = 0

    @property
    def offset(self) -> int:
        """Bytes read so far."""
        return self._offset

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._section.body) - self._offset

    def fail(self, message: str) -> EncodingError:
        """The error for what was just read; the caller raises it."""
        return self._section.fail(self._offset, message)

    def raw(self, count: int) -> memoryview:
        """Exactly `count` bytes."""
        if count > self.remaining:
            raise self.fail(f"{count} bytes are needed, {self.remaining} are left")
        start, self._offset = self._offset, self._offset + count
        return self._section.body[start : self._offset]

    def u32(self) -> int:
        """Four bytes, unsigned."""
        return int.from_bytes(self.raw(4), "little")

    def u64(self) -> int:
        """Eight bytes, unsigned."""
        return int.from_bytes(self.raw(8), "little")

    def integer(self, count: int) -> int:
        """`count` bytes, unsigned."""
        return int.from_bytes(self.raw(count), "little")

    def prime(self, expected: int) -> None:
        """A u32 size of 32 and the one prime that is supported. Raises EncodingError for another."""
        size = self.u32()
        if size != 32:
            raise self.fail(f"field elements of {size} bytes; BN254 has 32")
        if self.integer(32) != expected:
            raise self.fail("the prime is not BN254's")

    def finish(self) -> None:
        """Refuse trailing bytes."""
        if self.remaining:
            raise self.fail(f"{self.remaining} bytes are left over")
