"""Forms of values: a small algebra of linear maps, and products of linear forms.

A node stands for an integer tensor of known shape. Leaves are public tensors (the job's input and output), constants of
the program (committed once a model, commitment W), columns (committed once a proof, commitment A) and tensors known by
formula. Inner nodes are linear maps, except `Product`, which is bilinear in two linear forms. Nothing but leaves is
ever committed.

`low` and `high` bound every element *as an integer* in any accepted proof, provided that the leaves keep their bounds.
Nodes are compared by identity.
"""

from __future__ import annotations

from math import prod

from attrs import field, frozen

Shape = tuple[int, ...]
Polynomial = tuple[int, ...]
"""Integer coefficients of a polynomial in the challenge chi, lowest power first; `(c,)` is the integer c."""


@frozen(kw_only=True, eq=False)
class Node:
    """A tensor of integers. `paths` bounds the number of leaves that a functional reaches, `depth` the maps between."""

    shape: Shape
    low: int
    high: int
    paths: int = 1
    depth: int = 0
    bilinear: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def magnitude(self) -> int:
        """Bound of the absolute value."""
        return max(abs(self.low), abs(self.high))


@frozen(kw_only=True, eq=False)
class Public(Node):
    """Tensor `index` of the job's input or output, shifted right by `shift` (floor). The verifier holds it."""

    source: str
    index: int
    shift: int = 0


@frozen(kw_only=True, eq=False)
class Constant(Node):
    """Constant `index` of the program."""

    index: int


@frozen(kw_only=True, eq=False)
class Committed(Node):
    """Column `column` of the activation commitment."""

    column: int


@frozen(kw_only=True, eq=False)
class Arange(Node):
    """start, start + 1, ... along the only axis."""

    start: int


@frozen(kw_only=True, eq=False)
class Sum(Node):
    """constant + sum of coefficient * part, element by element; all parts have the node's shape."""

    parts: tuple[tuple[Polynomial, Node], ...]
    constant: Polynomial = (0,)


@frozen(kw_only=True, eq=False)
class Reshape(Node):
    """The same elements in order."""

    source: Node


@frozen(kw_only=True, eq=False)
class Transpose(Node):
    """Axes in another order: axis i is the source's axis permutation[i]."""

    source: Node
    permutation: tuple[int, ...]


@frozen(kw_only=True, eq=False)
class Slice(Node):
    """Entries start, start + step, ... of one axis."""

    source: Node
    axis: int
    start: int
    step: int = 1


@frozen(kw_only=True, eq=False)
class Concat(Node):
    """Parts one after the other."""

    parts: tuple[Node, ...]
    axis: int


@frozen(kw_only=True, eq=False)
class Broadcast(Node):
    """Axes of extent 1 repeated; same rank."""

    source: Node


@frozen(kw_only=True, eq=False)
class Contract(Node):
    """Sum along one axis, which goes away, with integer weights (None: all one)."""

    source: Node
    axis: int
    weights: tuple[int, ...] | None


@frozen(kw_only=True, eq=False)
class Scale(Node):
    """Elements times public integers along one axis."""

    source: Node
    axis: int
    weights: tuple[int, ...]


@frozen(kw_only=True, eq=False)
class Window(Node):
    """Axis `axis` becomes two: window position i and output h, element h * stride + i * dilation - pad (0 outside)."""

    source: Node
    axis: int
    stride: int
    dilation: int
    pad: int


@frozen(kw_only=True, eq=False)
class Inside(Node):
    """1 where the element that `Window` reads along one axis exists, else 0; shape `[kernel, out]`."""

    extent: int
    stride: int
    dilation: int
    pad: int


@frozen(kw_only=True, eq=False)
class Causal(Node):
    """Elements of the last two axes [q, j] kept where j <= q + (K - Q), zero elsewhere."""

    source: Node


@frozen(kw_only=True, eq=False)
class Rows(Node):
    """Rows of `source` along its first axis by public indices."""

    source: Node
    indices: Node


@frozen(kw_only=True, eq=False)
class Powers(Node):
    """Sum along one axis with weights 1, chi, chi^2, ...: a polynomial evaluated at the challenge."""

    source: Node
    axis: int


@frozen(kw_only=True, eq=False)
class Product(Node):
    """An einsum of two linear forms; one letter an axis, no letter twice in an operand, every letter of `out` in one.

    Letters that are missing in `out` are summed.
    """

    left: Node
    right: Node
    left_letters: str
    right_letters: str
    out_letters: str
    bilinear: bool = field(default=True)

    @property
    def extents(self) -> dict[str, int]:
        """Extent of every letter."""
        found = dict(zip(self.left_letters, self.left.shape, strict=True))
        found.update(zip(self.right_letters, self.right.shape, strict=True))
        return found

    @property
    def bound(self) -> str:
        """The letters both operands have: the variables of the sumcheck, in the left operand's order."""
        return "".join(letter for letter in self.left_letters if letter in self.right_letters)
