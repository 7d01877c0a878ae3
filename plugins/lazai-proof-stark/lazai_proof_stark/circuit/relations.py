"""What a circuit consists of: columns, tables, lookups and equalities of forms.

Lookups: on every true cell of a region (padding does not count: the numerator of a padding cell is zero) the tuple of
forms is a row of the table. Equalities: a form is zero on every true cell. Both are statements mod p; the compiler has
shown for each that it therefore holds over the integers. Products need no relation of their own: they are forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from attrs import field, frozen, validators

from lazai_core.api.program import BoundProgram

from .layout import Layout, Piece
from .nodes import Constant, Node, Shape

WIDTH_MAX = 1 << 13
RANGE_BITS_MIN = 8
"""The large range table is no smaller than the small one: conditions against wrap-around count with its bits."""
TUPLE_MAX = 4
"""Most forms in a lookup; a fingerprint gives the table's identity the power after them."""


@frozen(kw_only=True)
class PublicData:
    """What of a model's constants is public besides the skeleton; part of the verifying key, bound like W.

    `shifts`: the int8 vectors of `requantize`, by constant index (checked against the skeleton's digests).
    `channel_bounds`: for a dense or conv2d, by operation index, a bound of |result| for each output channel. Circuits
    are smaller with them; whoever makes the key computes them from the weights (`keys.public_data`).
    """

    shifts: Mapping[int, tuple[int, ...]] = field(factory=dict)
    channel_bounds: Mapping[int, tuple[int, ...]] = field(factory=dict)


@frozen(kw_only=True)
class Sizes:
    """Free choices of the compiler: bits of the large range table; for each width of clamps the largest excess of a
    limb, whether its interval is a table (False: limbs), and whether function tables are merged into it.
    """

    range_bits: int = field(default=12, validator=validators.ge(RANGE_BITS_MIN))
    clamps: tuple[tuple[int, int, bool, bool], ...] = ()

    def clamp(self, width: int) -> tuple[int, bool, bool]:
        """(reach, whether a table, whether functions are merged into it) of a width."""
        for known, reach, tabled, merged in self.clamps:
            if known == width:
                return reach, tabled, merged
        return 255, width <= WIDTH_MAX, True


@frozen(kw_only=True, eq=False)
class Fill:
    """How the prover computes a column: a small expression over forms' values. The verifier never looks at it."""

    kind: str
    arguments: tuple[Node | Fill, ...] = ()
    numbers: tuple[int, ...] = ()


@frozen(kw_only=True, eq=False)
class Column:
    """A tensor of the activation commitment A, or a public tensor's stand-in in tests. `op` is -1 for tables."""

    index: int
    op: int
    name: str
    shape: Shape
    pieces: tuple[Piece, ...] = field(repr=False)
    fill: Fill = field(repr=False)

    @property
    def cells(self) -> int:
        """Padded cells."""
        return sum(1 << piece.bits for piece in self.pieces)


@frozen(kw_only=True, eq=False)
class Table:
    """`columns` are forms of shape `[rows]`, without columns of A in them. `locate` and `numbers` say how a prover
    finds a tuple's row; `multiplicity` is the column that counts. `identity` is the last element of the tuples.
    """

    identity: int
    name: str
    rows: int
    columns: tuple[Node, ...]
    multiplicity: int
    locate: str
    numbers: tuple[int, ...]


@frozen(kw_only=True, eq=False)
class Lookup:
    """On every cell of the region `shape`, the tuple of `forms` is a row of table `table`."""

    op: int
    name: str
    shape: Shape
    forms: tuple[Node, ...]
    table: int
    pieces: tuple[Piece, ...] = field(repr=False)

    @property
    def cells(self) -> int:
        """Padded cells."""
        return sum(1 << piece.bits for piece in self.pieces)


@frozen(kw_only=True, eq=False)
class Equality:
    """`form` is zero on every cell; with chi in it, it is zero as a polynomial in chi."""

    op: int
    name: str
    form: Node
    piece: Piece = field(repr=False)


@frozen(kw_only=True, eq=False)
class Circuit:
    """Everything that prover and verifier derive from the program; nothing of it comes from a proof."""

    bound: BoundProgram
    columns: tuple[Column, ...]
    tables: tuple[Table, ...]
    lookups: tuple[Lookup, ...]
    equalities: tuple[Equality, ...]
    constants: tuple[int, ...]
    bindings: tuple[tuple[Node, int], ...] = field(repr=False)
    activations: Layout = field(repr=False)
    weights: Layout = field(repr=False)
    public: PublicData = field(repr=False)
    sizes: Sizes

    @property
    def total_lookups(self) -> int:
        """True cells of all lookups; below p, so that no multiplicity wraps."""
        return sum(prod(lookup.shape) for lookup in self.lookups)


__all__ = ["Circuit", "Column", "Constant", "Equality", "Fill", "Lookup", "Table"]
