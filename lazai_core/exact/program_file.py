"""Program files: the skeleton and its constants in one file that is mapped, not copied (`docs/EXACT.md`, 1)."""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lazai_core.api.errors import EncodingError, StorageError
from lazai_core.api.program import SKELETON_BYTES_MAX, ConstantValue, Program
from lazai_core.exact.bounds import check_constants
from lazai_core.exact.codec import numpy_dtype, tensor_bytes
from lazai_core.exact.model import ExactModel

if TYPE_CHECKING:
    from lazai_core.exact.model import IntArray

MAGIC = b"LAZPROG1"
ALIGNMENT = 64
HEADER_BYTES = len(MAGIC) + 4


def blob_offsets(program: Program, skeleton_bytes: int) -> tuple[dict[bytes, int], int]:
    """Where each distinct blob starts, by digest, and the length of the whole file."""
    offsets: dict[bytes, int] = {}
    end = HEADER_BYTES + skeleton_bytes
    for constant in program.constants:
        if constant.digest not in offsets:
            offsets[constant.digest] = -(-end // ALIGNMENT) * ALIGNMENT
            end = offsets[constant.digest] + constant.byte_size
    return offsets, end


def file_chunks(model: ExactModel) -> Iterator[bytes]:
    """The file's bytes piece by piece. Raises `InvalidProgram` where the constants break the skeleton."""
    check_constants(model.program, model.constants)
    skeleton = model.program.skeleton()
    yield MAGIC + len(skeleton).to_bytes(4, "big") + skeleton
    position = HEADER_BYTES + len(skeleton)
    offsets, _ = blob_offsets(model.program, len(skeleton))
    written: set[bytes] = set()
    for constant, array in zip(model.program.constants, model.constants, strict=True):
        if constant.digest in written:
            continue
        blob = tensor_bytes(array, constant.dtype)
        if hashlib.sha256(blob).digest() != constant.digest:
            raise EncodingError(f"a constant of shape {constant.shape} does not have the digest the skeleton names")
        yield bytes(offsets[constant.digest] - position) + blob
        position = offsets[constant.digest] + len(blob)
        written.add(constant.digest)


def write_program(path: Path, model: ExactModel) -> None:
    """Write the file whole or not at all. Raises `StorageError` where the folder refuses."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise StorageError(f"cannot write the program file {path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in file_chunks(model):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(f"cannot write the program file {path}: {error.strerror}") from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def read_skeleton(path: Path) -> Program:
    """Only the program, without its constants. Raises as `read_program` does."""
    with _opened(path) as file:
        return _read_header(file, path)[0]


def read_program(path: Path) -> ExactModel:
    """Map a file and check all of it: skeleton, length, padding, digests, declared bounds, softmax tables.

    Raises `StorageError` (cannot be opened), `EncodingError` (with the byte offset) or `InvalidProgram`.
    The arrays are read-only views of the mapped file, which must not be changed while they live.
    """
    with _opened(path) as file:
        program, skeleton_bytes = _read_header(file, path)
        offsets, expected = blob_offsets(program, skeleton_bytes)
        length = os.fstat(file.fileno()).st_size
        if length != expected:
            raise _misfit(path, min(length, expected), f"the file has {length} bytes, {expected} are expected")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    _check_padding(mapped, path, program, offsets, HEADER_BYTES + skeleton_bytes)
    _check_digests(mapped, path, program, offsets)
    arrays = tuple(_array(mapped, offsets[constant.digest], constant) for constant in program.constants)
    check_constants(program, arrays)
    return ExactModel(program=program, constants=arrays)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise StorageError(f"cannot read the program file {path}: {error.strerror}") from error


def _misfit(path: Path, offset: int, message: str) -> EncodingError:
    return EncodingError(f"program file {path.name}, byte {offset}: {message}")


def _read_header(file: BinaryIO, path: Path) -> tuple[Program, int]:
    header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        raise _misfit(path, len(header), f"the file ends within its {HEADER_BYTES}-byte header")
    if header[: len(MAGIC)] != MAGIC:
        raise _misfit(path, 0, f"it does not begin with {MAGIC.decode()}")
    length = int.from_bytes(header[len(MAGIC) :], "big")
    if length > SKELETON_BYTES_MAX:
        raise _misfit(path, len(MAGIC), f"a skeleton of {length} bytes exceeds the limit of {SKELETON_BYTES_MAX}")
    skeleton = file.read(length)
    if len(skeleton) < length:
        raise _misfit(path, HEADER_BYTES + len(skeleton), f"the file ends within its skeleton of {length} bytes")
    try:
        return Program.from_skeleton(skeleton), length
    except EncodingError as error:
        raise _misfit(path, HEADER_BYTES, f"in the skeleton that begins here: {error}") from None


def _check_padding(mapped: mmap.mmap, path: Path, program: Program, offsets: dict[bytes, int], position: int) -> None:
    sizes = {constant.digest: constant.byte_size for constant in program.constants}
    for digest, offset in offsets.items():
        if any(mapped[position:offset]):
            raise _misfit(path, position, f"the padding up to byte {offset} must be zeros")
        position = offset + sizes[digest]


def _check_digests(mapped: mmap.mmap, path: Path, program: Program, offsets: dict[bytes, int]) -> None:
    checked: set[bytes] = set()
    for index, constant in enumerate(program.constants):
        if constant.digest in checked:
            continue
        offset = offsets[constant.digest]
        with memoryview(mapped) as view, view[offset : offset + constant.byte_size] as blob:
            found = hashlib.sha256(blob).digest()
        if found != constant.digest:
            raise _misfit(path, offset, f"constant {index} has the digest {found.hex()}, not {constant.digest.hex()}")
        checked.add(constant.digest)


def _array(mapped: mmap.mmap, offset: int, constant: ConstantValue) -> IntArray:
    import numpy as np

    dtype = numpy_dtype(constant.dtype)
    count = constant.byte_size // constant.dtype.size
    return np.frombuffer(mapped, dtype=dtype, count=count, offset=offset).reshape(constant.shape)
