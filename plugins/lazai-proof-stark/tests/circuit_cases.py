"""Small programs of every operation kind, and honest and dishonest witnesses for them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from attrs import define

from lazai_core.api.program import DType
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.model import ExactModel
from lazai_core.exact.reference import run
from lazai_proof_stark.circuit.check import Violation, leaf_values, violations
from lazai_proof_stark.circuit.compile import compile_circuit
from lazai_proof_stark.circuit.keys import public_data
from lazai_proof_stark.circuit.relations import Circuit, Sizes
from lazai_proof_stark.circuit.witness import Values, Witness, count_lookups, make_witness

Array = np.ndarray[Any, Any]
SIZES = Sizes(range_bits=10)


@define(eq=False)
class Case:
    """One program with inputs, its circuit and its honest witness."""

    model: ExactModel
    circuit: Circuit
    inputs: list[Array]
    trace: tuple[Array, ...]
    witness: Witness

    @property
    def outputs(self) -> list[Array]:
        return [np.asarray(a) for a in self.witness.values.outputs]

    def columns(self) -> list[Array]:
        return [np.array(column, dtype=np.int64) for column in self.witness.columns]

    def check(
        self, columns: list[Array], outputs: list[Array] | None = None, *, recount: bool = True
    ) -> list[Violation]:
        """Violations of a witness; with `recount` the multiplicities are first made to fit."""
        values = self.values(columns, outputs)
        if recount:
            count_lookups(Witness(self.circuit, _residues(values)))
        return list(violations(self.circuit, values))

    def values(self, columns: list[Array], outputs: list[Array] | None = None) -> Values:
        return leaf_values(self.inputs, outputs or self.outputs, self.model.constants, columns, exact=True)

    def same_program_values(self, columns: list[Array], outputs: list[Array] | None = None) -> bool:
        """Whether every program value is what the program says."""
        from lazai_proof_stark.circuit.check import _mod

        values = self.values(columns, outputs)
        return all(bool((_mod(values.wide(node)) == self.trace[value]).all()) for node, value in self.circuit.bindings)


class _Residues(Values):
    """Forms as residues, so that rows of tables are found as the field sees them."""

    def wide(self, node: Any) -> Array:
        from lazai_proof_stark.circuit.check import _mod

        return _mod(super().wide(node))


def _residues(values: Values) -> Values:
    found = _Residues(values.inputs, values.outputs, values.constants, exact=True)
    found.columns = values.columns
    return found


def make_case(model: ExactModel, inputs: list[Array], dim: int = 0, sizes: Sizes | None = SIZES) -> Case:
    bound = model.program.bind(dim)
    circuit = compile_circuit(bound, public_data(model.program, model.constants), sizes)
    found = run(model.program, model.constants, inputs, dim_value=dim, keep_trace=True)
    assert found.trace is not None
    witness = make_witness(circuit, model.constants, found.trace.arrays)
    return Case(model, circuit, inputs, found.trace.arrays, witness)


def _one(build: Callable[[ProgramBuilder, Random, Any], Any], seed: int, *, hide: bool) -> ExactModel:
    builder = ProgramBuilder(None)
    random = Random(seed)
    value = build(builder, random, np.random.default_rng(seed))
    if hide:
        # The op under test is not an output, so its result is a committed column.
        value = builder.add(value, value)
    builder.output("y", value)
    return builder.build()


def _x(builder: ProgramBuilder, shape: tuple[int, ...], dtype: DType = DType.INT8, **limits: int) -> Any:
    return builder.input("x", dtype, shape, **limits)


def _table(count: int, top: int = 1 << 12) -> list[int]:
    return [max(1, int(top * 0.8**i)) if i < count - 1 else 0 for i in range(count)]


def _attention(b: ProgramBuilder, g: Any, *, causal: bool) -> Any:
    """Two heads over three positions: products of activations, softmax, and a weighted sum."""

    def heads() -> Any:
        projected = b.dense(x, g.integers(-30, 30, (4, 4)), g.integers(-99, 99, 4))
        narrow = b.requantize(projected, dtype=DType.INT8, shift=6)
        return b.transpose(b.reshape(narrow, (3, 2, 2)), (1, 0, 2))

    x = _x(b, (3, 4))
    scores = b.requantize(b.matmul(heads(), heads(), transpose_right=True), dtype=DType.INT16, shift=9, low=-9, high=9)
    probabilities = b.softmax(scores, _table(9), precision=7, causal=causal)
    mixed = b.requantize(b.matmul(probabilities, heads()), dtype=DType.INT8, shift=7)
    return b.reshape(b.transpose(mixed, (1, 0, 2)), (3, 4))


def _residual(b: ProgramBuilder, g: Any) -> Any:
    """A layer's result and what went into it, at two scales."""
    x = _x(b, (3, 4))
    y = b.requantize(b.dense(x, g.integers(-9, 9, (4, 4)), g.integers(-99, 99, 4)), dtype=DType.INT8, shift=4)
    return b.requantize(b.add(x, y, shift_left=2), dtype=DType.INT8, shift=3)


def _entries(function: Callable[[Array], Array]) -> Array:
    """A real function on int8 at scale 1/16 as a table."""
    return np.clip(np.rint(16 * function(np.arange(-128, 128) / 16)), -128, 127).astype(np.int64)


def _activation(b: ProgramBuilder, g: Any, function: Callable[[Array], Array]) -> Any:
    """A function of a dense layer's result, as models have it."""
    y = b.dense(_x(b, (2, 3)), g.integers(-30, 30, (4, 3)), g.integers(-99, 99, 4))
    return b.table(b.requantize(y, dtype=DType.INT8, shift=5), _entries(function), offset=-128)


KINDS: dict[str, Callable[[ProgramBuilder, Random, Any], Any]] = {
    "requantize": lambda b, r, g: b.requantize(_x(b, (3, 5), DType.INT16), dtype=DType.INT8, shift=5, low=-20, high=30),
    "requantize_channels": lambda b, r, g: b.requantize(
        b.dense(_x(b, (3, 4)), g.integers(-9, 9, (5, 4)), g.integers(-99, 99, 5)),
        dtype=DType.INT8,
        shifts=np.array([1, 3, 0, -1, 4]),
        axis=1,
        low=-10,
        high=20,
    ),
    "requantize_wide": lambda b, r, g: b.requantize(
        b.dense(_x(b, (2, 4)), g.integers(-120, 120, (3, 4)), g.integers(-99, 99, 3)),
        dtype=DType.INT16,
        shift=1,
        low=-12000,
        high=12000,
    ),
    "requantize_left": lambda b, r, g: b.requantize(_x(b, (3, 5)), dtype=DType.INT16, shift=-3, low=-100, high=200),
    "requantize_long": lambda b, r, g: b.requantize(
        b.multiply(_x(b, (4,), DType.INT16, low=-9000, high=9000), b.constant(g.integers(-9000, 9000, 4), DType.INT16)),
        dtype=DType.INT8,
        shift=19,
    ),
    "table": lambda b, r, g: b.table(_x(b, (3, 5)), g.integers(-99, 99, 256), offset=-128),
    "table_merged": lambda b, r, g: b.table(
        b.requantize(_x(b, (3, 5), DType.INT16), dtype=DType.INT8, shift=6, low=-40, high=41),
        g.integers(-99, 99, 90),
        offset=-44,
    ),
    "gather_committed": lambda b, r, g: b.gather(
        g.integers(-99, 99, (6, 3)),
        b.requantize(_x(b, (4,), low=0, high=127), dtype=DType.INT8, shift=4, low=0, high=5),
    ),
    "reduce_mean": lambda b, r, g: b.reduce_mean(_x(b, (3, 5)), axes=(1,)),
    "reduce_mean_even": lambda b, r, g: b.reduce_mean(_x(b, (3, 8)), axes=(1,)),
    "reduce_max": lambda b, r, g: b.reduce_max(_x(b, (3, 5)), axes=(1,)),
    "reduce_max_wide": lambda b, r, g: b.reduce_max(_x(b, (2, 3), DType.INT32, low=-(10**6), high=10**6), axes=(1,)),
    "max_pool2d": lambda b, r, g: b.max_pool2d(_x(b, (1, 2, 5, 5)), kernel=(3, 2), strides=(2, 2), pads=(1, 0, 1, 1)),
    "argmax": lambda b, r, g: b.argmax(_x(b, (3, 6), low=-1, high=1), axis=1),
    "softmax": lambda b, r, g: b.softmax(_x(b, (2, 3, 4), low=-9, high=9), _table(9), precision=10),
    "softmax_causal": lambda b, r, g: b.softmax(_x(b, (2, 3, 4), low=-9, high=9), _table(9), precision=10, causal=True),
    "layer_norm": lambda b, r, g: b.layer_norm(
        _x(b, (3, 6)),
        g.integers(50, 200, 6),
        g.integers(-999, 999, 6),
        epsilon=3,
        precision=12,
        shift_normal=4,
        shift_out=6,
        dtype=DType.INT8,
    ),
    "layer_norm_wide": lambda b, r, g: b.layer_norm(
        b.requantize(_x(b, (2, 6), DType.INT16), dtype=DType.INT16, shift=1),
        g.integers(50, 200, 6),
        g.integers(-999, 999, 6),
        epsilon=1,
        precision=20,
        shift_normal=12,
        shift_out=8,
        dtype=DType.INT16,
    ),
    "rms_norm": lambda b, r, g: b.layer_norm(
        _x(b, (3, 6)),
        g.integers(50, 200, 6),
        g.integers(-999, 999, 6),
        epsilon=3,
        precision=12,
        shift_normal=4,
        shift_out=6,
        dtype=DType.INT16,
        subtract_mean=False,
    ),
    "dense": lambda b, r, g: b.dense(_x(b, (3, 4)), g.integers(-9, 9, (5, 4)), g.integers(-99, 99, 5)),
    "conv2d": lambda b, r, g: b.requantize(
        b.conv2d(
            _x(b, (1, 4, 5, 4)),
            g.integers(-9, 9, (4, 2, 3, 2)),
            g.integers(-99, 99, 4),
            groups=2,
            strides=(2, 1),
            pads=(1, 0, 2, 1),
            dilations=(1, 2),
        ),
        dtype=DType.INT8,
        shift=4,
    ),
    "matmul": lambda b, r, g: b.matmul(
        b.requantize(_x(b, (2, 3, 4)), dtype=DType.INT8, shift=1),
        b.constant(g.integers(-9, 9, (2, 5, 4)), DType.INT8),
        transpose_right=True,
    ),
    "multiply": lambda b, r, g: b.multiply(_x(b, (3, 4)), b.constant(g.integers(-9, 9, (3, 1)), DType.INT8)),
    "sum_pool2d": lambda b, r, g: b.sum_pool2d(_x(b, (1, 2, 5, 5)), kernel=(3, 2), strides=(2, 2), pads=(1, 0, 1, 1)),
    "average_pool": lambda b, r, g: b.requantize(
        b.sum_pool2d(_x(b, (1, 2, 4, 4)), kernel=(2, 2), strides=(2, 2)), dtype=DType.INT8, shift=2
    ),
    "relu": lambda b, r, g: _activation(b, g, lambda x: np.maximum(x, 0)),
    "gelu": lambda b, r, g: _activation(b, g, lambda x: x / (1 + np.exp(-1.702 * x))),
    "tanh": lambda b, r, g: _activation(b, g, np.tanh),
    "sigmoid": lambda b, r, g: _activation(b, g, lambda x: 1 / (1 + np.exp(-x))),
    "embedding": lambda b, r, g: b.gather(g.integers(-99, 99, (6, 3)), _x(b, (4,), DType.INT32, low=0, high=5)),
    "attention": lambda b, r, g: _attention(b, g, causal=False),
    "attention_causal": lambda b, r, g: _attention(b, g, causal=True),
    "residual": lambda b, r, g: _residual(b, g),
    "subtract": lambda b, r, g: b.subtract(_x(b, (3, 4)), b.constant(g.integers(-9, 9, (3, 1)), DType.INT8)),
    "reduce_sum": lambda b, r, g: b.reduce_sum(_x(b, (3, 5)), axes=(1,)),
    "slice": lambda b, r, g: b.slice(_x(b, (3, 5)), axis=1, start=1, length=3),
    "moves": lambda b, r, g: b.concat(
        [b.transpose(b.reshape(_x(b, (3, 4)), (2, 6)), (1, 0)), b.constant(g.integers(-9, 9, (2, 2)), DType.INT8)],
        axis=0,
    ),
}


def case_of(kind: str, seed: int = 1, *, hide: bool = False) -> Case:
    """A case of one kind with random inputs that often sit at the ends."""
    model = _one(KINDS[kind], seed, hide=hide)
    generator = np.random.default_rng(seed + 1)
    inputs = []
    for declared in model.program.inputs:
        values = generator.integers(declared.low, declared.high + 1, declared.shape)
        ends = generator.choice([declared.low, declared.high], declared.shape)
        small = np.clip(values // 64, declared.low, declared.high)
        kind = generator.random(declared.shape)
        inputs.append(np.where(kind < 0.2, ends, np.where(kind < 0.6, small, values)))
    return make_case(model, inputs)
