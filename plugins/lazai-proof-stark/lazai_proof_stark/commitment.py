"""Polynomial commitment: multilinear polynomials over F, BaseFold on interleaved Reed-Solomon codes.

A polynomial of v variables is a vector of 2^v elements, bit i of the index belonging to variable i. It is cut into
2^c columns
(the c most significant variables choose the column), each column is encoded at rate 2^-log_rate, and the rows of the
codeword matrix are the leaves of a Merkle tree. An opening proves <f, w> = s for public weights w that the verifier can
evaluate at a point: a sumcheck binds variables from the most significant down, the first c of them combine columns, the
others fold the codeword (BaseFold, Zeilberger, Chen, Fisch 2023/1705; list decoding by Haboeck 2024/1571).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from attrs import field, frozen

from lazai_core.api.errors import ProofMalformed, ProofRejected

from . import scalars as f
from . import workspace
from .field import DEGREE, Extension
from .kernels.arrays import MONTGOMERY, Words, extension_array, splat
from .kernels.codewords import (
    combine_rows,
    fold_codeword,
    fold_leaves,
    halved_inverse_powers,
    values_at,
)
from .kernels.hashing import find_nonce
from .kernels.transform import STAGES_A_PASS, transform_pass, twiddles
from .kernels.windows import BLOCKS_A_TILE, combine_columns
from .merkle import MerkleTree, blake3_key, check_leaves, hash_leaves, sibling_count
from .messages import Channel, Receiver, Sender
from .weighted_sum import WeightedSum
from .windows import ColumnSums, WindowedWeights
from .workers import split

LOG_COLUMNS_MIN = 4
LOG_FINAL = 5
"""The last 2^5 values of a folded message are sent in clear."""
VARIABLES_MIN = LOG_COLUMNS_MIN + LOG_FINAL + 1
GRINDING_KEY = blake3_key("grinding")


@frozen(kw_only=True)
class CodeParameters:
    """What both sides fix before anything is committed; part of the parameter set."""

    log_rate: int
    queries: int
    grinding_bits: int
    log_arity: int = 3
    cap_height: int = 4


@frozen(kw_only=True)
class Shape:
    """Sizes that follow from the number of variables."""

    variables: int
    log_columns: int
    parameters: CodeParameters

    @classmethod
    def of(cls, variables: int, parameters: CodeParameters) -> Shape:
        """Columns grow with the polynomial: long rows cost bytes a query, short ones cost layers."""
        if variables < VARIABLES_MIN:
            raise ValueError(f"a committed polynomial has at least {VARIABLES_MIN} variables, got {variables}")
        log_columns = min(8, max(LOG_COLUMNS_MIN, (variables - 6) // 2))
        return cls(variables=variables, log_columns=log_columns, parameters=parameters)

    @property
    def log_rows(self) -> int:
        """Rows of the message matrix."""
        return self.variables - self.log_columns

    @property
    def log_length(self) -> int:
        """Rows of the codeword matrix."""
        return self.log_rows + self.parameters.log_rate

    @property
    def fold_groups(self) -> tuple[int, ...]:
        """Variables bound between two committed layers."""
        left = self.log_rows - LOG_FINAL
        groups = []
        while left > 0:
            groups.append(min(self.parameters.log_arity, left))
            left -= groups[-1]
        return tuple(groups)


@frozen(kw_only=True, eq=False)
class Committed:
    """What the prover keeps: the polynomial, its codeword and the tree."""

    shape: Shape
    values: Words = field(repr=False)
    codeword: Words = field(repr=False)
    tree: MerkleTree = field(repr=False)

    @property
    def cap(self) -> Words:
        """The commitment."""
        return self.tree.cap


def encode(message: Words, log_rate: int) -> Words:
    """Codeword matrix `[n 2^log_rate, w]` of the message matrix `[n, w]`."""
    rows, width = message.shape
    log_length = rows.bit_length() - 1 + log_rate
    codeword = workspace.room((rows << log_rate, width))
    roots = twiddles(log_length)
    passes = max(1, -(-log_length // STAGES_A_PASS))
    source, done, skipped = message, 0, log_rate
    for index in range(passes):
        stages = log_length // passes + (1 if index < log_length % passes else 0)
        if index == 0:
            stages = max(stages, min(log_rate + 1, log_length))
        stages = min(stages, log_length - done)
        if not stages:
            break

        def run(begin: int, end: int, s: Words = source, d: int = done, n: int = stages, k: int = skipped) -> None:
            transform_pass(s, codeword, roots, log_length, d, n, k, begin, end)

        split(1 << (log_length - stages), run, smallest=64)
        source, done, skipped = codeword, done + stages, 0
    return codeword


def commit(values: Words, parameters: CodeParameters) -> Committed:
    """Commit to `uint32[2^v]` in Montgomery form."""
    variables = len(values).bit_length() - 1
    if len(values) != 1 << variables:
        raise ValueError(f"{len(values)} values are not a power of two")
    shape = Shape.of(variables, parameters)
    message = workspace.room((1 << shape.log_rows, 1 << shape.log_columns))
    message[:] = values.reshape(1 << shape.log_columns, 1 << shape.log_rows).T
    codeword = encode(message, parameters.log_rate)
    tree = MerkleTree.build(hash_leaves(codeword), parameters.cap_height)
    return Committed(shape=shape, values=values, codeword=codeword, tree=tree)


def combined_columns(committed: Committed, bound: Sequence[Extension]) -> Words:
    """The message's columns added up with the weights eq of the challenges, in the order they were drawn."""
    weights = np.stack([splat(value) for value in f.eq_vector(list(reversed(bound)))])
    out = workspace.room((1 << (committed.shape.log_rows - 4), DEGREE, 16))
    split(
        len(out),
        lambda begin, end: combine_columns(committed.values, weights, out, begin, end),
        multiple=BLOCKS_A_TILE,
        smallest=BLOCKS_A_TILE,
    )
    return out


def encode_extension(message: Words, log_rate: int) -> Words:
    """Codeword over K of a message over K, both in blocks: five words of F encoded side by side."""
    rows = workspace.room((16 * len(message), 16))
    rows[:, DEGREE:] = 0
    rows[:, :DEGREE] = message.transpose(0, 2, 1).reshape(-1, DEGREE)
    codeword = workspace.room((len(message) << log_rate, DEGREE, 16))
    codeword[:] = encode(rows, log_rate)[:, :DEGREE].reshape(-1, 16, DEGREE).transpose(0, 2, 1)
    return codeword


def first_layer(committed: Committed, _bound: Sequence[Extension], message: Words) -> Words:
    """The combination of the matrix's columns, which is the codeword of the message's."""
    return encode_extension(message, committed.shape.parameters.log_rate)


def _layer_rows(codeword: Words, log_arity: int) -> Words:
    """Leaves `uint32[N / 2^a, 2^a * 5]` of a codeword over K in blocks."""
    arity = 1 << log_arity
    parts = codeword.reshape(arity, len(codeword) // arity, DEGREE, 16)
    rows = workspace.room((parts.shape[1], 16, arity, DEGREE))
    rows[:] = parts.transpose(1, 3, 0, 2)
    return rows.reshape(-1, arity * DEGREE)


def _words(values: Sequence[Extension]) -> Words:
    canonical = np.array(values, dtype=np.uint64)
    return (canonical * np.uint64(MONTGOMERY) % np.uint64(f.P)).astype(np.uint32)


def _root_word(log_size: int, *, inverse: bool) -> np.uint32:
    root = f.root_of_unity(log_size)
    return np.uint32((pow(root, -1, f.P) if inverse else root) * MONTGOMERY % f.P)


def open_weighted(
    committed: Committed,
    weights: Words | WindowedWeights,
    channel: Sender,
) -> list[Extension]:
    """Prove <f, w> = s, which the caller has absorbed. Gives the point, variable 0 first.

    weights `uint32[2^v / 16, 5, 16]` over K, or the same in short; they are overwritten.
    """
    shape, parameters = committed.shape, committed.shape.parameters
    sums: WeightedSum | ColumnSums
    if isinstance(weights, WindowedWeights):
        sums = weights.column_sums(committed.values)
    else:
        sums = WeightedSum(committed.values, weights)
    bound: list[Extension] = []

    def round_() -> Extension:
        channel.send_elements("round", sums.message())
        challenge = channel.challenge("round")
        sums.bind(challenge)
        bound.append(challenge)
        return challenge

    for _ in range(shape.log_columns):
        round_()
    if isinstance(sums, ColumnSums):
        sums = WeightedSum(combined_columns(committed, bound), sums.rest())
    codeword = first_layer(committed, bound, sums.values)
    layers: list[tuple[MerkleTree, Words]] = []
    one_half = np.ascontiguousarray(splat(f.lift((f.P + 1) // 2))[0])
    log_length = shape.log_length
    for group in shape.fold_groups:
        rows = _layer_rows(codeword, group)
        tree = MerkleTree.build(hash_leaves(rows), parameters.cap_height)
        layers.append((tree, rows))
        channel.send_digests("layer", tree.cap)
        for _ in range(group):
            challenge = round_()
            folded = workspace.room((len(codeword) // 2, DEGREE, 16))
            inverses, r, source = halved_inverse_powers(log_length), splat(challenge), codeword

            def run(
                begin: int, end: int, s: Words = source, i: Words = inverses, c: Words = r, o: Words = folded
            ) -> None:
                fold_codeword(s, i, c, one_half, o, begin, end)

            split(len(folded), run)
            codeword, log_length = folded, log_length - 1
    channel.send_elements("final", sums.remaining()[: 1 << LOG_FINAL])
    for _ in range(LOG_FINAL):
        round_()
    channel.send_integer("grind", grind(channel, parameters.grinding_bits))
    _answer_queries(committed, layers, channel)
    return list(reversed(bound))


def _answer_queries(committed: Committed, layers: Sequence[tuple[MerkleTree, Words]], channel: Sender) -> None:
    shape = committed.shape
    places = channel.indices("queries", shape.log_length, shape.parameters.queries)
    distinct = sorted(set(places))
    channel.send_opening(committed.codeword[distinct])
    channel.send_opening(committed.tree.siblings(distinct))
    log_length = shape.log_length
    for (tree, rows), group in zip(layers, shape.fold_groups, strict=True):
        log_length -= group
        distinct = sorted({place % (1 << log_length) for place in distinct})
        channel.send_opening(rows[distinct])
        channel.send_opening(tree.siblings(distinct))


def grind(channel: Sender, bits: int) -> int:
    """The least nonce that shows 2^bits of work on the transcript's state; 0 where none is asked for."""
    if bits == 0:
        return 0
    return int(find_nonce(_grinding_seed(channel), GRINDING_KEY, bits, 0, 1 << 62))


def _grinding_seed(channel: Channel) -> Words:
    return np.frombuffer(channel.transcript.fork().challenge_bytes("grind", 32), dtype="<u4").astype(np.uint32)


def check_nonce(channel: Receiver, bits: int) -> None:
    """Read the nonce. Raises ProofRejected when it shows no work, ProofMalformed for one that is not wanted."""
    seed = _grinding_seed(channel)
    nonce = channel.receive_integer("grind")
    if bits == 0:
        if nonce:
            raise ProofMalformed("a nonce where none is needed")
        return
    if nonce >> 62 or find_nonce(seed, GRINDING_KEY, bits, nonce, 1) != nonce:
        raise ProofRejected("the nonce does not show the work", check="grinding")


def check_weighted(
    shape: Shape,
    cap: Words,
    value: Extension,
    evaluate_weights: Callable[[Sequence[Extension]], Extension],
    channel: Receiver,
) -> None:
    """Verify an opening of <f, w> = value. Raises ProofMalformed or ProofRejected.

    `evaluate_weights` gives w~ at a point, variable 0 first.
    """
    parameters = shape.parameters
    claim, bound = value, []

    def round_() -> Extension:
        nonlocal claim
        at_zero, leading = channel.receive_elements("round", 2)
        challenge = channel.challenge("round")
        claim = f.quadratic(claim, at_zero, leading, challenge)
        bound.append(challenge)
        return challenge

    for _ in range(shape.log_columns):
        round_()
    column_weights = f.eq_vector(list(reversed(bound)))
    caps, challenges = [], []
    log_length = shape.log_length
    for group in shape.fold_groups:
        height = min(parameters.cap_height, log_length - group)
        caps.append(channel.receive_digests("layer", 1 << height))
        challenges.append([round_() for _ in range(group)])
        log_length -= group
    message = channel.receive_elements("final", 1 << LOG_FINAL)
    rest = [round_() for _ in range(LOG_FINAL)]
    check_nonce(channel, parameters.grinding_bits)
    point = list(reversed(bound))
    at_point = f.evaluate_multilinear(message, list(reversed(rest)))
    if f.multiply(at_point, evaluate_weights(point)) != claim:
        raise ProofRejected("the bound polynomial does not match the claim", check="sumcheck")
    _check_queries(shape, cap, column_weights, caps, challenges, message, channel)


def _check_queries(
    shape: Shape,
    cap: Words,
    column_weights: Sequence[Extension],
    caps: Sequence[Words],
    challenges: Sequence[Sequence[Extension]],
    message: Sequence[Extension],
    channel: Receiver,
) -> None:
    parameters = shape.parameters
    log_length = shape.log_length
    places = channel.indices("queries", log_length, parameters.queries)
    distinct = sorted(set(places))
    rows = _receive_leaves(channel, distinct, 1 << shape.log_columns, log_length, cap, parameters, "matrix")
    values = np.empty((len(distinct), DEGREE), dtype=np.uint32)
    combine_rows(rows, _words(column_weights), values, 0, len(distinct))
    for number, (layer_cap, group_challenges) in enumerate(zip(caps, challenges, strict=True)):
        group = len(group_challenges)
        short = log_length - group
        leaves = sorted({place % (1 << short) for place in distinct})
        rows = _receive_leaves(channel, leaves, DEGREE << group, short, layer_cap, parameters, f"layer {number}")
        opened = rows.reshape(len(leaves), 1 << group, DEGREE)
        all_places, all_leaves = np.array(distinct, dtype=np.int64), np.array(leaves, dtype=np.int64)
        entries = opened[np.searchsorted(all_leaves, all_places & ((1 << short) - 1)), all_places >> short]
        differing = np.flatnonzero((entries != values).any(axis=1))
        if len(differing):
            place = distinct[int(differing[0])]
            raise ProofRejected(f"layer {number} differs from the one before at {place}", check="folding")
        values = fold_leaves(
            opened,
            all_leaves,
            log_length,
            _words(group_challenges),
            _root_word(log_length, inverse=True),
        )
        distinct, log_length = leaves, short
    expected = values_at(_words(message), np.array(distinct, dtype=np.int64), _root_word(log_length, inverse=False))
    if not np.array_equal(expected, values):
        raise ProofRejected("the last layer is not the code word of the final message", check="final message")


def _receive_leaves(
    channel: Receiver,
    indices: Sequence[int],
    words: int,
    log_leaves: int,
    cap: Words,
    parameters: CodeParameters,
    name: str,
) -> Words:
    rows = channel.receive_rows(len(indices), words)
    siblings = channel.receive_hashes(sibling_count(indices, log_leaves, parameters.cap_height))
    if not check_leaves(rows, indices, log_leaves, siblings, cap):
        raise ProofRejected(f"{name}: an opened leaf is not under its commitment", check="merkle path")
    return rows


__all__ = ["CodeParameters", "Committed", "Shape", "check_weighted", "commit", "extension_array", "open_weighted"]
