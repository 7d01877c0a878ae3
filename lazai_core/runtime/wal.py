"""The log that is written ahead of every signature: an append-only file a height, checked frame by frame.

A frame is what was made durable at once: magic, height, its offset in the file, its length, a checksum over all of it,
and the records. A file whose end is no whole frame was being written when the power went, and is cut there: nothing
that followed from it has left the node. A broken frame with a whole one after it is damage, and is reported.

Records are the engine's (`AppendWal`), the blocks that this node built, so that it can still show what it proposed,
and those that the engine is bound to, whoever built them: if all who held such a block lost it, nobody could go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from hashlib import blake2b

import structlog
from attrs import field, frozen

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import EncodingError, StorageError

from .disk import Disk

log = structlog.get_logger(__name__)

MAGIC = b"LzW1"
CHECKSUM_BYTES = 16
HEADER_BYTES = len(MAGIC) + 8 + 8 + 4 + CHECKSUM_BYTES
RECORD_BYTES_MAX = 64 << 20
RECORDS_A_FRAME_MAX = 4096
FILE_BYTES_MAX = 256 << 20
DRAFTS_KEPT_MAX = 4
_PREFIX = "wal-"


class RecordKind(IntEnum):
    """Whose record it is."""

    ENGINE = 0
    BLOCK = 1
    BOUND = 2
    """A block that `AppendWal` named."""


_COMPACTED = (RecordKind.BLOCK, RecordKind.BOUND, RecordKind.ENGINE)


@frozen(kw_only=True)
class LogRecord:
    """One record."""

    kind: RecordKind
    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")


def encode_frame(height: int, offset: int, records: Sequence[LogRecord]) -> bytes:
    """A frame that begins at `offset` of the height's file."""
    writer = Writer()
    writer.sequence(records, lambda out, record: out.u8(record.kind).bytes_(record.payload))
    return _sealed(height, offset, writer.finish())


def _sealed(height: int, offset: int, body: bytes) -> bytes:
    head = MAGIC + height.to_bytes(8, "big") + offset.to_bytes(8, "big") + len(body).to_bytes(4, "big")
    return head + blake2b(head + body, digest_size=CHECKSUM_BYTES).digest() + body


def _frame_at(data: bytes, height: int, offset: int) -> bytes | None:
    """The body of the frame at `offset`; None where no whole frame of this height begins."""
    head = data[offset : offset + HEADER_BYTES]
    expected = MAGIC + height.to_bytes(8, "big") + offset.to_bytes(8, "big")
    if len(head) < HEADER_BYTES or not head.startswith(expected):
        return None
    start = offset + HEADER_BYTES
    body = data[start : start + int.from_bytes(head[20:24], "big")]
    return body if _sealed(height, offset, body) == head + body else None


def _read_body(body: bytes) -> tuple[LogRecord, ...]:
    reader = Reader(body)

    def one(source: Reader) -> LogRecord:
        kind = source.u8()
        if kind > RecordKind.BOUND:
            raise source.fail(f"there is no record of kind {kind}")
        return LogRecord(kind=RecordKind(kind), payload=source.bytes_(RECORD_BYTES_MAX))

    records = reader.sequence(one, limit=RECORDS_A_FRAME_MAX, item_bytes_min=5)
    reader.finish()
    return records


@frozen(kw_only=True)
class ReadLog:
    """What a file holds: its records, and how many bytes of it are whole frames."""

    records: tuple[LogRecord, ...]
    size_bytes: int


def read_log(data: bytes, height: int, name: str) -> ReadLog:
    """Read a height's file. Raises StorageError when a broken frame has a whole one after it."""
    records: list[LogRecord] = []
    offset = 0
    while offset < len(data):
        body = _frame_at(data, height, offset)
        if body is None:
            _require_torn(data, height, offset, name)
            break
        try:
            records.extend(_read_body(body))
        except EncodingError as error:
            raise _damaged(name, offset, error.message) from error
        offset += HEADER_BYTES + len(body)
    return ReadLog(records=tuple(records), size_bytes=offset)


def _require_torn(data: bytes, height: int, offset: int, name: str) -> None:
    later = data.find(MAGIC, offset + 1)
    while later >= 0:
        if _frame_at(data, height, later) is not None:
            raise _damaged(name, offset, f"a whole frame follows at {later}")
        later = data.find(MAGIC, later + 1)


def _damaged(name: str, offset: int, why: str) -> StorageError:
    return StorageError(
        f"the log {name} is damaged at byte {offset}: {why}",
        hint="the disk lost what it had confirmed; without this log the key is silent until the height has passed",
    )


class WriteAheadLog:
    """The log of a node. One thread at a time."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._sizes: dict[int, int] = {}
        self._failed = False

    def open(self, head_height: int) -> tuple[LogRecord, ...]:
        """All records of heights after the head, oldest first; files of decided heights are deleted.

        Raises StorageError for a file that cannot be read or is damaged.
        """
        found: list[LogRecord] = []
        for height in sorted(self._heights()):
            name = _name(height)
            if height <= head_height:
                self._disk.remove(name)
                continue
            data = self._disk.read(name) or b""
            read = read_log(data, height, name)
            if read.size_bytes < len(data):
                log.warning("wal.torn", file=name, lost_bytes=len(data) - read.size_bytes)
                self._disk.truncate(name, read.size_bytes)
                self._disk.sync(name)
            self._sizes[height] = read.size_bytes
            found.extend(read.records)
        return tuple(found)

    def append(self, height: int, records: Sequence[LogRecord]) -> None:
        """Make records of one height durable together. Raises StorageError; the log takes nothing after that."""
        if self._failed:
            raise StorageError("the log failed before; what it holds is not known", hint="start the node again")
        self._failed = True
        has_block = any(record.kind is not RecordKind.ENGINE for record in records)
        if has_block and self._sizes.get(height, 0) > FILE_BYTES_MAX:
            self._compact(height)
        offset = self._sizes.get(height, 0)
        frame = encode_frame(height, offset, records)
        self._disk.write(_name(height), offset, frame)
        self._disk.sync(_name(height))
        self._sizes[height] = offset + len(frame)
        self._failed = False

    def committed(self, height: int) -> None:
        """The block of this height is durable: its records, and all before, are no longer needed."""
        for old in [known for known in self._sizes if known <= height]:
            self._disk.remove(_name(old))
            del self._sizes[old]

    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(self._sizes.values())

    def _heights(self) -> list[int]:
        names = (name.removeprefix(_PREFIX) for name in self._disk.names() if name.startswith(_PREFIX))
        return [int(number) for number in names if number.isdecimal()]

    def _compact(self, height: int) -> None:
        """Keep the newest blocks only: an older proposal of ours that may be decided is bound here or elsewhere."""
        name = _name(height)
        records = read_log(self._disk.read(name) or b"", height, name).records
        own, bound, kept = ([record for record in records if record.kind is kind] for kind in _COMPACTED)
        data = b""
        for record in (*own[-DRAFTS_KEPT_MAX:], *bound[-1:], *kept):
            data += encode_frame(height, len(data), [record])
        self._disk.replace(name, data)
        self._sizes[height] = len(data)


def _name(height: int) -> str:
    return f"{_PREFIX}{height:020d}"
