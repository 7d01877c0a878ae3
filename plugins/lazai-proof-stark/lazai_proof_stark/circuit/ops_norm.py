"""layer_norm: mean, variance, the bracket of the inverse root, and two roundings.

Per row: m by division as in `reduce_mean`; V = sum of (x - m)^2 + epsilon; r with r^2 V <= N < (r + 1)^2 V, N = D 4^k.
These numbers leave the field (V < 2^62), so they are digits of base 256, looked up in [0, 256), and the identities

    sum of d(X)^2 + epsilon(X) = V(X),   r(X) V(X) = w(X),   r(X) w(X) + s(X) = N(X),   2 w(X) + V(X) = s(X) + 1 + u(X)

hold for X = 256 over the integers, each by carries (`Builder.vanishes_at_256`): s >= 0 and u >= 0 are the two sides of
the bracket, since u = (r + 1)^2 V - 1 - N. So V, w, r, s and u are pinned to one value each. d(X) = d0 + d1 X with
x = x0 + 256 x1 and m = m0 + 256 m1 where x is wide, else d(X) = d. The coefficients are bounded statically: at most
D times twice a squared digit plus small terms, which `vanishes_at_256` holds against p together with the carries.

Per element: d r + 2^(p-1) = 2^p t + rem (|d r| <= isqrt(N) < 2^30 because d^2 <= V), then t gain + bias rounded and
clamped as a `requantize`.
"""

from __future__ import annotations

from math import isqrt

from lazai_core.api.program import Op
from lazai_core.api.program_rules.base import round_shift

from . import algebra
from .builder import Builder
from .nodes import Node, Polynomial, Public
from .ops_linear import LETTERS
from .ops_rounding import divided, shifted
from .relations import Fill

NARROW_SQUARES_MAX = 1 << 27


def layer_norm(builder: Builder, op: Op, value: int) -> Node:
    """The whole operation."""
    x = builder.linear_form(builder.bounded(builder.value(op.operands[0]), "operand"), "operand")
    gain, bias = builder.value(op.operands[1]), builder.value(op.operands[2])
    extent = x.shape[-1]
    spread = x.high - x.low if op.integer("subtract_mean") else x.magnitude
    digits = 1 if extent * spread * spread < NARROW_SQUARES_MAX else 2
    parts = _split(builder, x) if digits == 2 else [x]
    means = _mean(builder, x, digits) if op.integer("subtract_mean") else None
    differences = [
        part if means is None else algebra.linear([(1, part), (-1, _per_row(means[i], x))])
        for i, part in enumerate(parts)
    ]
    difference = x if means is None else algebra.linear([(1, x), (-1, _per_row(_joined(means), x))])
    bound = extent * spread * spread + op.integer("epsilon")
    limit = extent << (2 * op.integer("precision"))
    root = _inverse_root(builder, differences, op.integer("epsilon"), bound, limit)
    reach = isqrt(limit)
    letters = LETTERS[: len(x.shape)]
    scaled = algebra.product(difference, root, f"{letters},{letters[:-1]}->{letters}", low=-reach, high=reach)
    normal, precision = round_shift(reach, op.integer("shift_normal")), op.integer("shift_normal")
    t = shifted(builder, scaled, (precision,), 0, (-normal - 1, normal), None)
    t = builder.linear_form(t, "normal")
    weighted = algebra.product(t, gain, f"{letters},{letters[-1]}->{letters}")
    total = algebra.linear([(1, weighted), (1, algebra.along(bias, x.shape, len(x.shape) - 1))])
    return shifted(builder, total, (op.integer("shift_out"),), 0, (op.integer("low"), op.integer("high")), value)


def _per_row(node: Node, x: Node) -> Node:
    return algebra.broadcast(algebra.reshape(node, (*node.shape, 1)), x.shape)


def _joined(parts: list[Node]) -> Node:
    return algebra.linear([(256**i, part) for i, part in enumerate(parts)])


def _split(builder: Builder, x: Node) -> list[Node]:
    """X = x0 + 256 x1 with x0 in [0, 256); public where x is."""
    if isinstance(x, Public):
        upper: Node = Public(
            shape=x.shape, low=x.low >> 8, high=x.high >> 8, source=x.source, index=x.index, shift=x.shift + 8
        )
        return [_digit(x, upper), upper]
    low, high = x.low >> 8, x.high >> 8
    fill = Fill(kind="floor", arguments=(x,), numbers=(8,))
    upper = builder.column("upper digit", x.shape, low, high, fill)
    reach = builder.check_signed("upper digit", upper, low, high)
    builder.lookup("lower digit", [_digit(x, upper)], builder.range_table(8))
    builder.no_wrap(256 * reach + 256 + x.magnitude, "the digits of x")
    builder.forgo(x, 256 * reach + 256)
    return [_digit(x, upper), upper]


def _digit(x: Node, upper: Node) -> Node:
    form = algebra.linear([(1, x), (-256, upper)])
    return algebra.bounds(form, 0, 255)


def _mean(builder: Builder, x: Node, digits: int) -> list[Node]:
    extent, shape = x.shape[-1], x.shape[:-1]
    total = algebra.contract(x, len(shape))
    dividend = algebra.linear([(1, total)], extent // 2)
    quotient = Fill(kind="divide", arguments=(dividend,), numbers=(extent,))
    if digits == 1:
        mean = builder.column("mean", shape, x.low, x.high, quotient)
        reach = builder.check_signed("mean", mean, x.low, x.high)
        parts: list[Node] = [mean]
    else:
        fill = Fill(kind="floor", arguments=(quotient,), numbers=(8,))
        upper = builder.column("mean upper", shape, x.low >> 8, x.high >> 8, fill)
        reach = 256 * builder.check_signed("mean upper", upper, x.low >> 8, x.high >> 8) + 256
        lower = builder.limb("mean lower", quotient, shape, 0, 8)
        builder.lookup("mean lower", [lower], builder.range_table(8))
        parts = [lower, upper]
    remainder = algebra.linear([(1, dividend), (-extent, algebra.bounds(_joined(parts), x.low, x.high))])
    divided(builder, remainder, extent, dividend.magnitude + extent * reach)
    return parts


def number(value: int, count: int = 0) -> Polynomial:
    """The digits of base 256 as a polynomial."""
    digits: list[int] = []
    while value or len(digits) < max(count, 1):
        digits.append(value & 255)
        value >>= 8
    return tuple(digits)


def _length(largest: int) -> int:
    return max(1, (largest.bit_length() + 7) // 8)


def _inverse_root(builder: Builder, parts: list[Node], epsilon: int, bound: int, limit: int) -> Node:
    """R as a form; see the module's text."""
    shape, extent = parts[0].shape[:-1], parts[0].shape[-1]
    difference = algebra.linear([((0,) * i + (1,), part) for i, part in enumerate(parts)])
    fill_parts = Fill(kind="stack", arguments=tuple(parts))
    degree = 2 * len(parts) - 1
    squares = Fill(kind="square_coefficients", arguments=(fill_parts,), numbers=(degree,))
    total = Fill(kind="evaluate", arguments=(squares,), numbers=(256,))
    exact = Fill(kind="affine", arguments=(total,), numbers=(1, epsilon))
    root = Fill(kind="square_root", arguments=(exact,), numbers=(limit,))
    product = Fill(kind="multiply", arguments=(exact, root))
    slack = Fill(kind="bracket_slack", arguments=(exact, root), numbers=(limit,))
    excess = Fill(kind="bracket_excess", arguments=(exact, root), numbers=(limit,))
    sizes = {
        "variance": _length(bound),
        "root": _length(isqrt(limit)),
        "product": _length(min(limit, isqrt(limit * bound) + 1)),
        "slack": _length(limit),
        "excess": _length(2 * min(limit, isqrt(limit * bound) + 1) + bound),
    }
    fills = dict(zip(sizes, (exact, root, product, slack, excess), strict=True))
    found = builder.limbs("bracket", shape, *((fills[name], count) for name, count in sizes.items()))
    limbs = dict(zip(sizes, found, strict=True))
    chi = {name: algebra.at_challenge(node, len(shape)) for name, node in limbs.items()}
    letters = LETTERS[: len(shape)]
    square = algebra.product(difference, difference, f"{letters}z,{letters}z->{letters}")
    # V(X) = sum of d(X)^2 + epsilon(X)
    width = max(degree, sizes["variance"], len(number(epsilon)))
    builder.vanishes_at_256(
        "variance",
        algebra.linear([(1, square), (-1, chi["variance"])], number(epsilon)),
        coefficients(width, (1, squares), (1, row_digits(number(epsilon), exact)), (-1, limbs["variance"])),
        width,
        extent * len(parts) * max(part.magnitude for part in parts) ** 2 + 510,
    )
    _bracket(builder, chi, limbs, sizes, limit, letters)
    weights = [256**i for i in range(sizes["root"])]
    value = algebra.contract(limbs["root"], len(shape), weights)
    return algebra.bounds(value, 0, isqrt(limit))


def _bracket(
    builder: Builder,
    chi: dict[str, Node],
    limbs: dict[str, Node],
    sizes: dict[str, int],
    limit: int,
    letters: str,
) -> None:
    each = f"{letters},{letters}->{letters}"
    exact = limbs["variance"]
    # r(X) V(X) = w(X)
    width = max(sizes["root"] + sizes["variance"] - 1, sizes["product"])
    product = Fill(kind="convolve", arguments=(limbs["root"], limbs["variance"]), numbers=(width,))
    builder.vanishes_at_256(
        "product",
        algebra.linear([(1, algebra.product(chi["root"], chi["variance"], each)), (-1, chi["product"])]),
        coefficients(width, (1, product), (-1, limbs["product"])),
        width,
        min(sizes["root"], sizes["variance"]) * 255**2 + 255,
    )
    # r(X) w(X) + s(X) = N(X)
    width = max(sizes["root"] + sizes["product"] - 1, sizes["slack"], len(number(limit)))
    product = Fill(kind="convolve", arguments=(limbs["root"], limbs["product"]), numbers=(width,))
    target = tuple(-digit for digit in number(limit))
    builder.vanishes_at_256(
        "bracket below",
        algebra.linear([(1, algebra.product(chi["root"], chi["product"], each)), (1, chi["slack"])], target),
        coefficients(width, (1, product), (1, limbs["slack"]), (1, row_digits(target, exact))),
        width,
        min(sizes["root"], sizes["product"]) * 255**2 + 510,
    )
    # 2 w(X) + V(X) - s(X) - 1 = u(X)
    parts = [(2, "product"), (1, "variance"), (-1, "slack"), (-1, "excess")]
    width = max(sizes[name] for _, name in parts)
    builder.vanishes_at_256(
        "bracket above",
        algebra.linear([(c, chi[name]) for c, name in parts], -1),
        coefficients(width, *((c, limbs[name]) for c, name in parts), (1, row_digits((-1,), exact))),
        width,
        4 * 255 + 256,
    )


def row_digits(digits: tuple[int, ...], like: Node | Fill) -> Fill:
    """A public number's digits a row; `like` has the row's shape (a node may have one more axis)."""
    rank = len(like.shape) - 1 if isinstance(like, Node) else -1
    return Fill(kind="row_digits", arguments=(like,), numbers=(rank, *digits))


def coefficients(width: int, *parts: tuple[int, Node | Fill]) -> Fill:
    """Sum of integer multiples of coefficient arrays, padded to `width`."""
    total: Fill | None = None
    for factor, part in parts:
        padded = Fill(kind="pad", arguments=(part,), numbers=(width,))
        scaled = Fill(kind="affine", arguments=(padded,), numbers=(factor, 0))
        total = scaled if total is None else Fill(kind="add", arguments=(total, scaled))
    assert total is not None
    return total
