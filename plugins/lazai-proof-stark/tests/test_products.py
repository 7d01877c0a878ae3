"""The batched product sumcheck against a plain prover, and provers that lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from lazai_core.api.errors import ProofMalformed, ProofRejected
from lazai_core.api.transcript import Transcript
from lazai_proof_stark import field as f
from lazai_proof_stark.circuit import algebra
from lazai_proof_stark.circuit.functional import Dense, Term
from lazai_proof_stark.circuit.karray import scalar
from lazai_proof_stark.circuit.nodes import Committed
from lazai_proof_stark.circuit.pullback import ProductTerm, product_term
from lazai_proof_stark.field import DEGREE, Extension, P
from lazai_proof_stark.messages import Receiver, Sender
from lazai_proof_stark.products import check_products, next_cubic, rounds_of

Cells = tuple[list[Extension], list[Extension], list[Extension]]


def element(random: Random) -> Extension:
    """A random element of K."""
    a, b, c, d, e = (random.randrange(P) for _ in range(DEGREE))
    return (a, b, c, d, e)


def product_over(extent: int, random: Random) -> tuple[ProductTerm, list[Extension]]:
    """sum_k w_k l_k r_k over one letter of `extent` entries: the term, and its weights."""
    left, right = (Committed(shape=(extent,), low=0, high=9, column=i) for i in range(2))
    node = algebra.product(left, right, "a,a->a")
    import numpy as np

    weights = [element(random) for _ in range(extent)]
    values = np.stack([scalar(w) for w in weights])
    factors = (Dense(axes=(0,), extents=(extent,), values=values),) if extent > 1 else ()
    coefficient = f.ONE if extent > 1 else weights[0]
    found = product_term(node, Term(coefficient=coefficient, factors=factors))  # type: ignore[arg-type]
    return found, weights


def sample(extents: Sequence[int], seed: int = 0) -> tuple[list[ProductTerm], list[Cells]]:
    """Terms of several sizes with random operands, padded with zeros."""
    random = Random(seed)
    terms, cells = [], []
    for extent in extents:
        term, weights = product_over(extent, random)
        size = 1 << term.variables
        padding = [f.ZERO] * (size - extent)
        left, right = ([element(random) for _ in range(extent)] + padding for _ in range(2))
        terms.append(term)
        cells.append((weights + padding, left, right))
    return terms, cells


def total(cells: Sequence[Cells]) -> Extension:
    """The claim."""
    return f.sum_all([f.multiply_all(list(row)) for part in cells for row in zip(*part, strict=True)])


def plain_proof(terms: Sequence[ProductTerm], cells: Sequence[Cells], lie: int = -1, shift: Extension = f.ONE) -> bytes:
    """The prover by definition: every round's polynomial summed cell by cell. `lie`: the round that is falsified."""
    sender = Sender(Transcript("products"))
    arrays = [[list(part) for part in entry] for entry in cells]
    rounds = rounds_of(terms)
    for number in range(rounds):
        left_over = rounds - number
        message = [f.ZERO] * 3
        for term, entry in zip(terms, arrays, strict=True):
            for index, point in enumerate((0, P - 1, None)):
                message[index] = f.add(message[index], _round_value(term, entry, left_over, point))
        if number == lie:
            message[0] = f.add(message[0], shift)
        sender.send_elements("round", message)
        r = sender.challenge("round")
        for term, entry in zip(terms, arrays, strict=True):
            if term.variables >= left_over:
                for part, values in enumerate(entry):
                    half = len(values) // 2
                    entry[part] = [
                        f.add(values[i], f.multiply(r, f.subtract(values[i + half], values[i]))) for i in range(half)
                    ]
            else:
                entry[0] = [f.multiply(r, value) for value in entry[0]]
    values = [entry[part][0] for entry in arrays for part in (1, 2)]
    sender.send_elements("operands", values)
    return sender.proof()


def _round_value(term: ProductTerm, entry: list[list[Extension]], left_over: int, point: int | None) -> Extension:
    """A term's share of the round's polynomial at `point`; its leading coefficient for None."""
    if term.variables < left_over:
        share = f.sum_all([f.multiply_all(list(row)) for row in zip(*entry, strict=True)])
        return f.ZERO if point is None else f.scale(share, point)
    half = len(entry[0]) // 2
    terms = []
    for i in range(half):
        ends = [(values[i], values[i + half]) for values in entry]
        steps = [f.subtract(high, low) for low, high in ends]
        if point is None:
            terms.append(f.multiply_all(steps))
        else:
            at = [f.add(low, f.scale(step, point)) for (low, _), step in zip(ends, steps, strict=True)]
            terms.append(f.multiply_all(at))
    return f.sum_all(terms)


def checked(
    terms: Sequence[ProductTerm], claim: Extension, proof: bytes
) -> tuple[list[Extension], list[tuple[Extension, Extension]]]:
    """The verifier's point and operands."""
    receiver = Receiver(Transcript("products"), proof)
    found = check_products(terms, claim, receiver)
    receiver.finish()
    return found


def true_operands(
    terms: Sequence[ProductTerm], cells: Sequence[Cells], point: Sequence[Extension]
) -> list[tuple[Extension, Extension]]:
    """What the openings decide in the whole protocol."""
    found = []
    for term, (_, left, right) in zip(terms, cells, strict=True):
        part = list(point[: term.variables])
        found.append((f.evaluate_multilinear(left, part), f.evaluate_multilinear(right, part)))
    return found


@pytest.mark.parametrize("extents", [(1,), (2,), (5,), (8, 8), (16, 3, 1, 7), (1, 1, 1), (33, 4)])
def test_honest_products(extents: tuple[int, ...]) -> None:
    terms, cells = sample(extents)
    point, operands = checked(terms, total(cells), plain_proof(terms, cells))
    assert operands == true_operands(terms, cells, point)


def test_no_products_prove_only_zero() -> None:
    assert checked([], f.ZERO, b"") == ([], [])
    with pytest.raises(ProofRejected):
        checked([], f.ONE, b"")


def test_a_wrong_claim_is_rejected_or_leaves_wrong_operands() -> None:
    terms, cells = sample((8, 3))
    with pytest.raises(ProofRejected, match="product sumcheck"):
        checked(terms, f.add(total(cells), f.ONE), plain_proof(terms, cells))


@pytest.mark.parametrize("lie", [0, 1, 2, 3])
def test_a_falsified_round_is_rejected(lie: int) -> None:
    terms, cells = sample((16, 5))
    with pytest.raises(ProofRejected, match="product sumcheck"):
        checked(terms, total(cells), plain_proof(terms, cells, lie))


def test_missing_and_extra_rounds_and_coefficients_are_refused() -> None:
    """A round is three elements: the degree is at most three because there is no room for more."""
    terms, cells = sample((16, 5))
    proof, claim = plain_proof(terms, cells), total(cells)
    for changed in (
        proof[60:],
        proof[:60] + proof[120:],
        bytes(60) + proof,
        proof[:60] + bytes(20) + proof[60:],
        proof[:-20],
        proof + bytes(20),
    ):
        with pytest.raises((ProofMalformed, ProofRejected)):
            checked(terms, claim, changed)


def test_a_term_cannot_join_early_or_be_left_out() -> None:
    terms, cells = sample((16, 4))
    proof, claim = plain_proof(terms, cells), total(cells)
    for fewer in (terms[:1], terms[1:], [*terms, terms[1]]):
        with pytest.raises((ProofMalformed, ProofRejected)):
            checked(fewer, claim, proof)
    with pytest.raises(ProofRejected):
        checked(terms, total(cells[:1]), proof)
    with pytest.raises((ProofMalformed, ProofRejected)):
        checked(terms[::-1], claim, proof)


def test_altered_operands_are_rejected_unless_their_weighted_sum_is_kept() -> None:
    """Two operands changed so that the final check still holds: accepted here, but not the true operands."""
    terms, cells = sample((4, 4))
    proof, claim = plain_proof(terms, cells), total(cells)
    for offset in range(len(proof) - 80, len(proof), 20):
        changed = bytearray(proof)
        changed[offset] ^= 1
        with pytest.raises((ProofMalformed, ProofRejected)):
            checked(terms, claim, bytes(changed))
    point, operands = checked(terms, claim, proof)
    left, right = operands[0]
    moved = [(f.scale(left, 2), f.scale(right, pow(2, -1, P))), operands[1]]
    sender = Sender(Transcript("x"))
    sender.send_elements("operands", [value for pair in moved for value in pair])
    _, accepted = checked(terms, claim, proof[: -len(sender.proof())] + sender.proof())
    assert accepted == moved != true_operands(terms, cells, point)


def test_next_cubic_is_the_polynomial_of_degree_three() -> None:
    random = Random(3)
    c = [element(random) for _ in range(4)]

    def at(x: Extension) -> Extension:
        return f.sum_all([f.multiply(c[i], f.power(x, i)) for i in range(4)])

    r = element(random)
    claim = f.add(at(f.ZERO), at(f.ONE))
    assert next_cubic(claim, (at(f.ZERO), at(f.lift(-1)), c[3]), r) == at(r)
