"""The tree of fractions: honest sums, altered claims, zero denominators."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from lazai_core.api.errors import ProofMalformed, ProofRejected
from lazai_core.api.transcript import Transcript
from lazai_proof_stark import field as f
from lazai_proof_stark.field import DEGREE, Extension, P
from lazai_proof_stark.fraction_levels import FractionLeaves
from lazai_proof_stark.fractions import LeafClaim, check_zero_sum, prove_leaves_zero_sum, prove_zero_sum
from lazai_proof_stark.kernels.arrays import extension_array
from lazai_proof_stark.messages import Receiver, Sender

Fractions = tuple[list[Extension], list[Extension]]


def element(random: Random) -> Extension:
    """A random element of K."""
    a, b, c, d, e = (random.randrange(P) for _ in range(DEGREE))
    return (a, b, c, d, e)


def balanced(variables: int, seed: int = 0) -> Fractions:
    """Fractions that add up to zero: pairs of opposite ones in random places."""
    random = Random(seed)
    pairs = [(element(random), element(random)) for _ in range(1 << (variables - 1))]
    rows = [(p, q) for p, q in pairs] + [(f.negate(p), q) for p, q in pairs]
    random.shuffle(rows)
    return [p for p, _ in rows], [q for _, q in rows]


def proved(p: list[Extension], q: list[Extension]) -> tuple[bytes, LeafClaim]:
    """Proof bytes and the prover's leaf claim."""
    sender = Sender(Transcript("fractions"))
    claim = prove_zero_sum(extension_array(p), extension_array(q), sender)
    return sender.proof(), claim


def checked(variables: int, proof: bytes) -> LeafClaim:
    """The verifier's leaf claim."""
    receiver = Receiver(Transcript("fractions"), proof)
    claim = check_zero_sum(variables, receiver)
    receiver.finish()
    return claim


def holds(claim: LeafClaim, p: list[Extension], q: list[Extension]) -> bool:
    """Whether the claim is true of the leaves: what the openings decide in the whole protocol."""
    point = list(claim.point)
    return f.evaluate_multilinear(p, point) == claim.numerator and f.evaluate_multilinear(q, point) == claim.denominator


@pytest.mark.parametrize("variables", [5, 6, 7, 9])
def test_honest_sums(variables: int) -> None:
    p, q = balanced(variables)
    proof, claim = proved(p, q)
    assert checked(variables, proof) == claim
    assert len(claim.point) == variables
    assert holds(claim, p, q)
    assert len(proof) == 20 * (1 + 4 * variables + 2 * (variables * (variables - 1) // 2))


@pytest.mark.parametrize("base", [False, True], ids=["numerators over K", "numerators over F"])
@pytest.mark.parametrize(
    ("variables", "used"),
    [(5, 16), (5, 32), (6, 16), (7, 80), (8, 144), (9, 272), (9, 400), (12, 2064), (12, 2512), (12, 3600), (12, 4096)],
)
def test_leaves_in_short_have_the_same_proof(variables: int, used: int, base: bool) -> None:
    """Numerators over F, and leaves that end early: the bytes are those of all leaves over K."""
    random = Random(used)
    p = [f.lift(random.randrange(P)) if base else element(random) for _ in range(used)]
    q = [element(random) for _ in range(used)]
    words = extension_array(p)
    numerators = np.ascontiguousarray(words[:, 0]).reshape(-1) if base else words
    leaves = FractionLeaves(variables=variables, numerators=numerators, denominators=extension_array(q))
    tail = (1 << variables) - used
    whole = extension_array(p + [f.ZERO] * tail), extension_array(q + [f.ONE] * tail)
    assert all(np.array_equal(a, b) for a, b in zip(leaves.in_full(), whole, strict=True))
    short, full = Sender(Transcript("fractions")), Sender(Transcript("fractions"))
    assert prove_leaves_zero_sum(leaves, short) == prove_zero_sum(*whole, full)
    assert short.proof() == full.proof()


def test_a_sum_that_is_not_zero_is_rejected() -> None:
    p, q = balanced(6)
    p[3] = f.add(p[3], f.ONE)
    with pytest.raises(ProofRejected, match="lookup root"):
        checked(6, proved(p, q)[0])


def test_a_part_altered_and_made_up_for_elsewhere_is_still_a_true_sum_of_other_leaves() -> None:
    """Weight moved between two fractions keeps the sum: accepted here, with a leaf claim about those leaves."""
    p, q = balanced(6)
    honest = list(p)
    q[1] = q[0]
    proof_p = list(p)
    proof_p[0], proof_p[1] = f.add(p[0], f.ONE), f.subtract(p[1], f.ONE)
    try:
        claim = checked(6, proved(proof_p, q)[0])
    except ProofRejected:
        return
    assert not holds(claim, honest, q)


def test_a_zero_denominator_is_rejected() -> None:
    """q = 0 anywhere makes the root's denominator zero, whatever stands above it."""
    for numerator in (f.ONE, f.ZERO):
        p, q = balanced(5)
        p[7], q[7] = numerator, f.ZERO
        with pytest.raises(ProofRejected, match="lookup root"):
            checked(5, proved(p, q)[0])


def test_nothing_over_nothing_everywhere_is_rejected() -> None:
    zero = [f.ZERO] * 32
    with pytest.raises(ProofRejected, match="denominator"):
        checked(5, proved(zero, zero)[0])
    with pytest.raises(ProofRejected):
        checked(5, bytes(len(proved(zero, zero)[0])))


def test_a_claimed_root_is_held_against_its_children() -> None:
    """The prover claims 0/1 above whatever children."""
    p, q = balanced(5)
    p[0] = f.add(p[0], f.ONE)
    proof = proved(p, q)[0]
    one = Sender(Transcript("x"))
    one.send_elements("e", [f.ONE])
    with pytest.raises(ProofRejected, match="lookup root"):
        checked(5, one.proof() + proof[20:])


def test_every_word_of_the_messages_matters() -> None:
    variables = 6
    p, q = balanced(variables)
    proof, honest = proved(p, q)
    for offset in range(0, len(proof), 4):
        changed = bytearray(proof)
        changed[offset] ^= 1
        try:
            claim = checked(variables, bytes(changed))
        except (ProofRejected, ProofMalformed):
            continue
        # The last level's children are claims about leaves: true ones are no others.
        assert claim != honest
        assert not holds(claim, p, q)


def test_missing_and_extra_rounds_are_malformed_or_rejected() -> None:
    p, q = balanced(6)
    proof, _ = proved(p, q)
    for changed in (proof[:-20], proof[:-80], proof + bytes(20), proof[:100] + proof[140:], b""):
        with pytest.raises((ProofMalformed, ProofRejected)):
            checked(6, changed)
    for variables in (5, 7):
        with pytest.raises((ProofMalformed, ProofRejected)):
            checked(variables, proof)


def test_a_prover_that_knows_the_challenges_does_not_exist() -> None:
    """Messages of one run replayed after another root: every later challenge differs."""
    first, second = proved(*balanced(6, 1))[0], proved(*balanced(6, 2))[0]
    for cut in (20, 100, 140, 180, 400):
        with pytest.raises((ProofMalformed, ProofRejected)):
            checked(6, first[:cut] + second[cut:])
