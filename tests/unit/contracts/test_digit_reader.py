"""The example contract: a view call inline, and a transaction with a record."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.types import Address
from lazai_core.chain.abi import encode_call
from tests.unit.contracts.harness import OTHER, USER, World

MODEL = b"\x03" * 32
PIXELS = bytes(range(64))


def scores(*values: int, width: str = "i") -> bytes:
    return struct.pack(f"<10{width}", *values)


def deployed() -> tuple[World, Address]:
    world = World()
    return world, world.deploy(OTHER, "DigitReader", ["bytes32"], [MODEL])


@pytest.mark.parametrize("width", ["b", "h", "i"])
@given(values=st.lists(st.integers(-128, 127), min_size=10, max_size=10))
def test_scores_of_any_width_are_signed(width: str, values: list[int]) -> None:
    world, reader = deployed()
    world.ai.inline_output = scores(*values, width=width)

    assert world.view(reader, "read(bytes)", PIXELS).values("uint8") == (values.index(max(values)),)


@pytest.mark.parametrize("size", [0, 9, 11, 30, 41, 80])
def test_what_is_not_ten_scores_is_refused(size: int) -> None:
    world, reader = deployed()
    world.ai.inline_output = bytes(size)

    assert world.view(reader, "read(bytes)", PIXELS).error == f"UnexpectedOutput(size={size})"


@pytest.mark.parametrize(
    ("values", "digit"),
    [
        ((0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 9),
        ((-5, -4, -3, -(2**31), -9, -2, -7, -8, -9, -10), 5),
        ((2**31 - 1, 2**31 - 1, 0, 0, 0, 0, 0, 0, 0, 0), 0),
        ((-(2**31),) * 10, 0),
        ((1, 256, 65536, 2**24, 3, 4, 5, 6, 7, 8), 3),
    ],
)
def test_a_view_call_reads_the_best_digit(values: tuple[int, ...], digit: int) -> None:
    world, reader = deployed()
    world.ai.inline_output = scores(*values)

    assert world.view(reader, "read(bytes)", PIXELS).values("uint8") == (digit,)
    assert world.view(reader, "model()").values("bytes32") == (MODEL,)


def test_a_transaction_keeps_the_digit_and_names_the_worker() -> None:
    world, reader = deployed()
    # The stand-in answers with the job input reversed, four zero bytes included: forty bytes that read as scores.
    pixels = scores(1, 2, 3, 9, 5, 6, 7, 8, 4, 0)[::-1][:36]

    outcome = world.send(USER, reader, encode_call("readProven(bytes,string)", pixels, "attestation"))

    assert outcome.values("uint8") == (struct.unpack("<10i", (bytes(4) + pixels)[::-1]).index(9),)
    (call,) = world.ai.calls
    assert (call.model, call.input, call.dats, call.proof_system) == (MODEL, bytes(4) + pixels, (), "attestation")
    assert world.view(reader, "latest(address)", USER).values("uint8") == (outcome.values("uint8")[0] + 1,)
    assert world.view(reader, "latest(address)", OTHER).values("uint8") == (0,)
    assert len(outcome.logs) == 1


def test_another_output_is_refused_by_size() -> None:
    world, reader = deployed()

    outcome = world.send(USER, reader, encode_call("readProven(bytes,string)", PIXELS, "attestation"))

    assert outcome.error == "UnexpectedOutput(size=68)"
