"""Expressions as straight-line code over registers: for the kernels, for numpy, and for the verifier's elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from lazai_core.api.encoding import Writer

from .. import scalars as f
from ..field import Extension, P
from .expressions import ADD, MULTIPLY, SUBTRACT, Cell, Expression, Known, Number, Operation


@frozen(kw_only=True, eq=False)
class Tape:
    """Registers: the inputs (`cells`, then what is `known` of rows), the constants, then work registers.

    `code` int32[k, 4] holds (kind, result, left, right); `outputs` are registers. Work registers are used again.
    """

    cells: tuple[tuple[int, bool], ...]
    known: tuple[Known, ...]
    constants: tuple[int, ...]
    code: NDArray[np.int32] = field(repr=False)
    outputs: tuple[int, ...] = field(repr=False)
    registers: int

    @property
    def inputs(self) -> int:
        """Registers that are filled from the table."""
        return len(self.cells) + len(self.known)

    def write(self, writer: Writer) -> None:
        """Append canonical bytes."""
        writer.sequence(self.cells, lambda w, cell: w.u32(cell[0]).boolean(cell[1]))
        writer.sequence(
            self.known, lambda w, item: w.u32(item.row).sequence(item.values, lambda v, value: v.u32(value))
        )
        writer.sequence(self.constants, lambda w, value: w.u32(value))
        writer.bytes_(self.code.astype("<i4").tobytes())
        writer.sequence(self.outputs, lambda w, register: w.u32(register))

    def on_arrays(self, inputs: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """All outputs on canonical elements of F, in int64."""
        registers: list[Any] = [*inputs, *self.constants]
        registers += [None] * (self.registers - len(registers))
        for kind, result, left, right in self.code.tolist():
            a, b = registers[left], registers[right]
            registers[result] = (a + b if kind == ADD else a - b if kind == SUBTRACT else a * b) % P
        shape = np.shape(inputs[0]) if inputs else ()
        return [np.broadcast_to(np.asarray(registers[r], dtype=np.int64), shape) for r in self.outputs]

    def on_elements(self, inputs: Sequence[Extension]) -> list[Extension]:
        """All outputs on elements of K."""
        registers = [*inputs, *(f.lift(value) for value in self.constants)]
        registers += [f.ZERO] * (self.registers - len(registers))
        for kind, result, left, right in self.code.tolist():
            a, b = registers[left], registers[right]
            registers[result] = _ON_ELEMENTS[kind](a, b)
        return [registers[register] for register in self.outputs]


_ON_ELEMENTS = {ADD: f.add, SUBTRACT: f.subtract, MULTIPLY: f.multiply}


def compile_tape(expressions: Sequence[Expression], columns: int) -> Tape:
    """Code for all expressions; common nodes (the same object) are computed once."""
    order = _ordered(expressions)
    cells = sorted({(node.is_next, node.column) for node in order if isinstance(node, Cell)})
    assert all(column < columns for _, column in cells), "expressions belong to their table"
    known = {node.identity: node for node in reversed(order) if isinstance(node, Known)}
    known_places = {identity: len(cells) + index for index, identity in enumerate(sorted(known))}
    constants = sorted({node.value for node in order if isinstance(node, Number)})
    places: dict[int, int] = {}
    cell_places = {cell: index for index, cell in enumerate(cells)}
    first_constant = len(cells) + len(known)
    constant_places = {value: first_constant + index for index, value in enumerate(constants)}
    last_use: dict[int, int] = {}
    for index, node in enumerate(order):
        for child in (node.left, node.right) if isinstance(node, Operation) else ():
            last_use[id(child)] = index
    for node in expressions:
        last_use[id(node)] = len(order)
    free: list[int] = []
    count = first_constant + len(constants)
    code: list[tuple[int, int, int, int]] = []
    for index, node in enumerate(order):
        if isinstance(node, Cell):
            places[id(node)] = cell_places[node.is_next, node.column]
        elif isinstance(node, Known):
            places[id(node)] = known_places[node.identity]
        elif isinstance(node, Number):
            places[id(node)] = constant_places[node.value]
        else:
            assert isinstance(node, Operation), type(node).__name__
            left, right = places[id(node.left)], places[id(node.right)]
            for child in {id(node.left): node.left, id(node.right): node.right}.values():
                if isinstance(child, Operation) and last_use[id(child)] == index:
                    free.append(places[id(child)])
            if free:
                place = free.pop()
            else:
                place, count = count, count + 1
            places[id(node)] = place
            code.append((node.kind, place, left, right))
    return Tape(
        cells=tuple((column, is_next) for is_next, column in cells),
        known=tuple(known[identity] for identity in sorted(known)),
        constants=tuple(constants),
        code=np.array(code, dtype=np.int32).reshape(-1, 4),
        outputs=tuple(places[id(node)] for node in expressions),
        registers=count,
    )


def _ordered(expressions: Sequence[Expression]) -> list[Expression]:
    """Every node once, operands before what uses them; without recursion, for long chains."""
    done: set[int] = set()
    order: list[Expression] = []
    for expression in expressions:
        stack: list[tuple[Expression, bool]] = [(expression, False)]
        while stack:
            node, expanded = stack.pop()
            if id(node) in done:
                continue
            if expanded or not isinstance(node, Operation):
                done.add(id(node))
                order.append(node)
            else:
                stack += [(node, True), (node.right, False), (node.left, False)]
    return order


__all__ = ["Tape", "compile_tape"]
