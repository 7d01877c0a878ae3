"""What a caller may choose about quantisation, and what the compiler reports back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from attrs import Attribute, field, frozen

from lazai_core.api.errors import InvalidInput

if TYPE_CHECKING:
    from lazai_core.api.program import Program
    from lazai_core.exact.model import ExactModel, IntArray


def _bits(low: int, high: int) -> Callable[[object, Attribute[int], int], None]:
    def check(instance: object, attribute: Attribute[int], value: int) -> None:
        if not low <= value <= high:
            raise InvalidInput(f"the option {attribute.name} is {value}, it must lie in [{low}, {high}]")

    return check


@frozen(kw_only=True)
class QuantizeOptions:
    """Widths in bits and margins of the quantisation; the defaults are the measured good ones.

    `matmul_bits` is the width of what enters `dense`, `conv2d` and `matmul` (8 is int8 and fastest, up to 16);
    `bits_of` overrides it for single float values by name. `wide_bits` is the width of sums, residual streams
    and the inputs of normalisation. `table_bits` gives function tables `2^table_bits` entries at most.
    `score_step` is the resolution of softmax scores in nats. `wide_margin` is how far beyond the calibrated
    range wide values may go before they saturate. `correct_bias` repairs the mean error of rounded weights.
    """

    matmul_bits: int = field(default=8, validator=_bits(4, 16))
    wide_bits: int = field(default=16, validator=_bits(8, 16))
    table_bits: int = field(default=11, validator=_bits(6, 15))
    score_step: float = 1.0 / 64.0
    wide_margin: float = 1.5
    per_channel: bool = True
    correct_bias: bool = True
    bits_of: Mapping[str, int] = field(factory=dict)


@frozen(kw_only=True)
class ValueReport:
    """How one float value was quantised: its calibrated reach, and (form, step, bits) of each form."""

    name: str
    reach: float
    forms: tuple[tuple[str, float, int], ...]


@frozen(kw_only=True)
class CompileReport:
    """What the compiler did: sizes, how each value was quantised, how many values needed a costly rescale."""

    operations: int
    constant_bytes: int
    samples: int
    rescales: int
    values: tuple[ValueReport, ...] = field(repr=False)


@frozen(kw_only=True)
class CompiledModel:
    """An exact program, its constants, and the report of the compilation."""

    model: ExactModel
    report: CompileReport = field(eq=False)

    @property
    def program(self) -> Program:
        return self.model.program

    @property
    def constants(self) -> tuple[IntArray, ...]:
        return self.model.constants
