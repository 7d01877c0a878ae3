"""The prover's long steps over `FieldKernels`: vectors go to the device once, and sums, caps and opened rows come back.

What is short is finished on this processor: vectors of fewer than `SHORT` elements, and the upper levels of trees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import field, frozen

from lazai_core.api.errors import ComputeError
from lazai_core.api.field_kernels import FieldArray, FieldKernels

from . import scalars as f
from .commitment import LOG_FINAL, CodeParameters, Shape, grind
from .field import DEGREE, Extension
from .fraction_levels import FractionLeaves
from .fractions import LeafClaim, descend, fraction_message, second_bound
from .kernels.arrays import Words, extension_values
from .kernels.hashing import sibling_places
from .merkle import LEAF_KEY, NODE_KEY, MerkleTree
from .messages import Sender
from .steps import Commitment
from .windows import WindowedWeights

SHORT = 64
"""Elements of K below which a vector is worked on as Python numbers: kernels take whole blocks of sixteen."""
SHORT_LEVEL = 1 << 10
"""Hash values of a level from which a tree is finished on this processor."""


def view(words: Words) -> memoryview:
    """Words as they cross the border."""
    return np.ascontiguousarray(words, dtype="<u4").data


def key_bytes(key: Words) -> bytes:
    """A BLAKE3 key."""
    return key.astype("<u4").tobytes()


@frozen(kw_only=True, eq=False)
class DeviceTree:
    """Levels of hash values on the device, leaves first, and the levels above them here."""

    below: tuple[FieldArray, ...] = field(repr=False)
    above: MerkleTree = field(repr=False)

    @property
    def cap(self) -> Words:
        """The commitment."""
        return self.above.cap

    @classmethod
    def over(cls, kernels: FieldKernels, rows: FieldArray, cap_height: int) -> DeviceTree:
        """Hash rows and pairs until little is left."""
        below = [kernels.hash_rows(rows, key_bytes(LEAF_KEY))]
        height = min(cap_height, below[0].shape[0].bit_length() - 1)
        while below[-1].shape[0] > max(SHORT_LEVEL, 16, 1 << height):
            below.append(kernels.hash_rows(below[-1], key_bytes(NODE_KEY)))
        top = below.pop()
        words = np.frombuffer(kernels.read(top), dtype="<u4").astype(np.uint32).reshape(-1, 8)
        return cls(below=tuple(below), above=MerkleTree.build(words, height))

    def siblings(self, kernels: FieldKernels, indices: Sequence[int]) -> Words:
        """What a verifier needs beside the leaves at these ascending distinct indices, level by level."""
        log_leaves = len(self.below) + len(self.above.levels[0]).bit_length() - 1
        places = np.array(indices, dtype=np.int64)
        room = max(1, len(places) * max(1, log_leaves))
        levels, nodes = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
        needed = int(sibling_places(places, log_leaves, self.above.cap_height, levels, nodes))
        result = np.empty((needed, 8), dtype=np.uint32)
        for level in range(log_leaves - self.above.cap_height):
            mine = np.flatnonzero(levels[:needed] == level)
            if not len(mine):
                continue
            if level < len(self.below):
                result[mine] = rows_of(kernels, self.below[level], nodes[mine].tolist(), 8)
            else:
                result[mine] = self.above.levels[level - len(self.below)][nodes[mine]]
        return result


def rows_of(kernels: FieldKernels, array: FieldArray, rows: Sequence[int], words: int) -> Words:
    """Some rows of a matrix on the device."""
    return np.frombuffer(kernels.read_rows(array, rows), dtype="<u4").astype(np.uint32).reshape(-1, words)


@frozen(kw_only=True, eq=False)
class DeviceCommitted:
    """A committed polynomial whose values and code words stay on the device."""

    shape: Shape
    values: FieldArray = field(repr=False)
    codeword: FieldArray = field(repr=False)
    tree: DeviceTree = field(repr=False)

    @property
    def cap(self) -> Words:
        """The commitment."""
        return self.tree.cap


class _Vector:
    """Elements of F or K, bound variable by variable: on the device while long, Python numbers once short."""

    def __init__(self, kernels: FieldKernels, array: FieldArray) -> None:
        self._kernels = kernels
        self.array: FieldArray | None = array
        self.short: list[Extension] = []
        self._shorten()

    def _shorten(self) -> None:
        if self.array is not None and self.array.over_extension and self.array.shape[0] <= SHORT:
            words = np.frombuffer(self._kernels.read(self.array), dtype="<u4").astype(np.uint32)
            self.short = extension_values(words.reshape(-1, DEGREE, 16))
            self.array = None

    def bind(self, r: Extension) -> None:
        """Fix the top variable."""
        if self.array is not None:
            self.array = self._kernels.fold(self.array, r)
            self._shorten()
            return
        half = len(self.short) // 2
        self.short = [
            f.add(a, f.multiply(r, f.subtract(b, a))) for a, b in zip(self.short[:half], self.short[half:], strict=True)
        ]


class DeviceSteps:
    """`Steps` on a device. Safe to use from several threads as far as the kernels are."""

    def __init__(self, kernels: FieldKernels) -> None:
        self._kernels = kernels

    def commit(self, values: Words, parameters: CodeParameters) -> DeviceCommitted:
        """As `commitment.commit`; values and code word stay on the device while the result is kept."""
        shape = Shape.of(len(values).bit_length() - 1, parameters)
        loaded = self._kernels.load_base(view(values))
        codeword = self._kernels.encode(loaded, shape.log_columns, parameters.log_rate)
        tree = DeviceTree.over(self._kernels, codeword, parameters.cap_height)
        return DeviceCommitted(shape=shape, values=loaded, codeword=codeword, tree=tree)

    def open_weighted(
        self, committed: Commitment, weights: Words | WindowedWeights, channel: Sender
    ) -> list[Extension]:
        """PROTOCOL.md, section 5, message by message."""
        if not isinstance(committed, DeviceCommitted):
            raise ComputeError("the key's commitment is not on the device", hint="prove where the key was prepared")
        shape = committed.shape
        values = _Vector(self._kernels, committed.values)
        if isinstance(weights, WindowedWeights):
            weights = weights.in_full()
        factors = _Vector(self._kernels, self._kernels.load_extension(view(weights)))
        bound: list[Extension] = []

        def round_() -> Extension:
            channel.send_elements("round", self._pair_message(values, factors))
            challenge = channel.challenge("round")
            values.bind(challenge)
            factors.bind(challenge)
            bound.append(challenge)
            return challenge

        for _ in range(shape.log_columns):
            round_()
        code = self._kernels.combine_columns(committed.codeword, f.eq_vector(list(reversed(bound))))
        layers: list[tuple[DeviceTree, FieldArray]] = []
        for group in shape.fold_groups:
            leaves = self._kernels.code_leaves(code, group)
            tree = DeviceTree.over(self._kernels, leaves, shape.parameters.cap_height)
            layers.append((tree, leaves))
            channel.send_digests("layer", tree.cap)
            for _ in range(group):
                code = self._kernels.fold_code(code, round_())
        channel.send_elements("final", values.short[: 1 << LOG_FINAL])
        for _ in range(LOG_FINAL):
            round_()
        channel.send_integer("grind", grind(channel, shape.parameters.grinding_bits))
        self._answer_queries(committed, layers, channel)
        return list(reversed(bound))

    def _pair_message(self, values: _Vector, factors: _Vector) -> tuple[Extension, Extension]:
        if values.array is not None and factors.array is not None:
            return self._kernels.pair_round(values.array, factors.array)
        half = len(values.short) // 2
        lows = zip(values.short[:half], factors.short[:half], strict=True)
        highs = zip(values.short[half:], factors.short[half:], strict=True)
        at_zero, leading = f.ZERO, f.ZERO
        for (low, w_low), (high, w_high) in zip(lows, highs, strict=True):
            at_zero = f.add(at_zero, f.multiply(low, w_low))
            leading = f.add(leading, f.multiply(f.subtract(high, low), f.subtract(w_high, w_low)))
        return at_zero, leading

    def _answer_queries(
        self, committed: DeviceCommitted, layers: Sequence[tuple[DeviceTree, FieldArray]], channel: Sender
    ) -> None:
        shape = committed.shape
        log_length = shape.log_length
        distinct = sorted(set(channel.indices("queries", log_length, shape.parameters.queries)))
        channel.send_opening(rows_of(self._kernels, committed.codeword, distinct, 1 << shape.log_columns))
        channel.send_opening(committed.tree.siblings(self._kernels, distinct))
        for (tree, leaves), group in zip(layers, shape.fold_groups, strict=True):
            log_length -= group
            distinct = sorted({place % (1 << log_length) for place in distinct})
            channel.send_opening(rows_of(self._kernels, leaves, distinct, DEGREE << group))
            channel.send_opening(tree.siblings(self._kernels, distinct))

    def prove_zero_sum(self, leaves: FractionLeaves, channel: Sender) -> LeafClaim:
        """PROTOCOL.md, section 7, steps 3 and 4."""
        p, q = leaves.in_full()
        levels = [(self._kernels.load_extension(view(p)), self._kernels.load_extension(view(q)))]
        while levels[-1][0].shape[0] > SHORT:
            levels.append(self._kernels.add_fractions(*levels[-1]))
        short = [(self._short(levels[-1][0]), self._short(levels[-1][1]))]
        levels.pop()
        while len(short[-1][0]) > 1:
            short.append(_halves_added(*short[-1]))
        channel.send_elements("root", short.pop()[1])
        (p0, p1), (q0, q1) = short.pop()
        channel.send_elements("children", [p0, p1, q0, q1])
        claim = descend(channel, (), p0, p1, q0, q1)
        while short:
            claim = self._prove_level(*short.pop(), claim, channel)
        while levels:
            claim = self._prove_level(*levels.pop(), claim, channel)
        return claim

    def _short(self, array: FieldArray) -> list[Extension]:
        words = np.frombuffer(self._kernels.read(array), dtype="<u4").astype(np.uint32)
        return extension_values(words.reshape(-1, DEGREE, 16))

    def _prove_level(
        self,
        p: FieldArray | list[Extension],
        q: FieldArray | list[Extension],
        claim: LeafClaim,
        channel: Sender,
    ) -> LeafClaim:
        mix = channel.challenge("mix")
        z, bound = list(claim.point), []
        while z:
            z.pop()
            if isinstance(p, list) or isinstance(q, list):
                p = p if isinstance(p, list) else self._short(p)
                q = q if isinstance(q, list) else self._short(q)
                message = fraction_message(p, q, f.eq_vector(z), mix)
            else:
                message = self._kernels.fraction_round(p, q, self._kernels.eq_table(z), mix)
            channel.send_elements("round", message)
            r = channel.challenge("round")
            p, q = self._bound(p, r), self._bound(q, r)
            bound.append(r)
        assert isinstance(p, list), "the last rounds are short"
        assert isinstance(q, list), "the last rounds are short"
        channel.send_elements("children", [*p, *q])
        return descend(channel, list(reversed(bound)), p[0], p[1], q[0], q[1])

    def _bound(self, values: FieldArray | list[Extension], r: Extension) -> FieldArray | list[Extension]:
        """Fix the top variable of both children."""
        if isinstance(values, list):
            return second_bound(values, r)
        folded = self._kernels.fold(values, r, 2)
        return folded if folded.shape[0] >= SHORT else self._short(folded)


def _halves_added(p: list[Extension], q: list[Extension]) -> tuple[list[Extension], list[Extension]]:
    half = len(p) // 2
    crossed = [f.add(f.multiply(p[i], q[i + half]), f.multiply(p[i + half], q[i])) for i in range(half)]
    return crossed, [f.multiply(q[i], q[i + half]) for i in range(half)]
