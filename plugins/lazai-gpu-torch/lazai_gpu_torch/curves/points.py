"""Sums of multiples of points: buckets for each window of the scalars (Pippenger), filled in rounds of pairs.

Points are projective `[3, 9, ...]`. One formula adds any two points, equal, opposite or infinite (Renes, Costello,
Batina, ePrint 2015/1060, algorithm 7), so no lane ever needs a branch. Its coordinates stay below 8 p where those of
both operands do.
"""

from __future__ import annotations

import torch

from lazai_core.api.curve_kernels import COORDINATE_MODULUS, CurvePoint

from .limbs import BITS, LIMBS, MASK, PrimeField

TRIPLE_B = 9
"""Three times the curve's constant."""
SCALAR_BITS = 254
WINDOW_BITS_MIN, WINDOW_BITS_MAX = 2, 12
PAIRS_MAX = {"cuda": 1 << 20, "cpu": 1 << 13}
"""Points times windows that are worked on at once: each takes 216 bytes several times over."""
Projective = tuple[int, int, int]


class Curve:
    """The curve's points on one device."""

    def __init__(self, device: torch.device) -> None:
        self.field = PrimeField(COORDINATE_MODULUS, device)

    def load(self, words: torch.Tensor) -> torch.Tensor:
        """Affine points, int64 words `[n, 8]` with R = 2^256, zeros for infinity, to `[3, 9, n]`."""
        # Another power of two stands behind x here: 2^266 / 2^261 is 2^5, and 2^256 2^5 is 2^261.
        rescale = self.field.constant(1 << 5)
        x, y = (self.field.multiply(self.field.from_words(part), rescale) for part in (words[:, :4], words[:, 4:]))
        infinite = (words == 0).all(dim=1)
        one = self.field.constant(1)
        zero = torch.zeros_like(one)
        return torch.stack([x, torch.where(infinite, one, y), torch.where(infinite, zero, one).expand_as(x)])

    def add(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Left + right, `[3, 9, ...]`."""
        field = self.field
        x, y, z = (torch.stack([left[i], right[i]], dim=1) for i in range(3))
        sums = torch.stack([field.add(x, y), field.add(y, z), field.add(x, z)], dim=2)
        # `products`: xx, yy, zz, then (x + y)(x' + y'), (y + z)(y' + z'), (x + z)(x' + z').
        factors = torch.cat([torch.stack([x, y, z], dim=2), sums], dim=2)
        products = field.multiply(factors[:, 0], factors[:, 1])
        xx, yy, zz = products[:, 0], products[:, 1], products[:, 2]
        xy = field.subtract(products[:, 3], field.add(xx, yy), 4)
        yz = field.subtract(products[:, 4], field.add(yy, zz), 4)
        xz = field.subtract(products[:, 5], field.add(xx, zz), 4)
        xx, zz, xz = field.scale(xx, 3), field.scale(zz, TRIPLE_B), field.scale(xz, TRIPLE_B)
        above, below = field.add(yy, zz), field.subtract(yy, zz, 16)
        lefts = torch.stack([xy, yz, xz, below, xx, above], dim=1)
        rights = torch.stack([below, xz, xx, above, xy, yz], dim=1)
        made = field.multiply(lefts, rights)
        return torch.stack(
            [
                field.subtract(made[:, 0], made[:, 1], 4),
                field.add(made[:, 2], made[:, 3]),
                field.add(made[:, 4], made[:, 5]),
            ]
        )

    def infinity(self, *shape: int) -> torch.Tensor:
        """`[3, 9, *shape]`."""
        one = self.field.constant(1)
        point = torch.stack([torch.zeros_like(one), one, torch.zeros_like(one)])
        return point.reshape(3, LIMBS, *[1] * len(shape)).repeat(1, 1, *shape)

    def sum(self, points: torch.Tensor, scalars: torch.Tensor) -> CurvePoint:
        """sum_i s_i P_i: points `[3, 9, n]`, limbs of canonical scalars `[9, n]`."""
        count = points.shape[2]
        bits = min(max(count.bit_length() - 6, WINDOW_BITS_MIN), WINDOW_BITS_MAX)
        windows = -(-SCALAR_BITS // bits)
        group = max(1, PAIRS_MAX[self.field.device.type] // count)
        parts = [
            self._buckets(points, scalars, range(start, min(start + group, windows)), bits)
            for start in range(0, windows, group)
        ]
        buckets = torch.cat(parts, dim=2)
        # sum_d d B_d is the sum over bits b of 2^b times the buckets whose number has bit b.
        numbers = torch.arange(1 << bits, device=self.field.device)
        chosen = torch.stack([numbers[(numbers >> bit & 1).bool()] for bit in range(bits)])
        partial = buckets[:, :, :, chosen]
        while partial.shape[-1] > 1:
            half = partial.shape[-1] // 2
            partial = self.add(partial[..., :half], partial[..., half:])
        return self._joined(partial.reshape(3, LIMBS, windows * bits))

    def _buckets(self, points: torch.Tensor, scalars: torch.Tensor, windows: range, bits: int) -> torch.Tensor:
        """The sum of the points of each digit, `[3, 9, windows, 2^bits]`; that of digit zero is infinity."""
        digits = torch.stack([_digits(scalars, window * bits, bits) for window in windows])
        places = digits + (torch.arange(len(windows), device=digits.device) << bits)[:, None]
        # Zero digits add nothing and would be the longest of all runs.
        live = torch.nonzero(digits.reshape(-1)).reshape(-1)
        keys, order = torch.sort(places.reshape(-1)[live], stable=True)
        current = points[:, :, live[order] % points.shape[2]]
        while True:
            same = torch.zeros_like(keys, dtype=torch.bool)
            same[:-1] = keys[1:] == keys[:-1]
            if not bool(same.any()):
                break
            at = torch.arange(len(keys), device=keys.device)
            begins = torch.ones_like(same)
            begins[1:] = ~same[:-1]
            begin = torch.where(begins, at, 0).cummax(dim=0).values
            first = at[(at - begin & 1) == 0]
            paired = same[first]
            following = current[:, :, first]
            lefts = first[paired]
            following[:, :, paired] = self.add(current[:, :, lefts], current[:, :, lefts + 1])
            keys, current = keys[first], following
        buckets = self.infinity(len(windows) << bits)
        buckets[:, :, keys] = current
        return buckets.reshape(3, LIMBS, len(windows), 1 << bits)

    def _joined(self, points: torch.Tensor) -> CurvePoint:
        """sum_i 2^i P_i on the host: `[3, 9, bits]`, few."""
        coordinates = [self.field.integers(points[axis]) for axis in range(3)]
        total: Projective = (0, 1, 0)
        for point in reversed(list(zip(*coordinates, strict=True))):
            total = _host_add(_host_add(total, total), point)
        x, y, z = total
        if z == 0:
            return None
        inverse = pow(z, -1, COORDINATE_MODULUS)
        return x * inverse % COORDINATE_MODULUS, y * inverse % COORDINATE_MODULUS


def _digits(scalars: torch.Tensor, start: int, bits: int) -> torch.Tensor:
    """Bits start .. start + bits of scalars in limbs."""
    limb, shift = divmod(start, BITS)
    digits = scalars[limb] >> shift
    if shift + bits > BITS and limb + 1 < LIMBS:
        digits = digits | scalars[limb + 1] << BITS - shift
    assert bits <= BITS
    return digits & (1 << bits) - 1 & MASK


def _host_add(left: Projective, right: Projective) -> Projective:
    """The formula of `Curve.add` on integers."""
    (x1, y1, z1), (x2, y2, z2) = left, right
    xx, yy, zz = x1 * x2, y1 * y2, z1 * z2
    xy, yz, xz = (x1 + y1) * (x2 + y2) - xx - yy, (y1 + z1) * (y2 + z2) - yy - zz, (x1 + z1) * (x2 + z2) - xx - zz
    xx, zz, xz = 3 * xx, TRIPLE_B * zz, TRIPLE_B * xz % COORDINATE_MODULUS
    above, below = (yy + zz) % COORDINATE_MODULUS, (yy - zz) % COORDINATE_MODULUS
    return (
        (xy * below - yz * xz) % COORDINATE_MODULUS,
        (xz * xx + below * above) % COORDINATE_MODULUS,
        (xx * xy + above * yz) % COORDINATE_MODULUS,
    )
