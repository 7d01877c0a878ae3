"""Openings of the polynomial commitment: honest ones, and provers that lie at each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from lazai_core.api.errors import ProofMalformed, ProofRejected
from lazai_core.api.transcript import Transcript
from lazai_proof_stark import commitment, scalars
from lazai_proof_stark import field as f
from lazai_proof_stark.commitment import CodeParameters, Committed, Shape, check_weighted, commit, open_weighted
from lazai_proof_stark.field import DEGREE, Extension, P
from lazai_proof_stark.kernels.arrays import MONTGOMERY, extension_array, to_montgomery
from lazai_proof_stark.kernels.codewords import combine_rows
from lazai_proof_stark.merkle import MerkleTree, hash_leaves
from lazai_proof_stark.messages import Receiver, Sender

CODE = CodeParameters(log_rate=2, queries=24, grinding_bits=8)
VARIABLES = 12
Array = np.ndarray[Any, Any]


def polynomial(variables: int = VARIABLES, seed: int = 0) -> Array:
    """Random values, edges among them."""
    values = np.random.default_rng(seed).integers(0, P, 1 << variables)
    values[:3] = (0, 1, P - 1)
    return values


def weights_of(variables: int = VARIABLES, seed: int = 1) -> list[Extension]:
    """Random weights in a few cells: the verifier's evaluation stays cheap."""
    random = Random(seed)
    weights = [f.ZERO] * (1 << variables)
    for _ in range(20):
        weights[random.randrange(1 << variables)] = tuple(random.randrange(P) for _ in range(DEGREE))  # type: ignore[call-overload]
    return weights


def evaluator(weights: Sequence[Extension]) -> Callable[[Sequence[Extension]], Extension]:
    """w~ at a point, from the cells that are not zero."""
    cells = [(index, weight) for index, weight in enumerate(weights) if weight != f.ZERO]

    def evaluate(point: Sequence[Extension]) -> Extension:
        total = f.ZERO
        for index, weight in cells:
            sides = [z if index >> bit & 1 else f.subtract(f.ONE, z) for bit, z in enumerate(point)]
            total = f.add(total, f.multiply(weight, f.multiply_all(sides)))
        return total

    return evaluate


def product(values: Array, weights: Sequence[Extension]) -> Extension:
    """<f, w>."""
    return f.sum_all([f.scale(w, int(v)) for v, w in zip(values, weights, strict=True) if w != f.ZERO])


def opened(committed: Committed, weights: Sequence[Extension], value: Extension, label: str = "test") -> bytes:
    """The proof of one opening."""
    sender = Sender(Transcript(label))
    sender.send_digests("commitment", committed.cap)
    sender.send_elements("value", [value])
    open_weighted(committed, extension_array(list(weights)), sender)
    return sender.proof()


def verify(
    proof: bytes,
    evaluate: Callable[[Sequence[Extension]], Extension],
    parameters: CodeParameters = CODE,
    variables: int = VARIABLES,
    label: str = "test",
) -> None:
    """Check commitment, value and opening as they stand in the proof."""
    receiver = Receiver(Transcript(label), proof)
    shape = Shape.of(variables, parameters)
    cap = receiver.receive_digests("commitment", 1 << min(parameters.cap_height, shape.log_length))
    (value,) = receiver.receive_elements("value", 1)
    check_weighted(shape, cap, value, evaluate, receiver)
    receiver.finish()


def rejected(proof: bytes, evaluate: Callable[[Sequence[Extension]], Extension], *checks: str, **options: Any) -> None:
    """The opening must fail, at one of these checks where any are named."""
    with pytest.raises(ProofRejected) as caught:
        verify(proof, evaluate, **options)
    assert not checks or caught.value.check in checks, caught.value.check


@pytest.fixture(scope="module")
def honest() -> tuple[Array, list[Extension], Committed, bytes]:
    values, weights = polynomial(), weights_of()
    committed = commit(to_montgomery(values), CODE)
    return values, weights, committed, opened(committed, weights, product(values, weights))


Honest = tuple[Array, list[Extension], Committed, bytes]


@pytest.mark.parametrize(
    ("variables", "parameters"),
    [
        (commitment.VARIABLES_MIN, CODE),
        (11, CodeParameters(log_rate=1, queries=5, grinding_bits=0, log_arity=1, cap_height=0)),
        (14, CodeParameters(log_rate=3, queries=9, grinding_bits=3, log_arity=4, cap_height=6)),
    ],
)
def test_honest_openings(variables: int, parameters: CodeParameters) -> None:
    values, weights = polynomial(variables), weights_of(variables)
    committed = commit(to_montgomery(values), parameters)
    proof = opened(committed, weights, product(values, weights))
    verify(proof, evaluator(weights), parameters, variables)


@pytest.mark.parametrize("values", [np.zeros(1 << 10, dtype=np.int64), np.full(1 << 10, P - 1)])
def test_constant_polynomials(values: Array) -> None:
    weights = weights_of(10)
    committed = commit(to_montgomery(values), CODE)
    verify(opened(committed, weights, product(values, weights)), evaluator(weights), variables=10)
    zero = [f.ZERO] * (1 << 10)
    verify(opened(committed, zero, f.ZERO), evaluator(zero), variables=10)


def test_a_commitment_is_a_function_of_the_values(honest: Honest) -> None:
    values, _, committed, _ = honest
    assert np.array_equal(commit(to_montgomery(values), CODE).cap, committed.cap)
    values = values.copy()
    values[5] = (values[5] + 1) % P
    assert not np.array_equal(commit(to_montgomery(values), CODE).cap, committed.cap)


def test_a_wrong_value_is_rejected(honest: Honest) -> None:
    values, weights, committed, _ = honest
    wrong = f.add(product(values, weights), f.ONE)
    rejected(opened(committed, weights, wrong), evaluator(weights), "sumcheck")


def test_a_wrong_point_is_rejected(honest: Honest) -> None:
    _, weights, _, proof = honest
    rejected(proof, evaluator(weights_of(seed=2)), "sumcheck")
    rejected(proof, lambda point: evaluator(weights)(list(reversed(point))), "sumcheck")


def committed_layer(committed: Committed, bound: Sequence[Extension], _message: Array) -> Array:
    """The first layer from the rows of the committed codeword, whatever polynomial the messages speak of."""
    weights = f.eq_vector(list(reversed(bound)))
    words = np.array([[c * MONTGOMERY % P for c in weight] for weight in weights], dtype=np.uint32)
    found = np.empty((len(committed.codeword), DEGREE), dtype=np.uint32)
    combine_rows(committed.codeword, words, found, 0, len(found))
    return np.ascontiguousarray(found.reshape(-1, 16, DEGREE).transpose(0, 2, 1))


def test_the_first_layer_is_that_of_the_committed_codeword(honest: Honest, monkeypatch: pytest.MonkeyPatch) -> None:
    values, weights, committed, proof = honest
    monkeypatch.setattr(commitment, "first_layer", committed_layer)
    assert opened(committed, weights, product(values, weights)) == proof


@pytest.mark.parametrize("check", ["folding", "final message"])
def test_a_value_of_another_polynomial_is_rejected(honest: Honest, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All messages of a polynomial with the wanted value; the layers are of its codeword or of the committed one."""
    if check == "final message":
        monkeypatch.setattr(commitment, "first_layer", committed_layer)
    values, weights, committed, _ = honest
    other = values.copy()
    other[next(i for i, w in enumerate(weights) if w != f.ZERO)] += 1
    value = product(other, weights)
    false = evolve(committed, values=to_montgomery(other))
    rejected(opened(false, weights, value), evaluator(weights), check)
    mixed = evolve(commit(to_montgomery(other), CODE), tree=committed.tree)
    rejected(opened(mixed, weights, value), evaluator(weights), "merkle path")
    both = evolve(mixed, codeword=committed.codeword)
    rejected(opened(both, weights, value), evaluator(weights), check)


def test_layers_of_another_codeword_are_rejected(honest: Honest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leaves of one layer, then of a later one, are changed everywhere before they are committed."""
    values, weights, committed, _ = honest
    rows_of = commitment._layer_rows
    for target in range(len(committed.shape.fold_groups)):
        calls: list[int] = []

        def changed(codeword: Array, group: int, target: int = target, calls: list[int] = calls) -> Array:
            rows = rows_of(codeword, group)
            calls.append(1)
            if len(calls) - 1 == target:
                rows[:, 0] = (rows[:, 0].astype(np.uint64) + 1) % P
            return rows

        with monkeypatch.context() as patch:
            patch.setattr(commitment, "_layer_rows", changed)
            proof = opened(committed, weights, product(values, weights))
        rejected(proof, evaluator(weights), "folding", "final message")


def test_a_changed_final_message_is_rejected(honest: Honest, monkeypatch: pytest.MonkeyPatch) -> None:
    values, weights, committed, _ = honest
    remaining = commitment.WeightedSum.remaining

    def changed(self: Any) -> list[Extension]:
        found = list(remaining(self))
        found[1] = f.add(found[1], f.ONE)
        return found

    monkeypatch.setattr(commitment.WeightedSum, "remaining", changed)
    rejected(opened(committed, weights, product(values, weights)), evaluator(weights), "sumcheck", "final message")


def test_more_or_fewer_coefficients_are_malformed(honest: Honest) -> None:
    """The final message has one length; longer or shorter ones shift all that follows."""
    _, weights, committed, proof = honest
    offset = _final_offset(committed.shape)
    longer = proof[:offset] + bytes(20) + proof[offset:]
    shorter = proof[:offset] + proof[offset + 20 :]
    for changed in (longer, shorter, proof + bytes(20), proof[:-4]):
        with pytest.raises((ProofMalformed, ProofRejected)):
            verify(changed, evaluator(weights))


def _final_offset(shape: Shape) -> int:
    """Bytes before the final message."""
    height = min(CODE.cap_height, shape.log_length)
    offset = 32 * (1 << height) + 20 + 40 * shape.log_columns
    log_length = shape.log_length
    for group in shape.fold_groups:
        offset += 32 * (1 << min(CODE.cap_height, log_length - group)) + 40 * group
        log_length -= group
    return offset


def test_words_far_from_the_code_are_rejected(honest: Honest) -> None:
    """A committed matrix that is no codeword: random, of too high degree, or with half its rows changed."""
    values, weights, committed, _ = honest
    random = np.random.default_rng(4)
    value = product(values, weights)
    noise = random.integers(0, P, committed.codeword.shape, dtype=np.uint32)
    half = committed.codeword.copy()
    half[::2] = noise[::2]
    high = _too_high_degree(committed)
    for codeword in (noise, half, high):
        tree = MerkleTree.build(hash_leaves(codeword), CODE.cap_height)
        rejected(opened(evolve(committed, codeword=codeword, tree=tree), weights, value), evaluator(weights))


def _too_high_degree(committed: Committed) -> Array:
    """The codeword of a message twice as long: its first half is the honest one."""
    shape = committed.shape
    message = committed.values.reshape(1 << shape.log_columns, 1 << shape.log_rows).T
    longer = np.repeat(message, 2, axis=0)
    longer[1::2] = np.random.default_rng(5).integers(0, P, message.shape, dtype=np.uint32)
    return commitment.encode(np.ascontiguousarray(longer), CODE.log_rate - 1)


def test_swapped_answers_are_rejected(honest: Honest) -> None:
    _, weights, committed, proof = honest
    start = _final_offset(committed.shape) + 20 * (1 << commitment.LOG_FINAL) + 40 * commitment.LOG_FINAL + 8
    size = 4 << committed.shape.log_columns
    first, second = proof[start : start + size], proof[start + size : start + 2 * size]
    assert first != second
    rejected(proof[:start] + second + first + proof[start + 2 * size :], evaluator(weights), "merkle path")
    rejected(proof[:start] + first + first + proof[start + 2 * size :], evaluator(weights), "merkle path")


def test_answers_to_other_queries_are_rejected(honest: Honest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One place answered for all queries, and places moved by one."""
    values, weights, committed, _ = honest
    indices = Sender.indices
    value = product(values, weights)
    for move in (
        lambda places: [places[0]] * len(places),
        lambda places: [(p + 1) % (1 << committed.shape.log_length) for p in places],
    ):
        with monkeypatch.context() as patch:
            patch.setattr(Sender, "indices", lambda self, *rest, move=move: move(indices(self, *rest)), raising=False)
            proof = opened(committed, weights, value)
        with pytest.raises((ProofMalformed, ProofRejected)):
            verify(proof, evaluator(weights))


def test_work_is_asked_for_and_bound(honest: Honest) -> None:
    _, weights, committed, proof = honest
    offset = _final_offset(committed.shape) + 20 * (1 << commitment.LOG_FINAL) + 40 * commitment.LOG_FINAL
    nonce = int.from_bytes(proof[offset : offset + 8], "little")
    assert nonce < 1 << 20
    for changed in [nonce + delta for delta in (1, -1, 2, 256, 1 << 32) if nonce + delta >= 0] + [
        1 << 62,
        (1 << 64) - 1,
    ]:
        data = proof[:offset] + changed.to_bytes(8, "little") + proof[offset + 8 :]
        with pytest.raises((ProofMalformed, ProofRejected)):
            verify(data, evaluator(weights))
    rejected(proof[:offset] + (1 << 62).to_bytes(8, "little") + proof[offset + 8 :], evaluator(weights), "grinding")


def test_work_for_another_prefix_or_of_fewer_bits_is_rejected(honest: Honest) -> None:
    values, weights, committed, proof = honest
    rejected(proof, evaluator(weights), label="another")
    weaker = evolve(CODE, grinding_bits=1)
    cheap = evolve(committed, shape=evolve(committed.shape, parameters=weaker))
    found = opened(cheap, weights, product(values, weights))
    verify(found, evaluator(weights), weaker)
    rejected(found, evaluator(weights), "grinding")


def test_no_nonce_where_no_work_is_wanted(honest: Honest) -> None:
    values, weights, committed, _ = honest
    none = evolve(CODE, grinding_bits=0)
    free = evolve(committed, shape=evolve(committed.shape, parameters=none))
    proof = opened(free, weights, product(values, weights))
    verify(proof, evaluator(weights), none)
    offset = _final_offset(committed.shape) + 20 * (1 << commitment.LOG_FINAL) + 40 * commitment.LOG_FINAL
    with pytest.raises(ProofMalformed):
        verify(proof[:offset] + b"\1" + proof[offset + 1 :], evaluator(weights), none)


def test_other_caps_are_rejected(honest: Honest) -> None:
    _, weights, _, proof = honest
    rejected(bytes([proof[0] ^ 1]) + proof[1:], evaluator(weights))
    swapped = proof[32:64] + proof[:32] + proof[64:]
    rejected(swapped, evaluator(weights))


def test_every_part_of_the_opening_matters(honest: Honest) -> None:
    _, weights, _, proof = honest
    random = Random(6)
    evaluate = evaluator(weights)
    for _ in range(150):
        changed = bytearray(proof)
        changed[random.randrange(len(proof))] ^= 1 << random.randrange(8)
        with pytest.raises((ProofMalformed, ProofRejected)):
            verify(bytes(changed), evaluate)


def test_next_claim_is_the_polynomial_of_degree_two() -> None:
    random = Random(7)
    c = [tuple(random.randrange(P) for _ in range(DEGREE)) for _ in range(4)]

    def at(x: Extension) -> Extension:
        return f.add(c[0], f.multiply(x, f.add(c[1], f.multiply(x, c[2]))))  # type: ignore[arg-type]

    claim = f.add(at(f.ZERO), at(f.ONE))
    assert scalars.quadratic(claim, at(f.ZERO), c[2], c[3]) == at(c[3])  # type: ignore[arg-type]


def test_shapes_and_sizes() -> None:
    with pytest.raises(ValueError, match="at least"):
        Shape.of(commitment.VARIABLES_MIN - 1, CODE)
    with pytest.raises(ValueError, match="power of two"):
        commit(np.zeros(1000, dtype=np.uint32), CODE)
    for variables in range(commitment.VARIABLES_MIN, 28):
        shape = Shape.of(variables, CODE)
        assert shape.log_columns + sum(shape.fold_groups) + commitment.LOG_FINAL == variables
        assert 4 << shape.log_columns <= 1024
        assert all(0 < group <= CODE.log_arity for group in shape.fold_groups)
        assert shape.log_length <= 24
