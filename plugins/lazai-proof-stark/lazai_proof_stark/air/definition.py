"""What a computation is: columns, constraints between neighbouring rows, public cells, buses (sums of fractions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from lazai_core.api.encoding import Writer, domain_hash
from lazai_core.api.errors import InvalidProgram

from ..field import P
from .expressions import Cell, Expression, Known, Operand, as_expression
from .tape import Tape, compile_tape

DEGREE_MAX = 8
LOG_ROWS_MIN, LOG_ROWS_MAX = 4, 22
COLUMNS_MAX = 1 << 12
CONSTRAINTS_MAX, PUBLICS_MAX = 1 << 16, 1 << 16
TUPLE_MAX = 16


@frozen(kw_only=True)
class Constraint:
    """`expression` is zero in every row; with `is_transition`, in every row but the last."""

    name: str
    expression: Expression
    is_transition: bool

    @property
    def degree(self) -> int:
        """Degree with the factor that leaves out the last row."""
        return self.expression.degree + self.is_transition


@frozen(kw_only=True)
class BusEntry:
    """Adds `count` / (beta - fingerprint of `values`) in every row; all entries of a computation add up to zero."""

    bus: int
    count: Expression
    values: tuple[Expression, ...]


@frozen(kw_only=True)
class PublicCell:
    """A cell whose value the statement holds. `row` is from 0."""

    column: int
    row: int


class Air:
    """An algebraic description of a computation of 2^log_rows rows. Every mistake raises InvalidProgram at once."""

    def __init__(self, name: str, columns: Sequence[str], log_rows: int) -> None:
        if not LOG_ROWS_MIN <= log_rows <= LOG_ROWS_MAX:
            raise InvalidProgram(f"{name}: log_rows must be from {LOG_ROWS_MIN} to {LOG_ROWS_MAX}, got {log_rows}")
        if not 1 <= len(columns) <= COLUMNS_MAX or len(set(columns)) != len(columns):
            raise InvalidProgram(f"{name}: 1 to {COLUMNS_MAX} columns with different names are needed")
        self.name, self.columns, self.log_rows = name, tuple(columns), log_rows
        self.constraints: list[Constraint] = []
        self.entries: list[BusEntry] = []
        self.publics: list[PublicCell] = []
        self._buses: dict[str, int] = {}
        self._tapes: dict[tuple[int, ...], tuple[Tape, Tape, bytes]] = {}
        self._row: dict[str, Expression] = {c: Cell(1, i, False) for i, c in enumerate(self.columns)}
        self._following: dict[str, Expression] = {c: Cell(1, i, True) for i, c in enumerate(self.columns)}
        self.not_last: Expression = 1 - self.at(-1)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return 1 << self.log_rows

    @property
    def row(self) -> Mapping[str, Expression]:
        """Cells of a row by column, fixed ones included."""
        return self._row

    @property
    def following(self) -> Mapping[str, Expression]:
        """Cells of the next row; the first row follows the last."""
        return self._following

    def fixed(self, name: str, values: Sequence[int]) -> Expression:
        """A column that both sides know and the prover does not commit to: `values` again and again.

        Their number is a power of two, at most that of the rows. The verifier's work grows with it.
        """
        count = len(values)
        if name in self._row or not 1 <= count <= self.rows or count & (count - 1):
            raise InvalidProgram(
                f"{self.name}: the fixed column {name!r} needs a name of its own and a power of two of values, "
                f"at most {self.rows}, got {count}"
            )
        reduced = tuple(int(value) % P for value in values)
        self._row[name] = Known(1, 0, reduced)
        self._following[name] = Known(1, 0, (*reduced[1:], reduced[0]))
        return self._row[name]

    def at(self, row: int) -> Expression:
        """1 in one row, 0 in the others; -1 is the last."""
        return Known(1, self._place(row))

    def every(self, period: int, offset: int = 0) -> Expression:
        """1 in rows offset, offset + period, ... and 0 in the others; the period is a power of two."""
        if not 1 <= period <= self.rows or period & (period - 1) or not 0 <= offset < period:
            raise InvalidProgram(f"{self.name}: no period {period} with offset {offset} fits {self.rows} rows")
        return Known(1, 0, tuple(int(place == offset) for place in range(period)))

    def _place(self, row: int) -> int:
        if not -self.rows <= row < self.rows:
            raise InvalidProgram(f"{self.name}: there is no row {row}")
        return row % self.rows

    def always(self, name: str, expression: Expression) -> None:
        """`expression` is zero in every row; the row after the last one is the first."""
        self._add(Constraint(name=name, expression=expression, is_transition=False))

    def transition(self, name: str, expression: Expression) -> None:
        """`expression` is zero in every row that has a next one."""
        self._add(Constraint(name=name, expression=expression, is_transition=True))

    def boundary(self, name: str, row: int, expression: Operand) -> None:
        """`expression` is zero in one row; -1 is the last. Values of the statement are `public` instead."""
        self.always(name, self.at(row) * as_expression(expression))

    def _add(self, constraint: Constraint) -> None:
        if len(self.constraints) >= CONSTRAINTS_MAX:
            raise InvalidProgram(f"{self.name}: at most {CONSTRAINTS_MAX} constraints are possible")
        if not 1 <= constraint.degree <= DEGREE_MAX:
            where = f"{self.name}, {constraint.name}"
            raise InvalidProgram(f"{where}: degree {constraint.degree} is not in 1 to {DEGREE_MAX}")
        self.constraints.append(constraint)

    def public(self, column: str, row: int) -> None:
        """The cell's value is part of the statement; -1 is the last row."""
        if column not in self.columns or not -self.rows <= row < self.rows or len(self.publics) >= PUBLICS_MAX:
            raise InvalidProgram(
                f"{self.name}: there is no cell {row} in a committed column {column!r}, or there are {PUBLICS_MAX} "
                "public cells"
            )
        self.publics.append(PublicCell(column=self.columns.index(column), row=self._place(row)))

    def lookup(
        self,
        name: str,
        values: Sequence[Operand],
        table: Sequence[Operand],
        multiplicity: Expression,
        where: Operand = 1,
    ) -> None:
        """In every row where `where` is 1 (it must be 0 or 1), `values` is a row of `table`.

        `multiplicity` is a column of the prover's choice: how often the table's row is looked up.
        """
        self.send(name, values, where)
        self.send(name, table, -multiplicity)

    def permutation(self, name: str, left: Sequence[Operand], right: Sequence[Operand]) -> None:
        """The rows of `left` are those of `right` in another order."""
        self.send(name, left, 1)
        self.send(name, right, -1)

    def send(self, bus: str, values: Sequence[Operand], count: Operand) -> None:
        """The general form: for each tuple, the counts of all entries of a bus add up to zero (mod p)."""
        tuple_ = tuple(as_expression(value) for value in values)
        entry = BusEntry(bus=self._buses.setdefault(bus, len(self._buses)), count=as_expression(count), values=tuple_)
        if not 1 <= len(tuple_) <= TUPLE_MAX or any(_reach(e) for e in (*tuple_, entry.count)):
            raise InvalidProgram(
                f"{self.name}, {bus}: 1 to {TUPLE_MAX} expressions of degree 1 over one row are needed; "
                "put others into a column of their own"
            )
        # Shorter tuples would have the fingerprints of longer ones that end in zeros.
        if any(other.bus == entry.bus and len(other.values) != len(tuple_) for other in self.entries):
            raise InvalidProgram(f"{self.name}, {bus}: all tuples of a bus have the same length")
        self.entries.append(entry)
        if len(self.entries) * self.rows >= P:
            raise InvalidProgram(f"{self.name}: more than p entries on the buses")

    @property
    def degree(self) -> int:
        """Largest degree of a constraint, at least 2."""
        return max((constraint.degree for constraint in self.constraints), default=2)

    def tape(self) -> Tape:
        """All constraints as straight-line code."""
        return self._compiled()[0]

    def bus_tape(self) -> Tape:
        """All bus entries as straight-line code: for each the count, then its values."""
        return self._compiled()[1]

    def digest(self) -> bytes:
        """Identity of the computation: everything both sides derive the checks from."""
        return self._compiled()[2]

    def _compiled(self) -> tuple[Tape, Tape, bytes]:
        """Both tapes and the digest, made again only after something was added."""
        state = (len(self.constraints), len(self.entries), len(self.publics))
        if state not in self._tapes:
            self._tapes = {state: self._compile()}
        return self._tapes[state]

    def _compile(self) -> tuple[Tape, Tape, bytes]:
        outputs = [c.expression * self.not_last if c.is_transition else c.expression for c in self.constraints]
        tape = compile_tape(outputs, len(self.columns))
        writer = Writer().text(self.name).u32(self.log_rows).u32(len(self.columns))
        tape.write(writer)
        expressions: list[Expression] = []
        for entry in self.entries:
            writer.u32(entry.bus).u32(len(entry.values))
            expressions += [entry.count, *entry.values]
        bus_tape = compile_tape(expressions, len(self.columns))
        bus_tape.write(writer)
        writer.sequence(self.publics, lambda w, cell: w.u32(cell.column).u32(cell.row))
        return tape, bus_tape, domain_hash("lazai/stark/air/v1", writer.finish())


def _reach(expression: Expression) -> bool:
    """Whether it is of a higher degree than one, or reads the next row."""
    stack = [expression]
    while stack:
        node = stack.pop()
        if node.degree > 1 or (isinstance(node, Cell) and node.is_next):
            return True
        stack += [child for child in (getattr(node, "left", None), getattr(node, "right", None)) if child is not None]
    return False
