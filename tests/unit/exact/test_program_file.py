"""Program files: written whole, mapped, and refused with the byte where they go wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path

import attrs
import numpy as np
import pytest

from lazai_core.api.errors import EncodingError, InvalidProgram, StorageError
from lazai_core.api.program import DType, Program
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.model import ExactModel
from lazai_core.exact.program_file import read_program, read_skeleton, write_program


@pytest.fixture
def model() -> ExactModel:
    """Three constants, two of which hold the same bytes in different shapes."""
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (2, 3))
    y = builder.add(x, builder.constant([[1, 2, 3], [4, 5, 6]], DType.INT8))
    z = builder.add(builder.reshape(x, (3, 2)), builder.constant([[1, 2], [3, 4], [5, 6]], DType.INT8))
    builder.output("y", builder.add(y, builder.constant([1000], DType.INT16)))
    builder.output("z", z)
    return builder.build()


@pytest.fixture
def path(tmp_path: Path, model: ExactModel) -> Path:
    path = tmp_path / "model.lzp"
    write_program(path, model)
    return path


def test_the_layout_is_that_of_the_specification(path: Path, model: ExactModel) -> None:
    data, skeleton = path.read_bytes(), model.program.skeleton()
    first = -(-(12 + len(skeleton)) // 64) * 64

    assert data[:12] == b"LAZPROG1" + len(skeleton).to_bytes(4, "big")
    assert data[12 : 12 + len(skeleton)] == skeleton
    assert not any(data[12 + len(skeleton) : first])
    assert data[first : first + 6] == bytes([1, 2, 3, 4, 5, 6])
    # The second blob is shared, so the third constant follows at the next multiple of 64.
    assert data[first + 64 :] == (1000).to_bytes(2, "little")


def test_a_file_gives_the_model_back(path: Path, model: ExactModel) -> None:
    read = read_program(path)

    assert read.program == model.program == read_skeleton(path)
    assert [array.tolist() for array in read.constants] == [array.tolist() for array in model.constants]
    assert not any(array.flags.writeable for array in read.constants)


def test_writing_leaves_nothing_else_behind(path: Path, model: ExactModel) -> None:
    write_program(path, model)

    assert [entry.name for entry in path.parent.iterdir()] == ["model.lzp"]


def test_constants_that_break_the_skeleton_are_not_written(tmp_path: Path, model: ExactModel) -> None:
    wrong = attrs.evolve(model, constants=(model.constants[0][::-1], *model.constants[1:]))

    with pytest.raises(EncodingError, match="does not have the digest"):
        write_program(tmp_path / "wrong.lzp", wrong)
    assert list(tmp_path.iterdir()) == []


def test_every_truncation_is_refused_with_its_offset(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    cut = tmp_path / "cut.lzp"
    for length in range(len(data)):
        cut.write_bytes(data[:length])
        with pytest.raises(EncodingError, match=rf"program file cut\.lzp, byte {length}: "):
            read_program(cut)


def refused(path: Path, data: bytes, reason: str) -> None:
    path.write_bytes(data)
    with pytest.raises((EncodingError, InvalidProgram), match=reason):
        read_program(path)


def test_changed_bytes_are_refused(path: Path, model: ExactModel) -> None:
    data, skeleton = path.read_bytes(), model.program.skeleton()
    first = -(-(12 + len(skeleton)) // 64) * 64
    digest = hashlib.sha256(bytes([1, 2, 3, 4, 5, 7])).hexdigest()

    refused(path, b"LAZPROG2" + data[8:], "byte 0: it does not begin with LAZPROG1")
    refused(path, data[:8] + b"\xff\xff\xff\xff" + data[12:], "byte 8: a skeleton of 4294967295 bytes exceeds")
    refused(path, data[:12] + b"\x09" + data[13:], "byte 12: in the skeleton .* version")
    refused(path, data + b"\x00", f"byte {len(data)}: the file has {len(data) + 1} bytes")
    refused(path, data[: first + 5] + b"\x07" + data[first + 6 :], f"byte {first}: constant 0 has the digest {digest}")
    refused(path, data[: first + 6] + b"\x01" + data[first + 7 :], f"byte {first + 6}: the padding")


def test_a_huge_constant_is_refused_by_the_length_of_the_file(path: Path, model: ExactModel) -> None:
    builder = ProgramBuilder()
    builder.output(
        "y", builder.gather(np.zeros((3, 2), dtype=int), builder.input("x", DType.INT8, (1,), low=0, high=2))
    )
    program = builder.build().program
    huge = attrs.evolve(program.constants[0], shape=(2**24, 2**7))
    op = attrs.evolve(program.ops[0], shape=(1, 2**7))
    skeleton = attrs.evolve(program, constants=(huge,), ops=(op,)).skeleton()

    refused(path, b"LAZPROG1" + len(skeleton).to_bytes(4, "big") + skeleton, "21474[0-9]* are expected")


def test_a_false_declaration_is_refused(path: Path, model: ExactModel) -> None:
    constants = (attrs.evolve(model.program.constants[0], high=5), *model.program.constants[1:])
    program = attrs.evolve(model.program, constants=constants)
    data = path.read_bytes()

    assert isinstance(program, Program)
    refused(path, data[:12] + program.skeleton() + data[12 + len(program.skeleton()) :], "constant 0 reaches")


def test_files_that_cannot_be_opened(tmp_path: Path, model: ExactModel) -> None:
    with pytest.raises(StorageError, match="cannot read the program file"):
        read_program(tmp_path / "absent.lzp")
    with pytest.raises(StorageError, match="cannot read the program file"):
        read_program(tmp_path)
    with pytest.raises(StorageError, match="cannot write the program file"):
        write_program(tmp_path / "absent" / "model.lzp", model)


def test_a_program_without_constants(tmp_path: Path) -> None:
    builder = ProgramBuilder()
    builder.output("y", builder.argmax(builder.input("x", DType.INT8, (4,)), axis=0))
    model = builder.build()
    write_program(tmp_path / "plain.lzp", model)

    assert read_program(tmp_path / "plain.lzp") == model
