"""Hostile bytes: skeletons and program files that were cut, changed or spliced."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import EncodingError, InvalidInput, InvalidProgram
from lazai_core.api.program import Program
from lazai_core.exact.bounds import check_constants
from lazai_core.exact.codec import decode_inputs, encode_inputs
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.model import ExactModel
from lazai_core.exact.program_file import file_chunks, read_program
from lazai_core.exact.reference import run
from tests.property.program_cases import SEEDS, examples, random_inputs, random_model

NUMBERS = (0, 1, -1, 2**31, 2**24 + 1, -(2**63), 2**63 - 1, 2**30)
REFUSALS = (EncodingError, InvalidProgram)


def mutate(data: bytes, rng: Random) -> bytes:
    """One to three changes: a bit, a byte, a 1- to 8-byte number, a cut, a splice."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(result) + 1)
        kind = rng.randrange(6)
        if kind == 0 and place < len(result):
            result[place] ^= 1 << rng.randrange(8)
        elif kind == 1 and place < len(result):
            result[place] = rng.randrange(256)
        elif kind == 2:
            width = rng.choice([1, 4, 8])
            number = rng.choice(NUMBERS) % (1 << (8 * width))
            result[place : place + width] = number.to_bytes(width, "big")
        elif kind == 3:
            del result[place:]
        elif kind == 4:
            del result[place : place + rng.randint(1, 40)]
        else:
            start = rng.randrange(len(result) + 1)
            result[place:place] = result[start : start + rng.randint(1, 40)]
    return bytes(result)


def try_to_run(program: Program, model: ExactModel, seed: int) -> None:
    """A changed program that is still valid keeps its promises when it runs."""
    try:
        check_constants(program, model.constants)
    except InvalidProgram:
        return
    least = program.bind(program.dim.minimum if program.dim else 0)
    most = program.bind(program.dim.maximum if program.dim else 0)
    usage = planned_usage(most)
    if usage.flops > 10**6 or usage.memory_bytes_peak > 10**6 or planned_usage(least).flops > 10**6:
        return
    changed = ExactModel(program=program, constants=model.constants)
    bound, inputs = random_inputs(changed, seed)
    run(program, model.constants, inputs, dim_value=bound.dim_value)


@examples(400)
@given(SEEDS)
def test_changed_skeletons_are_read_back_or_refused(seed: int) -> None:
    rng = Random(seed)
    model = random_model(rng.randrange(50))
    data = mutate(model.program.skeleton(), rng)
    try:
        program = Program.from_skeleton(data)
    except REFUSALS:
        return

    assert program.skeleton() == data
    try_to_run(program, model, seed)


@examples(200)
@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(REFUSALS):
        Program.from_skeleton(data)


def test_every_truncation_is_refused() -> None:
    data = random_model(7).program.skeleton()
    for length in range(len(data)):
        with pytest.raises(REFUSALS):
            Program.from_skeleton(data[:length])


@examples(150)
@given(SEEDS)
def test_changed_files_are_read_back_or_refused(seed: int) -> None:
    rng = Random(seed)
    model = random_model(rng.randrange(50))
    data = b"".join(file_chunks(model))
    with TemporaryDirectory() as folder:
        path = Path(folder, "program.lzp")
        path.write_bytes(mutate(data, rng))
        try:
            read = read_program(path)
        except REFUSALS:
            return

        assert b"".join(file_chunks(read)) == path.read_bytes()


@examples(150)
@given(SEEDS)
def test_changed_job_inputs_are_read_back_or_refused(seed: int) -> None:
    rng = Random(seed)
    model = random_model(rng.randrange(50))
    bound, inputs = random_inputs(model, seed)
    data = mutate(encode_inputs(model.program, inputs, bound.dim_value), rng)
    try:
        decoded_bound, arrays = decode_inputs(model.program, data)
    except InvalidInput:
        return

    assert encode_inputs(model.program, arrays, decoded_bound.dim_value) == data
