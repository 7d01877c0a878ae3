"""Kernels against the reference arithmetic, on random values and on edges; and the same bits without vector units."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from random import Random
from typing import Any

import numpy as np
import pytest

from lazai_proof_stark import field as f
from lazai_proof_stark.commitment import encode
from lazai_proof_stark.field import DEGREE, Extension, P
from lazai_proof_stark.golden import GOLDEN_SHA256
from lazai_proof_stark.kernels import codewords, extension, hashing, sums, transform
from lazai_proof_stark.kernels.arrays import (
    MONTGOMERY,
    extension_array,
    extension_values,
    from_montgomery,
    lane_sums,
    lift_array,
    splat,
    to_montgomery,
)

EDGES = (0, 1, P - 1, P - 2, (1 << 24) - 1, MONTGOMERY)


def elements(count: int, seed: int, *, edges: bool = False) -> list[Extension]:
    """Random elements of K; with `edges` coefficients from the extremes only."""
    random = Random(seed)
    draw = (lambda: random.choice(EDGES)) if edges else (lambda: random.randrange(P))
    return [(draw(), draw(), draw(), draw(), draw()) for _ in range(count)]


def empty(count: int) -> Any:
    """Room for `count` elements of K in blocks."""
    return np.empty((count // 16, DEGREE, 16), dtype=np.uint32)


edges = pytest.mark.parametrize("edges", [False, True])


def test_montgomery_form_round_trips() -> None:
    values = np.array([0, 1, -1, P, P - 1, -P, 2**62, -(2**62), 12345], dtype=np.int64)
    words = to_montgomery(values)
    assert words.dtype == np.uint32
    assert int(words.max()) < P
    assert from_montgomery(words).tolist() == [int(v) % P for v in values]


def test_block_layout_round_trips() -> None:
    values = elements(21, 1)
    array = extension_array(values)
    assert array.shape == (2, DEGREE, 16)
    assert extension_values(array, 21) == values
    assert extension_values(array)[21:] == [f.ZERO] * 11
    base = to_montgomery(np.arange(32))
    assert extension_values(lift_array(base)) == [f.lift(i) for i in range(32)]


@edges
def test_multiplication(edges: bool) -> None:
    a, b = elements(64, 1, edges=edges), elements(64, 2, edges=edges)
    out = empty(64)
    extension.multiply(extension_array(a), extension_array(b), out, 0, 4)
    assert extension_values(out) == [f.multiply(x, y) for x, y in zip(a, b, strict=True)]


@edges
def test_folds(edges: bool) -> None:
    values, (r,) = elements(64, 3, edges=edges), elements(1, 4)
    out = empty(32)
    extension.fold(extension_array(values), out, splat(r), 0, 2)
    assert extension_values(out) == [
        f.add(values[i], f.multiply(r, f.subtract(values[i + 32], values[i]))) for i in range(32)
    ]
    base = [value[0] for value in values]
    words = to_montgomery(np.array(base, dtype=np.int64))
    extension.fold_base(words, out, splat(r), 0, 2)
    assert extension_values(out) == [f.add(f.lift(base[i]), f.scale(r, base[i + 32] - base[i])) for i in range(32)]


@edges
def test_eq_steps_and_outer_products(edges: bool) -> None:
    values, (r,) = elements(32, 5, edges=edges), elements(1, 6, edges=edges)
    out = empty(64)
    extension.split_by(extension_array(values), splat(r), out, 0, 2)
    found = extension_values(out)
    assert found[32:] == [f.multiply(v, r) for v in values]
    assert [f.add(a, b) for a, b in zip(found[:32], found[32:], strict=True)] == values
    upper = elements(3, 7, edges=edges)
    total = extension_array(elements(96, 8))
    before = extension_values(total)
    extension.add_outer(np.stack([splat(u) for u in upper]), extension_array(values), total, 0, 3)
    assert extension_values(total) == [f.add(before[i], f.multiply(upper[i // 32], values[i % 32])) for i in range(96)]


@edges
def test_sumcheck_rounds(edges: bool) -> None:
    left, right, third = (elements(64, seed, edges=edges) for seed in (9, 10, 11))
    half = 32

    def ends(values: list[Extension], at: int) -> list[Extension]:
        if at == 0:
            return values[:half]
        steps = [f.subtract(values[i + half], values[i]) for i in range(half)]
        return steps if at == 2 else [f.subtract(v, s) for v, s in zip(values[:half], steps, strict=True)]

    def dot(*parts: list[Extension]) -> Extension:
        return f.sum_all([f.multiply_all(list(row)) for row in zip(*parts, strict=True)])

    accumulator = np.zeros((2, DEGREE, 16), dtype=np.uint32)
    sums.pair_round(extension_array(left), extension_array(right), accumulator, 0, 2)
    assert lane_sums(accumulator) == [dot(ends(left, at), ends(right, at)) for at in (0, 2)]
    accumulator = np.zeros((3, DEGREE, 16), dtype=np.uint32)
    arrays = [extension_array(part) for part in (third, left, right)]
    sums.cubic_round(*arrays, accumulator, 0, 2)
    assert lane_sums(accumulator) == [dot(*(ends(part, at) for part in (third, left, right))) for at in (0, 1, 2)]
    accumulator = np.zeros((1, DEGREE, 16), dtype=np.uint32)
    sums.triple_total(*arrays, accumulator, 0, 4)
    assert lane_sums(accumulator) == [dot(third, left, right)]


@edges
def test_rounds_over_the_base_field(edges: bool) -> None:
    weights = elements(64, 12, edges=edges)
    random = Random(13)
    base = [random.choice(EDGES) if edges else random.randrange(P) for _ in range(64)]
    accumulator = np.zeros((2, DEGREE, 16), dtype=np.uint32)
    words = to_montgomery(np.array(base, dtype=np.int64))
    sums.pair_round_base(words, extension_array(weights), accumulator, 0, 2)
    steps = [f.scale(f.subtract(weights[i + 32], weights[i]), base[i + 32] - base[i]) for i in range(32)]
    assert lane_sums(accumulator) == [
        f.sum_all([f.scale(weights[i], base[i]) for i in range(32)]),
        f.sum_all(steps),
    ]


@edges
def test_fractions_are_added(edges: bool) -> None:
    p, q = elements(64, 14, edges=edges), elements(64, 15, edges=edges)
    up_p, up_q = empty(32), empty(32)
    sums.add_fractions(extension_array(p), extension_array(q), up_p, up_q, 0, 2)
    assert extension_values(up_p) == [
        f.add(f.multiply(p[i], q[i + 32]), f.multiply(p[i + 32], q[i])) for i in range(32)
    ]
    assert extension_values(up_q) == [f.multiply(q[i], q[i + 32]) for i in range(32)]


def reversed_bits(index: int, bits: int) -> int:
    """Bit-reversed index."""
    return int(format(index, f"0{bits}b")[::-1], 2) if bits else 0


@pytest.mark.parametrize(("log_rows", "log_rate", "width"), [(5, 1, 16), (5, 3, 32), (9, 2, 16), (10, 3, 16)])
def test_encoding_is_evaluation(log_rows: int, log_rate: int, width: int) -> None:
    random = np.random.default_rng(log_rows)
    message = random.integers(0, P, (1 << log_rows, width), dtype=np.uint32)
    message[0, 0], message[1, 1] = P - 1, 0
    codeword = encode(message, log_rate)
    root = f.root_of_unity(log_rows + log_rate)
    values = from_montgomery(message)
    for row in (0, 1, 7, (1 << (log_rows + log_rate)) - 1):
        point = pow(root, row, P)
        for column in (0, 1, width - 1):
            expected = sum(
                int(values[i, column]) * pow(point, reversed_bits(i, log_rows), P) for i in range(1 << log_rows)
            )
            assert int(from_montgomery(codeword[row, column : column + 1])[0]) == expected % P


def test_twiddles_are_powers_of_the_root() -> None:
    found = from_montgomery(transform.twiddles(6))
    assert found.tolist() == [pow(f.root_of_unity(6), i, P) for i in range(32)]


def test_folding_a_codeword_encodes_the_bound_message() -> None:
    """Both folding kernels, against the encoding of the message with its top variable fixed."""
    log_message, log_rate = 6, 2
    message, (r, s) = elements(1 << log_message, 16), elements(2, 17)
    log_length = log_message + log_rate

    def codeword(values: list[Extension], log_size: int) -> list[Extension]:
        words = np.array([[c * MONTGOMERY % P for c in v] for v in values], dtype=np.uint32)
        root = np.uint32(f.root_of_unity(log_size) * MONTGOMERY % P)
        found = from_montgomery(codewords.values_at(words, np.arange(1 << log_size), root))
        return [tuple(int(c) for c in row) for row in found]  # type: ignore[misc]

    def bind(values: list[Extension], challenge: Extension) -> list[Extension]:
        half = len(values) // 2
        return [f.add(values[i], f.multiply(challenge, f.subtract(values[i + half], values[i]))) for i in range(half)]

    full = codeword(message, log_length)
    out = empty(1 << (log_length - 1))
    half = np.ascontiguousarray(splat(f.lift((P + 1) // 2))[0])
    codewords.fold_codeword(
        extension_array(full), codewords.halved_inverse_powers(log_length), splat(r), half, out, 0, len(out)
    )
    assert extension_values(out) == codeword(bind(message, r), log_length - 1)
    twice = codeword(bind(bind(message, r), s), log_length - 2)
    places = np.array([0, 3, 17, 63], dtype=np.int64)
    quarter = 1 << (log_length - 2)
    leaves = np.array(
        [[[c * MONTGOMERY % P for c in full[int(t) + k * quarter]] for k in range(4)] for t in places], dtype=np.uint32
    )
    challenges = np.array([[c * MONTGOMERY % P for c in v] for v in (r, s)], dtype=np.uint32)
    inverse = np.uint32(pow(f.root_of_unity(log_length), -1, P) * MONTGOMERY % P)
    folded = from_montgomery(codewords.fold_leaves(leaves, places, log_length, challenges, inverse))
    assert [tuple(row) for row in folded.tolist()] == [twice[int(t)] for t in places]


@edges
def test_rows_are_combined(edges: bool) -> None:
    weights = elements(32, 18, edges=edges)
    random = np.random.default_rng(19)
    rows = random.integers(0, P, (48, 32), dtype=np.uint32)
    if edges:
        rows[:] = random.choice(np.array([0, P - 1], dtype=np.uint32), rows.shape)
    expected = [
        f.sum_all([f.scale(w, int(x)) for w, x in zip(weights, row, strict=True)]) for row in from_montgomery(rows)
    ]
    out = empty(48)
    codewords.combine_all_rows(rows, np.stack([splat(w) for w in weights]), out, 0, 3)
    assert extension_values(out) == expected
    words = np.array([[c * MONTGOMERY % P for c in w] for w in weights], dtype=np.uint32)
    few = np.empty((48, DEGREE), dtype=np.uint32)
    codewords.combine_rows(rows, words, few, 0, 48)
    assert [tuple(row) for row in from_montgomery(few).tolist()] == expected


# BLAKE3's own keyed test vectors: the key below, input byte i is i mod 251.
BLAKE3_KEY = b"whats the Elvish word for friend"
BLAKE3_KEYED = {
    64: "ba8ced36f327700d213f120b1a207a3b8c04330528586f414d09f2f7d9ccb7e6",
    1024: "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
}


@pytest.mark.parametrize("size", sorted(BLAKE3_KEYED))
def test_blake3_known_answers(size: int) -> None:
    row = np.frombuffer(bytes(i % 251 for i in range(size)), dtype="<u4").astype(np.uint32)
    rows = np.ascontiguousarray(np.broadcast_to(row, (16, len(row))))
    digests = np.zeros((16, 8), dtype=np.uint32)
    hashing.hash_rows(rows, np.frombuffer(BLAKE3_KEY, dtype="<u4").astype(np.uint32), digests, 0, 16)
    assert {digest.astype("<u4").tobytes().hex() for digest in digests} == {BLAKE3_KEYED[size]}


def test_blake3_against_another_implementation() -> None:
    blake3 = pytest.importorskip("blake3")
    random = np.random.default_rng(20)
    for words in (16, 32, 48, 160, 256):
        rows = random.integers(0, 1 << 32, (32, words), dtype=np.uint32)
        key = random.integers(0, 1 << 32, 8, dtype=np.uint32)
        digests = np.zeros((32, 8), dtype=np.uint32)
        hashing.hash_rows(rows, key, digests, 0, 32)
        for row, digest in zip(rows, digests, strict=True):
            assert digest.tobytes() == blake3.blake3(row.tobytes(), key=key.tobytes()).digest()


@pytest.mark.parametrize("bits", [1, 4, 11])
def test_nonces_are_the_least_that_show_work(bits: int) -> None:
    seed, key = np.arange(8, dtype=np.uint32), np.arange(8, 16, dtype=np.uint32)
    nonce = int(hashing.find_nonce(seed, key, bits, 0, 1 << 40))
    rows = np.zeros((16, 16), dtype=np.uint32)
    rows[:, :8] = seed
    first = nonce - nonce % 16
    rows[:, 8] = np.arange(first, first + 16)
    digests = np.zeros((16, 8), dtype=np.uint32)
    hashing.hash_rows(rows, key, digests, 0, 16)
    good = [first + i for i in range(16) if int(digests[i, 0]) >> (32 - bits) == 0]
    assert nonce == next(n for n in good if n >= first)
    assert hashing.find_nonce(seed, key, bits, nonce, 1) == nonce
    if nonce:
        assert hashing.find_nonce(seed, key, bits, nonce - 1, 1) != nonce - 1
    assert hashing.find_nonce(seed, key, 32, 0, 256) == -1


SAMPLE = """
import hashlib, sys
import numpy as np
from lazai_proof_stark.field import P
from lazai_proof_stark.kernels import extension, hashing
from lazai_proof_stark.kernels.arrays import splat
random = np.random.default_rng(42)
a, b = (random.integers(0, P, (4, 5, 16), dtype=np.uint32) for _ in range(2))
out, folded = np.empty_like(a), np.empty((2, 5, 16), dtype=np.uint32)
extension.multiply(a, b, out, 0, 4)
extension.fold(a, folded, splat((1, 2, 3, 4, P - 1)), 0, 2)
rows, digests = random.integers(0, 2**32, (16, 32), dtype=np.uint32), np.zeros((16, 8), dtype=np.uint32)
hashing.hash_rows(rows, np.arange(8, dtype=np.uint32), digests, 0, 16)
print(hashlib.sha256(out.tobytes() + folded.tobytes() + digests.tobytes()).hexdigest())
"""


def test_a_plain_processor_gives_the_same_bits(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The same kernels compiled for a generic processor, without vector extensions beyond the architecture's base."""
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    plain = subprocess.run([sys.executable, "-c", SAMPLE], env=environment, capture_output=True, text=True, check=True)
    exec(compile(SAMPLE, "sample", "exec"), {})
    assert plain.stdout.strip() == capsys.readouterr().out.strip()
    assert len(plain.stdout.strip()) == 2 * hashlib.sha256().digest_size


CACHED = """
import sys
from lazai_proof_stark.kernels.first_use import telling_compilation
with telling_compilation(lambda text: print("told:", text, file=sys.stderr)):
    exec(sys.argv[1])
"""


def test_compiled_code_is_kept_by_kind_of_processor_and_compiling_is_said(tmp_path: Any) -> None:
    """The second process of a kind loads what the first one kept; another kind of processor shares nothing with it."""

    def run(**kind: str) -> tuple[str, str, int]:
        environment = {
            **os.environ,
            **kind,
            "NUMBA_CACHE_DIR": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        command = [sys.executable, "-c", CACHED, SAMPLE]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout, done.stderr, len(list(tmp_path.rglob("*.nbc")))

    first, told, kept = run()
    assert told.count("compiling kernels for this kind of processor") == 1
    again, silent, kept_again = run()
    assert (again, silent, kept_again) == (first, "", kept)
    other, told_too, kept_more = run(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert (other, told_too.count("compiling")) == (first, 1)
    assert kept_more == 2 * kept > 0
    assert run()[1:] == ("", kept_more)


@pytest.mark.slow
def test_a_plain_processor_makes_the_known_proof(tmp_path: Any) -> None:
    """The whole prover and verifier compiled without vector extensions: the same bytes, accepted."""
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-m", "lazai_proof_stark.golden"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == GOLDEN_SHA256
