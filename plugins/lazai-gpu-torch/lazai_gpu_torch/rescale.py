"""`clamp(round_shift(x, s), low, high)` on tensors, with as few passes over memory as torch allows."""

from __future__ import annotations

import torch
from attrs import field, frozen

from lazai_core.api.program import DType

TORCH_DTYPES = {DType.INT8: torch.int8, DType.INT16: torch.int16, DType.INT32: torch.int32}
INT32_LIMIT = 2**31


@frozen(kw_only=True)
class Rescale:
    """One requantisation, prepared: `(x << left) + half >> right`, clamped and stored as `dtype`.

    `half`, `left` and `right` are numbers, or int32 tensors that broadcast against x for shifts by channel.
    `wide` marks that the shifted value may pass int32 before it is clamped.
    """

    left: int | torch.Tensor = field(eq=False)
    right: int | torch.Tensor = field(eq=False)
    half: int | torch.Tensor = field(eq=False)
    low: int
    high: int
    dtype: torch.dtype
    wide: bool

    @classmethod
    def uniform(cls, shift: int, low: int, high: int, dtype: DType, magnitude: int) -> Rescale:
        """The same shift for every element; `magnitude` bounds |x|."""
        return cls(
            left=max(-shift, 0),
            right=max(shift, 0),
            half=1 << (shift - 1) if shift > 0 else 0,
            low=low,
            high=high,
            dtype=TORCH_DTYPES[dtype],
            wide=magnitude << max(-shift, 0) >= INT32_LIMIT,
        )

    @classmethod
    def by_channel(cls, shifts: torch.Tensor, low: int, high: int, dtype: DType, magnitude: int) -> Rescale:
        """`shifts` int8, already shaped to broadcast against x."""
        wide_shifts = shifts.to(torch.int32)
        right, left = wide_shifts.clamp(min=0), (-wide_shifts).clamp(min=0)
        half = torch.where(right > 0, torch.ones_like(right) << (right - 1).clamp(min=0), torch.zeros_like(right))
        most = int(left.max())
        return cls(
            left=left if most else 0,
            right=right,
            half=half,
            low=low,
            high=high,
            dtype=TORCH_DTYPES[dtype],
            wide=magnitude << most >= INT32_LIMIT,
        )

    @property
    def can_fold_bias(self) -> bool:
        """Whether `half` may be added to a bias beforehand."""
        return not self.wide and isinstance(self.left, int) and self.left == 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Of stored or int32 elements; x is left as it is."""
        y = x.to(torch.int64 if self.wide else torch.int32)
        if not (isinstance(self.left, int) and self.left == 0):
            y = y << self.left
        y = y + self.half
        return self.finish(y)

    def finish(self, y: torch.Tensor) -> torch.Tensor:
        """The rest, in place, once `half` has been added to an int32 tensor that nobody else holds."""
        y.bitwise_right_shift_(self.right)
        return y.clamp_(self.low, self.high).to(self.dtype)
