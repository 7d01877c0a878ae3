"""The state of one compilation: leaves, relations and tables of the circuit under construction, and refusals."""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.errors import UnsupportedProgram
from lazai_core.api.program import BoundProgram

from ..field import P
from . import algebra
from .checks import Demand, PendingCheck
from .layout import Group, Piece, bits_of, pieces_of
from .meter import GAS_COLUMN, GAS_EQUALITY, GAS_LOOKUP, GAS_TABLE, Meter
from .nodes import Committed, Constant, Node, Public, Shape
from .relations import Column, Equality, Fill, Lookup, PublicData, Sizes, Table

SMALL_BITS = 8
TABLE_ROWS_MAX = 1 << 18
PATHS_MAX = 24
DEPTH_MAX = 48
CELLS_MAX = 1 << 28
TENSOR_CELLS_MAX = 1 << 23
"""A verifier may have to weigh every cell of a tensor, at 40 bytes each: more than this is refused."""


class BuilderBase:
    """Collects a circuit. Every method that may refuse names the operation that is being compiled."""

    def __init__(self, bound: BoundProgram, public: PublicData, sizes: Sizes, meter: Meter) -> None:
        self.bound, self.sizes, self.public, self.meter = bound, sizes, public, meter
        self.public_constants, self.channel_bounds = public.shifts, public.channel_bounds
        self.program = bound.program
        self.op = -1
        self.columns: list[Column] = []
        self.lookups: list[Lookup] = []
        self.equalities: list[Equality] = []
        self.tables: list[Table] = []
        self.pending: list[PendingCheck] = []
        self.waiting: dict[int, list[PendingCheck]] = {}
        self.values: dict[int, Node] = {}
        self.images: set[int] = set()
        self.cells = 0
        self.demands: tuple[Demand, ...] = ()
        self._tables: dict[tuple[object, ...], int] = {}
        self._constants: dict[int, Constant] = {}
        self._outputs = {output.value: i for i, output in reversed(list(enumerate(self.program.outputs)))}

    # Refusals.

    def refuse(self, reason: str) -> UnsupportedProgram:
        """The error for the current operation."""
        kind = self.program.ops[self.op].kind if 0 <= self.op < len(self.program.ops) else "outputs"
        return UnsupportedProgram(
            f"operation {self.op} ({kind}) cannot be proven: {reason}",
            hint="compile the model with fewer bits or smaller shifts at this operation",
        )

    def no_wrap(self, bound: int, what: str) -> None:
        """Refuse an identity whose two sides may differ by p."""
        if bound >= P:
            raise self.refuse(f"{what} may reach {bound}, which wraps around mod {P}")

    # Leaves.

    def value(self, index: int) -> Node:
        """The form of program value `index`."""
        if self.program.first_constant <= index < self.program.first_result:
            return self.constant(index - self.program.first_constant)
        return self.values[index]

    def constant(self, index: int) -> Constant:
        """A constant in W."""
        if index not in self._constants:
            declared = self.program.constants[index]
            self._constants[index] = Constant(shape=declared.shape, low=declared.low, high=declared.high, index=index)
        return self._constants[index]

    def column(self, name: str, shape: Shape, low: int, high: int, fill: Fill, *, image: bool = False) -> Committed:
        """A new column of A. The caller adds the lookups that enforce the bounds."""
        self.meter.charge(GAS_COLUMN)
        pieces = pieces_of(shape, image=image)
        index = len(self.columns)
        self.columns.append(Column(index=index, op=self.op, name=name, shape=shape, pieces=pieces, fill=fill))
        self._spend(self.columns[-1].cells)
        return Committed(shape=shape, low=low, high=high, column=index)

    def _spend(self, cells: int) -> None:
        self.cells += cells
        if self.cells > CELLS_MAX:
            raise self.refuse(f"the circuit needs more than {CELLS_MAX} cells")

    def leaf(self, value: int, low: int, high: int, *, image: bool = False) -> Committed | Public:
        """A program value as a leaf: public where it is an output, else a column."""
        shape = self.bound.shapes[value]
        if value in self._outputs:
            return Public(shape=shape, low=low, high=high, source="output", index=self._outputs[value])
        return self.column("value", shape, low, high, Fill(kind="trace", numbers=(value,)), image=image)

    def bounded(self, node: Node, what: str) -> Node:
        """`node`, or a column equal to it, so that the work of one functional stays bounded."""
        if node.paths <= PATHS_MAX and node.depth <= DEPTH_MAX:
            return node
        return self.materialised(node, what)

    def materialised(self, node: Node, what: str) -> Node:
        """A column equal to `node`. No bound needs checking: the column is, mod p, the same number."""
        fill = Fill(kind="affine", arguments=(node,), numbers=(1, 0))
        column = self.column(what, node.shape, node.low, node.high, fill)
        self.equality(what, algebra.linear([(1, column), (-1, node)]))
        return column

    def linear_form(self, node: Node, what: str) -> Node:
        """`node` where no product is in it, else a column equal to it: operands of products must be linear."""
        return self.materialised(node, what) if node.bilinear else node

    def wait(self, check: PendingCheck) -> None:
        """Keep a check for the end, or for an operation that merges it into its own."""
        self.pending.append(check)
        self.waiting.setdefault(id(check.leaf), []).append(check)

    def waiting_for(self, leaf: Node) -> Sequence[PendingCheck]:
        """The checks of one leaf; each keeps its leaf, so that its identity names it."""
        return self.waiting.get(id(leaf), ())

    # Relations.

    def lookup(self, name: str, forms: Sequence[Node], table: int, *, image: bool = False) -> None:
        """Every tuple of `forms` is a row of `table`."""
        self.meter.charge(GAS_LOOKUP)
        shape = forms[0].shape
        assert all(form.shape == shape for form in forms), [form.shape for form in forms]
        pieces = pieces_of(shape, image=image)
        self.lookups.append(Lookup(op=self.op, name=name, shape=shape, forms=tuple(forms), table=table, pieces=pieces))
        self._spend(self.lookups[-1].cells)

    def equality(self, name: str, form: Node) -> None:
        """`form` is zero everywhere."""
        self.meter.charge(GAS_EQUALITY)
        self.equalities.append(Equality(op=self.op, name=name, form=form, piece=_whole(form.shape)))

    # Tables.

    def table(
        self, key: tuple[object, ...], name: str, columns: Sequence[Node], locate: str, numbers: tuple[int, ...]
    ) -> int:
        """The table of this key, made on first use."""
        if key not in self._tables:
            rows = columns[0].shape[0]
            if rows > TABLE_ROWS_MAX:
                raise self.refuse(f"a table of {rows} rows is needed, more than {TABLE_ROWS_MAX}")
            self.meter.charge(GAS_TABLE)
            identity = len(self.tables)
            count = Fill(kind="multiplicity", numbers=(identity,))
            op, self.op = self.op, -1
            multiplicity = self.column(f"multiplicity of {name}", (rows,), 0, P - 1, count).column
            self.op = op
            self._tables[key] = identity
            self.tables.append(
                Table(
                    identity=identity,
                    name=name,
                    rows=rows,
                    columns=tuple(columns),
                    multiplicity=multiplicity,
                    locate=locate,
                    numbers=numbers,
                )
            )
        return self._tables[key]

    def entries(self, constant: Node, first: int, count: int) -> Node:
        """Entries of a function table, which must have them: the ends of what reads it may come from the key."""
        if first < 0 or first + count > constant.shape[0]:
            raise self.refuse(f"entries {first} to {first + count - 1} of a table of {constant.shape[0]} are needed")
        return algebra.cut(constant, 0, first, count)

    def range_table(self, bits: int) -> int:
        """0 to 2^bits - 1."""
        columns = (algebra.arange(1 << bits),)
        return self.table(("range", bits), f"range {bits}", columns, "offset", (0,))

    def clamp_table(self, width: int, reach: int, constant: Node | None = None, first: int = 0) -> int:
        """Rows (u, e) of a clamp, with the function constant[first + u] where one is given."""
        u = [algebra.arange(width + 1), algebra.uniform((reach,), width), algebra.uniform((reach,), 0)]
        above = algebra.arange(reach, 1)
        e = [algebra.uniform((width + 1,), 0), above, algebra.linear([(-1, above)])]
        columns = [algebra.concat(u, 0), algebra.concat(e, 0)]
        key: tuple[object, ...] = ("clamp", width, reach)
        if constant is not None:
            entries = self.entries(constant, first, width + 1)
            ends = [algebra.broadcast(algebra.cut(entries, 0, k, 1), (reach,)) for k in (width, 0)]
            columns.append(algebra.concat([entries, *ends], 0))
            key = ("clamp", width, reach, constant, first)
        return self.table(key, f"clamp {width} reach {reach}", columns, "clamp", (width, reach))


def _whole(shape: Shape) -> Piece:
    """A tensor in one piece, each axis padded alone: for tests at a point, which cost nothing a cell."""
    return Piece(
        ranges=tuple((0, extent) for extent in shape),
        groups=tuple(Group(axes=(axis,), bits=bits_of(extent)) for axis, extent in enumerate(shape)),
    )
