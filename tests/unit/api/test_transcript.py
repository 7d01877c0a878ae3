"""The transcript binds everything: labels, borders, order and content."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.transcript import Transcript


def challenge(*messages: tuple[str, bytes]) -> bytes:
    transcript = Transcript("test")
    for label, data in messages:
        transcript.absorb(label, data)
    return transcript.challenge_bytes("c", 40)


def test_equal_calls_give_equal_challenges_and_the_first_one_is_pinned() -> None:
    assert challenge(("a", b"1")) == challenge(("a", b"1"))
    assert len(challenge(("a", b"1"))) == 40
    assert Transcript("test").challenge_bytes("c", 8).hex() == "b7b69e4775aceb3d"


@pytest.mark.parametrize(
    "other",
    [
        [("a", b"1"), ("b", b"23")],
        [("a", b"123")],
        [("a", b"12"), ("a", b"3")],
        [("ab", b"12"), ("b", b"3")],
        [("b", b"3"), ("a", b"12")],
        [("a", b"12"), ("b", b"3"), ("", b"")],
    ],
)
def test_moving_a_border_label_or_order_changes_the_challenge(other: list[tuple[str, bytes]]) -> None:
    assert challenge(("a", b"12"), ("b", b"3")) != challenge(*other)


def test_the_domain_separates() -> None:
    assert Transcript("x").challenge_bytes("c", 16) != Transcript("y").challenge_bytes("c", 16)


def test_challenges_chain_and_forks_agree() -> None:
    transcript = Transcript("test")
    fork = transcript.fork()
    first, second = transcript.challenge_bytes("c", 16), transcript.challenge_bytes("c", 16)
    assert first != second
    assert (fork.challenge_bytes("c", 16), fork.challenge_bytes("c", 16)) == (first, second)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 2**256), st.integers(1, 20))
def test_integers_lie_below_the_modulus(modulus: int, count: int) -> None:
    values = Transcript("test").challenge_integers("c", modulus, count)
    assert len(values) == count
    assert all(0 <= value < modulus for value in values)


def test_integers_are_spread_without_bias_towards_small_values() -> None:
    values = Transcript("test").challenge_integers("c", 3, 3000)
    assert all(900 < values.count(k) < 1100 for k in range(3))
