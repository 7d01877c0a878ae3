"""Which arithmetic runs on this machine: eight lanes of AVX-512 IFMA, or portable 64-bit words.

A kernel takes an engine as its first argument. numba sees each engine as a type of its own (`elements`), so kernels
are compiled apart for each, and a cache on disk never mixes them up; numba's cache keeps processors apart by name
and features.
"""

from __future__ import annotations

import os
from typing import Any

from attrs import frozen

from ..field import Q, R

PORTABLE_VARIABLE = "LAZAI_PLONK_PORTABLE"
PUBLIC_BYTES = 32
"""One element of a field array."""


@frozen(kw_only=True)
class Engine:
    """One field on one kind of instructions: `lanes` elements at a time, `uniform_bytes` for one kept for all lanes."""

    name: str
    modulus: int
    lanes: int
    uniform_bytes: int


SCALAR_WORDS = Engine(name="scalar_words", modulus=R, lanes=1, uniform_bytes=32)
BASE_WORDS = Engine(name="base_words", modulus=Q, lanes=1, uniform_bytes=32)
SCALAR_LANES = Engine(name="scalar_lanes", modulus=R, lanes=8, uniform_bytes=40)
BASE_LANES = Engine(name="base_lanes", modulus=Q, lanes=8, uniform_bytes=40)
ENGINES = {engine.name: engine for engine in (SCALAR_WORDS, BASE_WORDS, SCALAR_LANES, BASE_LANES)}


def processor() -> str:
    """Name and features, joined by commas, of the processor that numba compiles for."""
    from llvmlite.binding import get_host_cpu_name
    from numba.core import config
    from numba.core.codegen import get_host_cpu_features

    settings: Any = config
    if settings.CPU_NAME == "generic":
        return "generic"
    features: Any = get_host_cpu_features
    return f"{settings.CPU_NAME or get_host_cpu_name()},{settings.CPU_FEATURES or features()}"


def has_vector_multiplier() -> bool:
    """Whether compiled code may use 512-bit vectors and 52-bit multiplication."""
    features = processor().split(",")
    return all(f"+avx512{part}" in features for part in ("f", "dq", "vl", "ifma"))


VECTORISED = os.environ.get(PORTABLE_VARIABLE, "") in ("", "0") and has_vector_multiplier()
SCALAR = SCALAR_LANES if VECTORISED else SCALAR_WORDS
"""The engine of arrays over Fr."""
BASE = BASE_LANES if VECTORISED else BASE_WORDS
"""The engine of arrays over Fq."""


def engine_name() -> str:
    return "ifma-8x52" if VECTORISED else "portable-4x64"
