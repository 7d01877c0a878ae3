"""`FieldKernels` on a torch device: elements stay there as canonical int32, and only sums and rows come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from attrs import field, frozen

from lazai_core.api.errors import ComputeError, OutOfMemory
from lazai_core.api.field_kernels import BLOCK_LANES, EXTENSION_DEGREE, FIELD_MODULUS, Element, FieldArray

from .blake3_rows import BLOCK_WORDS, hash_rows
from .devices import Device
from .field_arithmetic import (
    column,
    element,
    halved_inverse_roots,
    in_chunks,
    multiply,
    total,
    transform,
    weighted_columns,
)

P = FIELD_MODULUS
MONTGOMERY = (1 << 32) % P
MONTGOMERY_INVERSE = pow(1 << 32, -1, P)
CHUNK_CPU, CHUNK_CUDA = 1 << 15, 1 << 23
"""Elements in flight at once: what stays in a core's cache, and what fills a device."""

A = ParamSpec("A")
T = TypeVar("T")


def _exact_step(step: Callable[A, T]) -> Callable[A, T]:
    @wraps(step)
    def run(*arguments: A.args, **named: A.kwargs) -> T:
        try:
            with torch.inference_mode():
                return step(*arguments, **named)
        except torch.OutOfMemoryError as cause:
            raise OutOfMemory(f"the device ran out of memory: {cause}") from cause

    return run


@frozen(kw_only=True, eq=False)
class TorchArray:
    """`words` is canonical int32 `[n]` or `[n, w]` over F, `[5, n]` over K; the bits of int32 `[n, 8]` of hashes."""

    words: torch.Tensor = field(repr=False)
    over_extension: bool = False
    is_hash: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents in elements."""
        return tuple(self.words.shape[1:] if self.over_extension else self.words.shape)


def _own(array: FieldArray) -> TorchArray:
    if not isinstance(array, TorchArray):
        raise ComputeError("the array was made by other kernels", hint="load it with these kernels first")
    return array


class TorchFieldKernels:
    """The steps as compositions of tensor operations, chunk by chunk."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._handle = device.handle
        self._chunk = CHUNK_CUDA if device.is_cuda else CHUNK_CPU

    @property
    def device(self) -> str:
        """The device in words."""
        return self._device.description

    @property
    def accelerated(self) -> bool:
        """Whether this is a CUDA device."""
        return self._device.is_cuda

    # The border.

    def _load(self, words: memoryview) -> torch.Tensor:
        array = np.frombuffer(words, dtype="<u4").astype(np.uint32)
        return torch.from_numpy(array.view(np.int32)).to(self._handle)

    def _canonical(self, residues: torch.Tensor) -> torch.Tensor:
        return (residues.long() * MONTGOMERY_INVERSE % P).int()

    def _residues(self, words: torch.Tensor) -> torch.Tensor:
        return (words.long() * MONTGOMERY % P).int()

    @_exact_step
    def load_base(self, words: memoryview) -> TorchArray:
        """Elements of F to the device."""
        return TorchArray(words=self._canonical(self._load(words)))

    @_exact_step
    def load_extension(self, words: memoryview) -> TorchArray:
        """Elements of K in blocks to the device."""
        blocks = self._load(words).view(-1, EXTENSION_DEGREE, BLOCK_LANES)
        planes = blocks.transpose(0, 1).reshape(EXTENSION_DEGREE, -1)
        return TorchArray(words=self._canonical(planes), over_extension=True)

    @_exact_step
    def load_hashes(self, words: memoryview) -> TorchArray:
        """Hash values to the device."""
        return TorchArray(words=self._load(words).view(-1, 8), is_hash=True)

    @_exact_step
    def read(self, array: FieldArray) -> bytes:
        """All words in the border's form."""
        given = _own(array)
        words = given.words if given.is_hash else self._residues(given.words)
        if given.over_extension:
            words = words.view(EXTENSION_DEGREE, -1, BLOCK_LANES).transpose(0, 1)
        return _bytes(words)

    @_exact_step
    def read_rows(self, array: FieldArray, rows: Sequence[int]) -> bytes:
        """Some rows."""
        given = _own(array)
        chosen = given.words[torch.tensor(list(rows), dtype=torch.int64, device=self._handle)]
        return _bytes(chosen if given.is_hash else self._residues(chosen))

    # Commitments.

    @_exact_step
    def encode(self, values: FieldArray, log_columns: int, log_rate: int) -> TorchArray:
        """Reed-Solomon code words, a group of columns after the other."""
        message = _own(values).words.view(1 << log_columns, -1).t()
        rows = message.shape[0] << log_rate
        group = max(1, 16 * self._chunk // rows)
        code = in_chunks(
            message.shape[1], group, lambda part: transform(message[:, part].long(), log_rate).int(), dim=1
        )
        return TorchArray(words=code)

    @_exact_step
    def hash_rows(self, rows: FieldArray, key: bytes) -> TorchArray:
        """Keyed BLAKE3 of rows of F, or of pairs of hash values."""
        given = _own(rows)
        words = given.words.view(-1, 2 * 8) if given.is_hash else given.words
        count, width = words.shape
        padded = -(-width // BLOCK_WORDS) * BLOCK_WORDS

        def run(part: slice) -> torch.Tensor:
            chosen = words[part] if given.is_hash else self._residues(words[part])
            return hash_rows(torch.nn.functional.pad(chosen, (0, padded - width)), key)

        group = max(16, self._chunk // BLOCK_WORDS)
        return TorchArray(words=in_chunks(count, group, run, dim=0), is_hash=True)

    @_exact_step
    def combine_columns(self, matrix: FieldArray, weights: Sequence[Element]) -> TorchArray:
        """A matrix over F times weights over K."""
        words = _own(matrix).words
        group = max(16, 16 * self._chunk // words.shape[1])
        found = in_chunks(words.shape[0], group, lambda part: weighted_columns(words[part], weights).int(), dim=1)
        return TorchArray(words=found, over_extension=True)

    @_exact_step
    def fold_code(self, code: FieldArray, challenge: Element) -> TorchArray:
        """(a + b)/2 and (a - b)/(2 w^k) of the halves, the second weighed by r, the first by 1 - r."""
        words = _own(code).words
        half = words.shape[1] // 2
        r = column(challenge, self._handle)
        inverses = halved_inverse_roots(words.shape[1].bit_length() - 1, self._handle)

        def run(part: slice) -> torch.Tensor:
            low, high = words[:, :half][:, part].long(), words[:, half:][:, part].long()
            even = (low + high) * ((P + 1) // 2) % P
            odd = (low - high + P) * inverses[part] % P
            return ((even + multiply((odd - even) % P, r)) % P).int()

        return TorchArray(words=in_chunks(half, self._chunk, run, dim=1), over_extension=True)

    @_exact_step
    def code_leaves(self, code: FieldArray, log_arity: int) -> TorchArray:
        """What folds together, side by side."""
        words = _own(code).words
        parts = words.view(EXTENSION_DEGREE, 1 << log_arity, -1)
        return TorchArray(words=parts.permute(2, 1, 0).reshape(parts.shape[2], -1))

    # Sumchecks.

    @_exact_step
    def eq_table(self, point: Sequence[Element]) -> TorchArray:
        """Doubled once for every coordinate."""
        table = column((1, 0, 0, 0, 0), self._handle).int()
        for coordinate in point:
            z = column(coordinate, self._handle)
            source = table

            def run(part: slice, s: torch.Tensor = source, c: torch.Tensor = z) -> torch.Tensor:
                return multiply(s[:, part].long(), c).int()

            upper = in_chunks(source.shape[1], self._chunk, run, dim=1)
            table = torch.cat([(source - upper).remainder_(P), upper], dim=1)
        return TorchArray(words=table, over_extension=True)

    @_exact_step
    def fold(self, values: FieldArray, challenge: Element, parts: int = 1) -> TorchArray:
        """low + r (high - low) of the halves of each part."""
        given = _own(values)
        words = given.words.view(-1, parts, 2, given.words.shape[-1] // (2 * parts))
        r = column(challenge, self._handle)

        def run(part: slice, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
            bottom = low[:, part].long()
            step = (high[:, part].long() - bottom) % P
            if given.over_extension:
                return ((bottom + multiply(step, r)) % P).int()
            found = step * r % P
            found[0] = (found[0] + bottom[0]) % P
            return found.int()

        folded = [
            in_chunks(
                words.shape[3],
                self._chunk,
                lambda part, i=index: run(part, words[:, i, 0], words[:, i, 1]),  # type: ignore[misc]
                dim=1,
            )
            for index in range(parts)
        ]
        return TorchArray(words=torch.cat(folded, dim=1), over_extension=True)

    @_exact_step
    def pair_round(self, values: FieldArray, weights: FieldArray) -> tuple[Element, Element]:
        """f(0) w(0) and the differences' product, summed."""
        given, factors = _own(values), _own(weights).words
        words = given.words if given.over_extension else given.words[None]
        half = factors.shape[1] // 2

        def run(part: slice) -> torch.Tensor:
            low, high = words[:, :half][:, part].long(), words[:, half:][:, part].long()
            w_low, w_high = factors[:, :half][:, part].long(), factors[:, half:][:, part].long()
            sums = []
            for a, b in ((low, w_low), ((high - low) % P, (w_high - w_low) % P)):
                sums.append(total(multiply(a, b) if given.over_extension else b * a % P))
            return torch.stack(sums)[..., None]

        return _elements(in_chunks(half, self._chunk, run, dim=2))

    @_exact_step
    def add_fractions(self, numerators: FieldArray, denominators: FieldArray) -> tuple[TorchArray, TorchArray]:
        """The halves' fractions added."""
        p, q = _own(numerators).words, _own(denominators).words
        half = p.shape[1] // 2

        def run(part: slice) -> torch.Tensor:
            p0, p1 = p[:, :half][:, part].long(), p[:, half:][:, part].long()
            q0, q1 = q[:, :half][:, part].long(), q[:, half:][:, part].long()
            return torch.stack([(multiply(p0, q1) + multiply(p1, q0)) % P, multiply(q0, q1)]).int()

        up = in_chunks(half, self._chunk, run, dim=2)
        return TorchArray(words=up[0], over_extension=True), TorchArray(words=up[1], over_extension=True)

    @_exact_step
    def fraction_round(
        self, numerators: FieldArray, denominators: FieldArray, weights: FieldArray, mix: Element
    ) -> tuple[Element, Element]:
        """e (p0 q1 + q0 (p1 + mix q1)) at 0 and of the differences, summed."""
        quarters = [_own(array).words.view(EXTENSION_DEGREE, 4, -1) for array in (numerators, denominators)]
        e, factor = _own(weights).words, column(mix, self._handle)

        def run(part: slice) -> torch.Tensor:
            p, q = ([array[:, k, part].long() for k in range(4)] for array in quarters)
            weight = e[:, part].long()
            steps = [(array[k + 1] - array[k]) % P for array in (p, q) for k in (0, 2)]
            sums = []
            for p0, p1, q0, q1 in ((p[0], p[2], q[0], q[2]), steps):
                mixed = (p1 + multiply(q1, factor)) % P
                inner = (multiply(p0, q1) + multiply(q0, mixed)) % P
                sums.append(total(multiply(weight, inner)))
            return torch.stack(sums)[..., None]

        return _elements(in_chunks(e.shape[1], self._chunk, run, dim=2))


def _elements(sums: torch.Tensor) -> tuple[Element, Element]:
    """`[2, 5, chunks]` to two elements."""
    first, second = total(sums)
    return element(first), element(second)


def _bytes(words: torch.Tensor) -> bytes:
    return bytes(words.contiguous().cpu().numpy().view(np.uint32).astype("<u4").tobytes())
