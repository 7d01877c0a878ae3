"""Files that must be durable at a moment of our choosing: one folder, one writer."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from lazai_core.api.errors import StorageError

_HINT = "look at the disk's free space, the folder's permissions and the system's log"


class Disk(Protocol):
    """Nothing written is durable before `sync` or `replace` returned. After a StorageError, trust none of its files."""

    def names(self) -> Sequence[str]:
        """Files there are, ascending."""

    def read(self, name: str) -> bytes | None:
        """The whole file, or None."""

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write bytes at an offset; the file is made where there is none."""

    def truncate(self, name: str, size_bytes: int) -> None:
        """Cut a file."""

    def sync(self, name: str) -> None:
        """Make what was written, and the file's name, survive a power loss."""

    def replace(self, name: str, data: bytes) -> None:
        """Write a whole file: after a crash it is the old one or the new one."""

    def remove(self, name: str) -> None:
        """Delete a file; after a crash it may be back."""

    def lock(self, name: str) -> None:
        """Keep everybody else from locking this file until `close`. Raises StorageError where somebody has."""

    def close(self) -> None:
        """Release files and locks. Idempotent."""


class FolderDisk:
    """`Disk` over a folder of the file system; it is made when something is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, int] = {}
        self._named: set[str] = set()

    def names(self) -> Sequence[str]:
        """Files there are, ascending."""
        if not self._folder.exists():
            return ()
        with _errors("list", self._folder):
            return sorted(entry.name for entry in self._folder.iterdir() if entry.is_file())

    def read(self, name: str) -> bytes | None:
        """The whole file, or None."""
        with _errors("read", self._folder / name):
            try:
                return (self._folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write bytes at an offset."""
        descriptor = self._descriptor(name)
        with _errors("write", self._folder / name):
            _write_all(descriptor, offset, data)

    def truncate(self, name: str, size_bytes: int) -> None:
        """Cut a file."""
        descriptor = self._descriptor(name)
        with _errors("cut", self._folder / name):
            os.ftruncate(descriptor, size_bytes)

    def sync(self, name: str) -> None:
        """Flush a file, and the folder where the file is new."""
        descriptor = self._descriptor(name)
        with _errors("flush", self._folder / name):
            os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)
            if name not in self._named:
                self._sync_folder()
                self._named.add(name)

    def replace(self, name: str, data: bytes) -> None:
        """Write a new file beside the old one, flush it, and give it the name."""
        temporary = f"{name}.new"
        self._forget(temporary)
        descriptor = self._descriptor(temporary)
        with _errors("write", self._folder / name):
            os.ftruncate(descriptor, 0)
            _write_all(descriptor, 0, data)
            os.fsync(descriptor)
            self._forget(temporary)
            self._forget(name)
            os.replace(self._folder / temporary, self._folder / name)
            self._sync_folder()
        self._named.add(name)

    def remove(self, name: str) -> None:
        """Delete a file."""
        self._forget(name)
        self._named.discard(name)
        with _errors("delete", self._folder / name):
            (self._folder / name).unlink(missing_ok=True)

    def lock(self, name: str) -> None:
        """Take an advisory lock that ends with the process."""
        descriptor = self._descriptor(name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageError(
                f"another process holds {self._folder / name}", hint="one key signs in one process at a time; stop it"
            ) from error

    def close(self) -> None:
        """Close all files."""
        for name in list(self._open):
            self._forget(name)

    def _descriptor(self, name: str) -> int:
        known = self._open.get(name)
        if known is None:
            with _errors("open", self._folder / name):
                self._folder.mkdir(parents=True, exist_ok=True)
                known = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._open[name] = known
        return known

    def _forget(self, name: str) -> None:
        known = self._open.pop(name, None)
        if known is not None:
            os.close(known)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class MemoryDisk:
    """`Disk` that forgets: for chains that need not last."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def names(self) -> Sequence[str]:
        """Files there are, ascending."""
        return sorted(self._files)

    def read(self, name: str) -> bytes | None:
        """The whole file, or None."""
        return self._files.get(name)

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write bytes at an offset."""
        old = self._files.get(name, b"").ljust(offset, b"\x00")
        self._files[name] = old[:offset] + data + old[offset + len(data) :]

    def truncate(self, name: str, size_bytes: int) -> None:
        """Cut a file."""
        self._files[name] = self._files.get(name, b"")[:size_bytes]

    def sync(self, name: str) -> None:
        """Nothing here survives a power loss."""

    def replace(self, name: str, data: bytes) -> None:
        """Write a whole file."""
        self._files[name] = data

    def remove(self, name: str) -> None:
        """Delete a file."""
        self._files.pop(name, None)

    def lock(self, name: str) -> None:
        """Nobody else has these files."""

    def close(self) -> None:
        """Nothing to release."""


def _write_all(descriptor: int, offset: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


@contextmanager
def _errors(act: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot {act} {path}: {error.strerror}", hint=_HINT) from error
