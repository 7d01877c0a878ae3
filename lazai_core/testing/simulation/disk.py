"""A disk that forgets what was not flushed, tears what was being written, and can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from attrs import define, field

from lazai_core.api.errors import StorageError
from lazai_core.builtin.stores import MemoryStore

SECTOR_BYTES = 512


class PowerLoss(BaseException):
    """The power fails in the middle of a call."""


@define
class _File:
    """What the disk surely holds, and what was written since; `named` says that the folder's entry is durable."""

    durable: bytes = b""
    writes: list[tuple[int, bytes | None]] = field(factory=list)
    named: bool = False

    def seen(self) -> bytes:
        """What a reader sees while the power is on."""
        data = bytearray(self.durable)
        for offset, written in self.writes:
            _apply(data, offset, written)
        return bytes(data)

    def torn(self, random: Random) -> bytes:
        """What is left after a power loss: of what was not flushed, any sectors in any order."""
        data = bytearray(self.durable)
        for offset, written in self.writes:
            if written is None:
                if random.randrange(2):
                    del data[offset:]
                continue
            for start in range(0, len(written), SECTOR_BYTES):
                if random.randrange(2):
                    _apply(data, offset + start, written[start : start + SECTOR_BYTES])
        return bytes(data)


def _apply(data: bytearray, offset: int, written: bytes | None) -> None:
    if written is None:
        del data[offset:]
        return
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(written)] = written


class SimulatedDisk:
    """`Disk` in memory. `trouble` is called with the name of each operation; what it raises is what happens."""

    def __init__(self, random: Random, trouble: Callable[[str], None] = lambda operation: None) -> None:
        self._random = random
        self._files: dict[str, _File] = {}
        self._removed: dict[str, _File] = {}
        self.trouble = trouble
        self.syncs = 0

    def fail_after(self, operations: int) -> None:
        """The power fails once this many operations have passed."""
        left = operations

        def trouble(operation: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise PowerLoss

        self.trouble = trouble

    def names(self) -> Sequence[str]:
        """Files there are, ascending."""
        return sorted(self._files)

    def read(self, name: str) -> bytes | None:
        """The whole file, or None."""
        self.trouble("read")
        found = self._files.get(name)
        return None if found is None else found.seen()

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write bytes at an offset."""
        self.trouble("write")
        self._files.setdefault(name, _File()).writes.append((offset, bytes(data)))
        self.trouble("written")

    def truncate(self, name: str, size_bytes: int) -> None:
        """Cut a file."""
        self.trouble("truncate")
        self._files.setdefault(name, _File()).writes.append((size_bytes, None))

    def sync(self, name: str) -> None:
        """Make a file durable."""
        self.trouble("sync")
        self.syncs += 1
        file = self._files.setdefault(name, _File())
        file.durable, file.writes, file.named = file.seen(), [], True
        self._removed.pop(name, None)
        self.trouble("synced")

    def replace(self, name: str, data: bytes) -> None:
        """Write a whole file."""
        self.trouble("replace")
        self.syncs += 1
        self._files[name] = _File(durable=bytes(data), named=True)
        self._removed.pop(name, None)
        self.trouble("replaced")

    def remove(self, name: str) -> None:
        """Delete a file."""
        self.trouble("remove")
        found = self._files.pop(name, None)
        if found is not None:
            self._removed[name] = found

    def lock(self, name: str) -> None:
        """Nobody else has these files."""

    def close(self) -> None:
        """Nothing to release."""

    def lose_power(self) -> None:
        """Keep what was flushed; of the rest, whatever chance lets through."""
        for name, file in self._removed.items():
            if file.named and name not in self._files and self._random.randrange(2):
                self._files[name] = file
        self._removed.clear()
        for name, file in list(self._files.items()):
            if not file.named and self._random.randrange(2):
                del self._files[name]
            else:
                self._files[name] = _File(durable=file.torn(self._random), named=True)

    def wipe(self) -> None:
        """Lose everything."""
        self._files.clear()
        self._removed.clear()


class SimulatedStore(MemoryStore):
    """`KeyValueStore` whose batches are durable or not there. `trouble` as with `SimulatedDisk`."""

    def __init__(self, entries: Mapping[bytes, bytes], trouble: Callable[[str], None]) -> None:
        super().__init__()
        self._entries = dict(entries)
        self.trouble = trouble

    def _apply(self, writes: Mapping[bytes, bytes | None]) -> None:
        self.trouble("commit")
        super()._apply(writes)
        self.trouble("committed")


def full_disk() -> StorageError:
    """What a failing disk says."""
    return StorageError("the disk says that it could not write", hint="this is a simulated fault")
