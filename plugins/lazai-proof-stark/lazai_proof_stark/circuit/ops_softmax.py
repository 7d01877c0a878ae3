"""softmax: the row's maximum, exponentials from a table, one division a row, one rounding an element.

Per element z = M - x is a form; (z, e, b) is a row of the table (z, T[min(z, L - 1)], [z = 0]): M >= every visible x,
and sum of visible b >= 1 makes M one of them: M is the maximum. Hidden cells of a causal mask take the row (-1, 0, 0):
the tuple carries the public visibility as a fourth entry, so that a visible cell cannot. There e = 0, hence y = 0.
Per row E = sum of e; v E + rho = 2^29 with 0 <= rho < E pins v = floor(2^29 / E). These numbers are digits of base 256,
the identity is shown by carries; digits of E are bounded below p, so that they are E itself.
Per element e v + 2^(28-P) = 2^(29-P) y + rem. e v <= E v <= 2^29 by the division, which excludes wrap-around.
T's order and T[0] >= 1 are properties of the committed constant that making the verifying key checks.
"""

from __future__ import annotations

from lazai_core.api.program import Op

from . import algebra
from .builder import SMALL_BITS, Builder
from .layout import bits_of
from .nodes import Node
from .ops_linear import LETTERS
from .ops_norm import coefficients, number, row_digits
from .ops_rounding import shifted
from .relations import Fill

TOTAL = 1 << 29


def softmax(builder: Builder, op: Op, value: int) -> Node:
    """The whole operation."""
    x = builder.linear_form(builder.bounded(builder.value(op.operands[0]), "operand"), "operand")
    table = builder.value(op.operands[1])
    hidden, precision = bool(op.integer("causal")), op.integer("precision")
    shape, last = x.shape, len(x.shape) - 1
    weights, total = _exponentials(builder, x, table, hidden)
    inverse = _inverse(builder, total, shape[-1] * table.high)
    letters = LETTERS[: last + 1]
    product = algebra.product(weights, inverse, f"{letters},{letters[:-1]}->{letters}", low=0, high=TOTAL)
    return shifted(builder, product, (29 - precision,), 0, (0, 1 << precision), value)


def _exponentials(builder: Builder, x: Node, table: Node, hidden: bool) -> tuple[Node, Node]:
    """The columns e, and their row sums."""
    shape, last = x.shape, len(x.shape) - 1
    largest = Fill(kind="masked_max", arguments=(x,), numbers=(int(hidden),))
    peak = builder.column("maximum", shape[:-1], x.low, x.high, largest)
    distance = algebra.linear([(1, algebra.broadcast(algebra.reshape(peak, (*shape[:-1], 1)), shape)), (-1, x)])
    distance = algebra.bounds(distance, 0, x.high - x.low)
    forms = []
    if hidden:
        visible = algebra.causal(algebra.uniform(shape, 1))
        distance = algebra.linear([(1, algebra.causal(algebra.linear([(1, distance)], 1)))], -1)
        forms.append(visible)
    look_up = Fill(kind="look_up", arguments=(distance, table))
    weights = builder.column("exponential", shape, 0, table.high, look_up)
    flags = builder.column("is maximum", shape, 0, 1, Fill(kind="is_zero", arguments=(distance,)))
    index = _table(builder, table, x.high - x.low, hidden)
    builder.lookup("exponential", [distance, weights, flags, *forms], index)
    found = algebra.linear([(1, algebra.contract(flags, last))], -1)
    builder.check_range("a maximum exists", found, bits_of(shape[-1]) or 1)
    total = algebra.contract(weights, last)
    return weights, algebra.bounds(total, 0, min(TOTAL - 1, total.high))


def _table(builder: Builder, constant: Node, spread: int, hidden: bool) -> int:
    """Rows (z, T[min(z, L - 1)], [z = 0]) for z up to `spread`, before them (-1, 0, 0) where cells may be hidden."""
    key = ("exponential", constant, spread, hidden)
    count = min(constant.shape[0], spread + 1)
    values: list[Node] = [algebra.cut(constant, 0, 0, count)]
    if spread + 1 > count:
        values.append(algebra.broadcast(algebra.cut(constant, 0, count - 1, 1), (spread + 1 - count,)))
    flags: list[Node] = [algebra.uniform((1,), 1)]
    if spread:
        flags.append(algebra.uniform((spread,), 0))
    if not hidden:
        plain = [algebra.arange(spread + 1), algebra.concat(values, 0), algebra.concat(flags, 0)]
        return builder.table(key, f"exponential {spread}", plain, "offset", (0,))
    zero = algebra.uniform((1,), 0)
    columns = [
        algebra.arange(spread + 2, -1),
        algebra.concat([zero, *values], 0),
        algebra.concat([zero, *flags], 0),
        algebra.concat([zero, algebra.uniform((spread + 1,), 1)], 0),
    ]
    return builder.table(key, f"exponential {spread} causal", columns, "offset", (-1,))


def _inverse(builder: Builder, total: Node, most: int) -> Node:
    """floor(2^29 / E) as a form."""
    shape, last = total.shape, len(total.shape)
    bits = bits_of(min(most, TOTAL - 1) + 1)
    count = -(-bits // SMALL_BITS)
    exact = Fill(kind="affine", arguments=(total,), numbers=(1, 0))
    quotient = Fill(kind="quotient", arguments=(exact,), numbers=(TOTAL,))
    remainder = Fill(kind="remainder", arguments=(exact,), numbers=(TOTAL,))
    v, e, rho = builder.limbs("division", shape, (quotient, 4), (exact, count), (remainder, count))
    weights = [256**i for i in range(4)]
    joined = algebra.contract(e, last, weights[:count])
    top = algebra.take(e, last, count - 1)
    # The top digit keeps E's digits below 2^bits, so that they cannot stand for E + p.
    if bits % SMALL_BITS:
        builder.check_exact("top digit", top, bits % SMALL_BITS)
    builder.no_wrap((1 << bits) + total.magnitude, "the digits of the row sum")
    builder.equality("row sum", algebra.linear([(1, total), (-1, joined)]))
    chi = [algebra.at_challenge(node, last) for node in (v, e, rho)]
    letters = LETTERS[:last]
    width = max(4 + count - 1, 4)
    target = tuple(-digit for digit in number(TOTAL))
    convolved = Fill(kind="convolve", arguments=(v, e), numbers=(width,))
    builder.vanishes_at_256(
        "division",
        algebra.linear([(1, algebra.product(chi[0], chi[1], f"{letters},{letters}->{letters}")), (1, chi[2])], target),
        coefficients(width, (1, convolved), (1, rho), (1, row_digits(target, v))),
        width,
        4 * 255**2 + 510,
    )
    # The division over the integers bounds its remainder, whatever its digits could hold.
    left = algebra.bounds(algebra.contract(rho, last, weights[:count]), 0, TOTAL)
    below = algebra.linear([(1, total), (-1, left)], -1)
    builder.no_wrap(below.magnitude + (2 << max(bits, builder.sizes.range_bits)), "the remainder of the row's division")
    builder.check_range("remainder below the sum", below, bits)
    return algebra.bounds(algebra.contract(v, last, weights), 0, TOTAL)
