"""The channel: one encoding, everything absorbed, challenges that depend on all of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.errors import ProofMalformed
from lazai_core.api.transcript import Transcript
from lazai_proof_stark.field import Extension, P
from lazai_proof_stark.kernels.arrays import MONTGOMERY
from lazai_proof_stark.messages import Receiver, Sender, element_bytes

A: Extension = (0, 1, P - 1, 12345, P - 2)
B: Extension = (5, 0, 0, 0, 7)


def dialogue(sender: Sender) -> list[Extension]:
    """Every kind of message, a challenge after each."""
    drawn = []
    for send in (
        lambda: sender.send_elements("elements", [A, B]),
        lambda: sender.send_digests("digests", np.arange(16, dtype=np.uint32).reshape(2, 8)),
        lambda: sender.send_integer("integer", 77),
    ):
        send()
        drawn.append(sender.challenge("after"))
    return drawn


def listen(proof: bytes) -> list[Extension]:
    """The verifier's side of `dialogue`."""
    receiver = Receiver(Transcript("test"), proof)
    drawn = []
    receive: list[Callable[[], object]] = [
        lambda: receiver.receive_elements("elements", 2),
        lambda: receiver.receive_digests("digests", 2),
        lambda: receiver.receive_integer("integer"),
    ]
    for step in receive:
        step()
        drawn.append(receiver.challenge("after"))
    receiver.finish()
    return drawn


def test_both_sides_draw_the_same() -> None:
    sender = Sender(Transcript("test"))
    assert listen_is(sender) == dialogue(Sender(Transcript("test")))


def listen_is(sender: Sender) -> list[Extension]:
    """Draw on both sides."""
    dialogue(sender)
    return listen(sender.proof())


def test_every_byte_changes_all_later_challenges() -> None:
    sender = Sender(Transcript("test"))
    honest = dialogue(sender)
    proof = sender.proof()
    ends = [40, 40 + 64, 40 + 64 + 8]
    for offset in range(len(proof)):
        changed = bytearray(proof)
        changed[offset] ^= 1
        try:
            drawn = listen(bytes(changed))
        except ProofMalformed:
            assert offset < 40
            continue
        first = next(i for i, end in enumerate(ends) if offset < end)
        assert drawn[:first] == honest[:first]
        assert all(a != b for a, b in zip(drawn[first:], honest[first:], strict=True))


def test_values_travel_and_come_back() -> None:
    sender = Sender(Transcript("x"))
    sender.send_elements("e", [A, B])
    digests = np.array([[0, 1, 2, 3, 4, 5, 6, 0xFFFFFFFF]], dtype=np.uint32)
    sender.send_digests("d", digests)
    sender.send_integer("i", (1 << 64) - 1)
    rows = np.array([[0, P - 1, 3]], dtype=np.uint32)
    sender.send_opening(rows)
    receiver = Receiver(Transcript("x"), sender.proof())
    assert receiver.receive_elements("e", 2) == [A, B]
    assert np.array_equal(receiver.receive_digests("d", 1), digests)
    assert receiver.receive_integer("i") == (1 << 64) - 1
    assert np.array_equal(receiver.receive_rows(1, 3), rows)
    receiver.finish()


def test_wire_form_is_the_montgomery_residue() -> None:
    assert element_bytes([(1, 0, 0, 0, P - 1)]) == b"".join(
        (value * MONTGOMERY % P).to_bytes(4, "little") for value in (1, 0, 0, 0, P - 1)
    )


@pytest.mark.parametrize("word", [P, P + 1, (1 << 32) - 1])
def test_elements_not_below_p_are_malformed(word: int) -> None:
    data = word.to_bytes(4, "little")
    for position in range(5):
        proof = b"\0" * 4 * position + data + b"\0" * 4 * (4 - position)
        with pytest.raises(ProofMalformed):
            Receiver(Transcript("x"), proof).receive_elements("e", 1)
    with pytest.raises(ProofMalformed):
        Receiver(Transcript("x"), data).receive_rows(1, 1)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(["elements", "digests", "integer", "rows", "hashes"]), st.integers(0, 3))
def test_any_bytes_are_read_or_malformed(data: bytes, kind: str, count: int) -> None:
    receiver = Receiver(Transcript("x"), data)
    try:
        if kind == "elements":
            assert len(receiver.receive_elements("e", count)) == count
        elif kind == "digests":
            assert receiver.receive_digests("d", count).shape == (count, 8)
        elif kind == "integer":
            assert receiver.receive_integer("i") >= 0
        elif kind == "rows":
            assert receiver.receive_rows(count, 3).shape == (count, 3)
        else:
            assert receiver.receive_hashes(count).shape == (count, 8)
        receiver.finish()
    except ProofMalformed:
        pass


def test_trailing_bytes_are_malformed() -> None:
    receiver = Receiver(Transcript("x"), bytes(9))
    receiver.receive_integer("i")
    with pytest.raises(ProofMalformed, match="trail"):
        receiver.finish()


def test_labels_and_borders_are_bound() -> None:
    def challenge(parts: list[tuple[str, bytes]]) -> Extension:
        sender = Sender(Transcript("x"))
        for label, data in parts:
            sender.transcript.absorb(label, data)
        return sender.challenge("c")

    variants = [
        [("a", b"12")],
        [("a", b"1"), ("a", b"2")],
        [("b", b"12")],
        [("a", b"12"), ("a", b"")],
        [("a1", b"2")],
        [],
    ]
    assert len({challenge(parts) for parts in variants}) == len(variants)
    assert Sender(Transcript("x")).challenge("c") != Sender(Transcript("y")).challenge("c")
    assert Sender(Transcript("x")).challenge("c") != Sender(Transcript("x")).challenge("d")


def test_challenges_are_canonical_and_move_on() -> None:
    sender = Sender(Transcript("x"))
    drawn = sender.challenges("c", 200)
    assert all(0 <= value < P for element in drawn for value in element)
    assert len(set(drawn)) == 200
    assert sender.challenge("c") != sender.challenge("c")


def test_indices_cover_their_range() -> None:
    sender = Sender(Transcript("x"))
    found = sender.indices("q", 3, 200)
    assert set(found) == set(range(8))
    assert sender.indices("q", 0, 3) == [0, 0, 0]
