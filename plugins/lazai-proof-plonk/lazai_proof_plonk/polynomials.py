"""The circuit's fixed polynomials, ready for a prover: coefficients, values, and values on the 4N coset (kept)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, field

from .curve_engine import CurveEngine, ProcessorEngine
from .keys import Point

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOW_UP = 4
COSET_SHIFT = 5
"""A generator of the multiplicative group: its multiples of the 4N-th roots of unity miss the domain."""

SIGMA_NAMES = ("s1", "s2", "s3")
TABLE_NAMES = ("t1", "t2", "t3")
LOOKUP_NAMES = ("qk", "tag", *TABLE_NAMES)

FieldArray = Any


@define(kw_only=True, eq=False)
class CircuitPolynomials:
    """Fixed columns by name: qm, ql, qr, qo, qc, s1, s2, s3, and in native mode qn and the lookup columns.

    `coefficients[name]` is `[N, 4]`; `values` holds the columns that provers need over the domain itself (s1, s2,
    s3, and all lookup columns). `bases` are the powers of tau, `engine` computes transforms and commitments.
    """

    power: int
    public: int
    coefficients: Mapping[str, FieldArray] = field(repr=False)
    values: Mapping[str, FieldArray] = field(repr=False)
    bases: FieldArray = field(repr=False)
    engine: CurveEngine = field(factory=ProcessorEngine, repr=False)
    _coset: dict[str, FieldArray] = field(factory=dict, init=False, repr=False)
    _live: dict[str, bool] = field(factory=dict, init=False, repr=False)
    _loaded: Any = field(default=None, init=False, repr=False)

    @property
    def size(self) -> int:
        """Rows of the domain."""
        return 1 << self.power

    @property
    def has_lookups(self) -> bool:
        """Whether lookup columns are there."""
        return "qk" in self.coefficients

    def is_live(self, name: str) -> bool:
        """Whether the column exists and is not zero everywhere."""
        if name not in self._live:
            self._live[name] = name in self.coefficients and bool(self.coefficients[name].any())
        return self._live[name]

    def fixed_on_coset(self) -> dict[str, FieldArray]:
        """Every fixed column that is not zero on the coset, with the coset's points "x" and L_1 "l1"; kept."""
        names = [name for name in self.coefficients if not name.startswith("q") or name == "qk" or self.is_live(name)]
        fixed = {name: self.coset(name) for name in names}
        return fixed | {"x": self.coset_points(), "l1": self.coset_first()}

    def coset(self, name: str) -> FieldArray:
        """Values on the 4N coset, `[4N, 4]`, computed once."""
        if name not in self._coset:
            self._coset[name] = self.on_coset(self.coefficients[name])
        return self._coset[name]

    def coset_points(self) -> FieldArray:
        """The coset's points themselves."""
        from .kernels import ntt
        from .kernels.fields import FR

        if "x" not in self._coset:
            count = BLOW_UP * self.size
            self._coset["x"] = FR.powers(ntt.root_of_unity(count), count, first=COSET_SHIFT)
        return self._coset["x"]

    def coset_first(self) -> FieldArray:
        """L_1 on the coset: the polynomial with all coefficients 1/N."""
        from .kernels.fields import FR

        if "l1" not in self._coset:
            ones = FR.constant(pow(self.size, -1, FR.modulus), self.size)
            self._coset["l1"] = self.on_coset(ones)
        return self._coset["l1"]

    def on_coset(self, coefficients: FieldArray) -> FieldArray:
        """Values of any polynomial on the 4N coset."""
        return self.engine.evaluate(coefficients, BLOW_UP * self.size, shift=COSET_SHIFT)

    def interpolate(self, values: FieldArray, blinders: list[int]) -> FieldArray:
        """Blinded coefficients of the polynomial with these values over the domain."""
        return blinded(self.engine.interpolate(values), blinders)

    def commit(self, polynomials: Sequence[FieldArray]) -> list[Point]:
        """[p] of each polynomial, of at most as many coefficients as there are powers of tau."""
        if self._loaded is None:
            self._loaded = self.engine.load(self.bases)
        return self.engine.commit(self._loaded, polynomials)

    def vanishing_inverses(self) -> FieldArray:
        """1 / (X^N - 1) on the coset, `[4, 4]`: it repeats every four points."""
        from .kernels import ntt
        from .kernels.fields import FR

        order = FR.modulus
        step, first = pow(ntt.root_of_unity(BLOW_UP * self.size), self.size, order), pow(COSET_SHIFT, self.size, order)
        return FR.encode([pow(first * pow(step, index, order) - 1, -1, order) for index in range(BLOW_UP)])


def blinded(coefficients: FieldArray, blinders: list[int]) -> FieldArray:
    """Coefficients + (blinders[0] + blinders[1] X + ...) (X^N - 1), `[N + len(blinders), 4]`."""
    from .kernels.fields import FR

    size, count = len(coefficients), len(blinders)
    mask = FR.encode(blinders)
    out: NDArray[np.uint64] = np.concatenate([coefficients, mask])
    out[:count] = FR.sub(np.ascontiguousarray(out[:count]), mask)
    assert len(out) == size + count
    return out
