"""From a bound program to its circuit: a pure function of the skeleton, the dimension's value and the shift vectors.

The values of constants are never needed, with one exception by design: the int8 shift vectors of `requantize` are
public, because they decide the coefficients of linear forms. They are given by value and held against the digests in
the skeleton. All other constants, tables included, are in the weight commitment W.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from math import prod

from lazai_core.api.errors import UnsupportedProgram
from lazai_core.api.program import BoundProgram, Op, Program

from . import algebra, ops_linear, ops_norm, ops_rounding, ops_select, ops_softmax
from .builder import TABLE_ROWS_MAX, Builder, Demand, limb_coefficients
from .builder_base import TENSOR_CELLS_MAX
from .layout import pieces_of
from .meter import GAS_OPERATION, Meter
from .nodes import Node, Public
from .relations import Circuit, PublicData, Sizes

Compile = Callable[[Builder, Op, int], Node]

OPERATIONS: Mapping[str, Compile] = {
    "dense": ops_linear.dense,
    "matmul": ops_linear.matmul,
    "conv2d": ops_linear.conv2d,
    "add": ops_linear.add,
    "subtract": ops_linear.subtract,
    "multiply": ops_linear.multiply,
    "sum_pool2d": ops_linear.sum_pool2d,
    "reduce_sum": ops_linear.reduce_sum,
    "reshape": ops_linear.reshape,
    "transpose": ops_linear.transpose,
    "concat": ops_linear.concat,
    "slice": ops_linear.slice_,
    "requantize": ops_rounding.requantize,
    "table": ops_rounding.table,
    "gather": ops_rounding.gather,
    "reduce_mean": ops_rounding.reduce_mean,
    "layer_norm": ops_norm.layer_norm,
    "softmax": ops_softmax.softmax,
    "max_pool2d": ops_select.max_pool2d,
    "reduce_max": ops_select.reduce_max,
    "argmax": ops_select.argmax,
}

IMAGE_KINDS = ("conv2d", "max_pool2d", "sum_pool2d")
ELEMENTWISE_KINDS = ("requantize", "add", "subtract", "multiply", "table")
RANGE_BITS = range(9, 17)
REACH_BITS = range(1, 18)
LOOKUP_COST, CELL_COST = 3, 1
CELL_WEIGHTS = (1, 4)
REACH_MAX = 1 << 17
CANDIDATES_MAX = 32


def public_constant_indices(program: Program) -> tuple[int, ...]:
    """Constants whose values are part of the verifying key: the shift vectors of `requantize`."""
    found = {
        op.operands[1] - program.first_constant
        for op in program.ops
        if op.kind == "requantize" and len(op.operands) == 2
    }
    return tuple(sorted(found))


def compile_circuit(
    bound: BoundProgram, public: PublicData, sizes: Sizes | None = None, meter: Meter | None = None
) -> Circuit:
    """The circuit. Raises `UnsupportedProgram` naming the operation and the reason.

    `sizes` are the table sizes, chosen once for a model (`choose_sizes`) and part of its verifying key; without them
    they are chosen here, which takes several compilations. `meter` counts what is made, and refuses beyond its limit.
    """
    check_public(bound.program, public)
    return _compile(bound, public, sizes or choose_sizes(bound, public), meter).finish()


def choose_sizes(bound: BoundProgram, public: PublicData) -> Sizes:
    """The table sizes that make the cheapest circuit at this value of the dimension."""
    check_public(bound.program, public)
    first = _compile(bound, public, Sizes())
    first.finish()
    demands = _gathered(first.demands)
    best, least = Sizes(), None
    for weight in CELL_WEIGHTS:
        clamps = tuple(_choose_clamp(width, entries, weight) for width, entries in demands.items())
        for range_bits in RANGE_BITS if least is None else (best.range_bits,):
            sizes = Sizes(range_bits=range_bits, clamps=clamps)
            try:
                found = cost(_compile(bound, public, sizes).finish())
            except UnsupportedProgram:
                continue
            if least is None or found < least:
                best, least = sizes, found
    return best


def _gathered(demands: Sequence[Demand]) -> Mapping[int, tuple[Demand, ...]]:
    """Demands by width, those of one excess counted together: (cells, how many a function reads)."""
    found: dict[int, dict[tuple[int, bool], tuple[int, int]]] = {}
    for demand in demands:
        key = (demand.beyond, demand.mergeable)
        cells, count = found.setdefault(demand.width, {}).get(key, (0, 0))
        found[demand.width][key] = (cells + demand.cells, count + 1)
    return {
        width: tuple(
            Demand(width=width, beyond=beyond, cells=cells, mergeable=mergeable, count=count)
            for (beyond, mergeable), (cells, count) in sorted(entries.items())
        )
        for width, entries in sorted(found.items())
    }


def _choose_clamp(width: int, demands: Sequence[Demand], weight: int) -> tuple[int, int, bool, bool]:
    """The cheapest (width, reach, whether a table, whether functions are merged) of the clamps of one width."""
    candidates = {(1 << bits) - 1 for bits in REACH_BITS}
    candidates |= {demand.beyond for demand in demands[:: 1 + len(demands) // CANDIDATES_MAX]}
    options = []
    for reach in sorted(candidates):
        for tabled, merged in ((True, True), (True, False), (False, False)):
            if (tabled and width + 1 + 2 * reach > TABLE_ROWS_MAX) or reach >= REACH_MAX:
                continue
            options.append((_clamp_cost(width, reach, tabled, merged, demands, weight), reach, tabled, merged))
    _, reach, tabled, merged = min(options)
    return width, reach, tabled, merged


def _clamp_cost(width: int, reach: int, tabled: bool, merged: bool, demands: Sequence[Demand], weight: int) -> int:
    each = weight * CELL_COST + LOOKUP_COST
    total, copies, shared = 0, 0, False
    for demand in demands:
        limbs = len(limb_coefficients(demand.beyond, reach))
        extra = 0 if tabled else 1 + 2 * ((width.bit_length() + 7) // 8)
        total += demand.cells * each * (limbs + extra)
        if demand.mergeable and not merged:
            total += LOOKUP_COST * demand.cells + demand.count * each * _rows_cells(width + 1)
        copies += demand.count if demand.mergeable and merged else 0
        shared = shared or limbs > 1 or not (demand.mergeable and merged)
    rows = width + 1 + 2 * reach if tabled else 2 * reach
    return total + (copies + shared) * each * _rows_cells(rows)


def _rows_cells(rows: int) -> int:
    return sum(1 << piece.bits for piece in pieces_of((rows,)))


def cost(circuit: Circuit) -> int:
    """What a circuit costs its prover, in rough units."""
    cells = 1 << circuit.activations.variables
    rows = sum(_rows_cells(table.rows) for table in circuit.tables)
    return CELL_COST * cells + LOOKUP_COST * (rows + sum(lookup.cells for lookup in circuit.lookups))


def check_public(program: Program, given: PublicData) -> None:
    """Hold the shift vectors against the program's digests and the bounds' form. Raises `UnsupportedProgram`."""
    wanted = public_constant_indices(program)
    if further := sorted(set(given.shifts) - set(wanted)):
        raise UnsupportedProgram(f"constant {further[0]} is no vector of shifts that a requantize reads")
    for index in wanted:
        declared = program.constants[index]
        values = given.shifts.get(index)
        if values is None or len(values) != declared.shape[0]:
            raise UnsupportedProgram(f"constant {index} (shifts) is public; {declared.shape[0]} values are needed")
        try:
            data = b"".join(value.to_bytes(1, "little", signed=True) for value in values)
        except OverflowError:
            raise UnsupportedProgram(f"constant {index} (shifts) must hold int8 values") from None
        if hashlib.sha256(data).digest() != declared.digest:
            raise UnsupportedProgram(f"constant {index} (shifts) differs from the digest in the program")
    for index, bounds in given.channel_bounds.items():
        known = 0 <= index < len(program.ops) and program.ops[index].kind in ("dense", "conv2d")
        count = program.constants[program.ops[index].operands[2] - program.first_constant].shape[0] if known else -1
        if len(bounds) != count or any(bound < 0 for bound in bounds):
            raise UnsupportedProgram(f"operation {index}: {len(bounds)} channel bounds do not fit it")


def _compile(bound: BoundProgram, public: PublicData, sizes: Sizes, meter: Meter | None = None) -> Builder:
    program = bound.program
    builder = Builder(bound, public, sizes, meter or Meter())
    for index, declared in enumerate(program.inputs):
        _check_size(builder, prod(bound.shapes[index]))
        builder.values[index] = Public(
            shape=bound.shapes[index], low=declared.low, high=declared.high, source="input", index=index
        )
    for index, op in enumerate(program.ops):
        builder.op = index
        builder.meter.charge(GAS_OPERATION)
        value = program.first_result + index
        _check_size(builder, prod(bound.shapes[value]))
        if op.kind in IMAGE_KINDS or (
            op.kind in ELEMENTWISE_KINDS and any(o in builder.images for o in op.operands) and len(op.shape) == 4
        ):
            builder.images.add(value)
        emit = OPERATIONS.get(op.kind)
        if emit is None:
            raise builder.refuse("there are no relations for this kind")
        builder.values[value] = emit(builder, op, value)
    _bind_outputs(builder)
    return builder


def _check_size(builder: Builder, cells: int) -> None:
    if cells > TENSOR_CELLS_MAX:
        raise builder.refuse(f"a tensor of {cells} cells is more than the {TENSOR_CELLS_MAX} that a verifier weighs")


def _bind_outputs(builder: Builder) -> None:
    """Every public output equals its value's form; outputs that are that form's leaf need nothing."""
    for index, output in enumerate(builder.program.outputs):
        node = builder.value(output.value)
        if isinstance(node, Public) and node.source == "output" and node.index == index:
            continue
        info = builder.program.values[output.value]
        builder.op = output.value - builder.program.first_result
        public = Public(shape=node.shape, low=info.low, high=info.high, source="output", index=index)
        builder.no_wrap(public.magnitude + node.magnitude, "the comparison with the output")
        builder.equality(f"output {index}", algebra.linear([(1, public), (-1, node)]))
