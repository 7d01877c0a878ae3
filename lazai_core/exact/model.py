"""A program together with its constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from lazai_core.api.compute import TensorView
from lazai_core.api.program import Program
from lazai_core.exact.codec import as_view

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.integer[Any]]


@frozen(kw_only=True)
class ExactModel:
    """What a backend loads: the program and one array per constant, in the program's order and type."""

    program: Program
    constants: tuple[IntArray, ...] = field(eq=False, repr=False)

    def constant(self, index: int) -> TensorView:
        """Constant `index` as bytes."""
        return as_view(self.constants[index], self.program.constants[index].dtype)
