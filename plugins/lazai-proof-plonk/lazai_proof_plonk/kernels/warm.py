"""Compile every kernel ahead of the first proof, and say so while it happens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from . import elements, engines, g1, g2, ntt, pairing, quotient
from .fields import FQ, FR

Progress = Callable[[str, float], None]
_SIZE = 4096
"""Enough for two threads and for every path of the arrays."""


def _field_arrays() -> None:
    for field in (FR, FQ):
        values = field.powers(3, _SIZE + 1)
        field.from_montgomery(field.to_montgomery(field.from_montgomery(values)))
        field.multiply_add(field.add(values, values), field.sub(values, values), values)
        field.is_canonical(values)


def _sequences() -> None:
    for field in (FR, FQ):
        values = field.inverse(field.powers(3, _SIZE + 1))
        field.prefix_products(field.prefix_sums(values))
        field.inner_product(values, values)


def _polynomials() -> None:
    values = FR.linear_combination([FR.powers(3, _SIZE + 1), FR.powers(5, 9)], [1, 2])
    FR.evaluate(values, 7)
    FR.divide_by_linear(values, 7)


def _transforms() -> None:
    for size in (8, _SIZE):
        ntt.inverse(ntt.forward(FR.powers(3, size), shift=5), shift=5)


def _quotient() -> None:
    rows = {name: FR.powers(3, 8 + 8 * (name in quotient.SHIFTED)) for name in quotient.COLUMNS}
    quotient.numerator_over_vanishing(rows, range(8), FR.powers(3, 4), 8)


def _points() -> None:
    points = g1.fixed_base(g1.GENERATOR, FR.powers(3, _SIZE + 1))
    g1.all_on_curve(points)
    g1.scale_each(points[:9], FR.powers(3, 9))
    g1.linear_combination([g1.GENERATOR], [3])


def _sums() -> None:
    g1.msm(g1.encode([g1.GENERATOR] * 9), FR.powers(3, 9))


def _twist() -> None:
    points = g2.fixed_base(g2.GENERATOR, FR.powers(3, 2))
    g2.all_on_curve(points)
    g2.msm(points, FR.powers(3, 2))
    g2.multiply(g2.GENERATOR, 3)


def _pairings() -> None:
    pairing.pairing(g1.GENERATOR, g2.GENERATOR)


_STEPS: dict[str, Callable[[], None]] = {
    "field arrays": _field_arrays,
    "inverses and products": _sequences,
    "polynomials": _polynomials,
    "transforms": _transforms,
    "quotient": _quotient,
    "points of G1": _points,
    "multi-scalar multiplication": _sums,
    "points of G2": _twist,
    "pairing": _pairings,
}


def _marker() -> Path | None:
    """The file that says that this very code is compiled for this processor; None where numba keeps no cache."""
    from .pointwise import combine

    if combine.stats.cache_path is None:
        return None
    digest = elements.digest_of(engines.processor().encode(), engines.engine_name().encode())
    return Path(combine.stats.cache_path) / f"compiled-{digest}"


def is_compiled() -> bool:
    """Whether `warm_up` has ended once for this code, processor and engine."""
    marker = _marker()
    return marker is not None and marker.exists()


def warm_up(progress: Progress | None = None) -> float:
    """Compile, or load from the cache, every kernel; progress(name, seconds) after each step. Returns all seconds."""
    started = perf_counter()
    for name, step in _STEPS.items():
        begun = perf_counter()
        step()
        if progress is not None:
            progress(name, perf_counter() - begun)
    marker = _marker()
    if marker is not None:
        # A cache that cannot be written to only costs another compilation.
        with suppress(OSError):
            marker.touch()
    return perf_counter() - started
