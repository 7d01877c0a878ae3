"""The file of a native proving key, in the container that the other files use.

Magic `lzpk`, version 1. Sections: 1 {u32 variables, u32 additions, the verification key's canonical bytes},
2 additions as in `.zkey`, 3 to 5 wire maps (u32 each), 6 coefficients of the key's columns in their order
(`[N, 4]` Montgomery limbs each), 7 powers of tau (N + 7 points).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from lazai_core.api.errors import EncodingError, ProofError

from .files.container import Cursor, read_container, write_container
from .files.limbs import check_below, limbs_of
from .files.zkey import VARIABLES_MAX, read_additions, read_map
from .native_key import NativeKey, check_native_key
from .native_setup import EXTRA_POWERS, NativeProvingKey
from .parameters import FIELD, ORDER
from .polynomials import LOOKUP_NAMES, SIGMA_NAMES, CircuitPolynomials

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC, VERSION = b"lzpk", 1
HEADER, ADDITIONS, MAPS, COEFFICIENTS, POWERS = 1, 2, (3, 4, 5), 6, 7


def write_native_key(key: NativeProvingKey) -> bytes:
    """The canonical file."""

    def raw(array: NDArray[Any]) -> bytes:
        return np.ascontiguousarray(array).tobytes()

    header = struct.pack("<II", key.variables, len(key.additions)) + key.key.encode()
    columns = [raw(key.polynomials.coefficients[name]) for name in key.key.columns]
    maps = [(number, [raw(wires.astype("<u4"))]) for number, wires in zip(MAPS, key.maps, strict=True)]
    sections = [(HEADER, [header]), (ADDITIONS, [raw(key.additions)]), *maps]
    return write_container(MAGIC, VERSION, [*sections, (COEFFICIENTS, columns), (POWERS, [raw(key.polynomials.bases)])])


def read_native_key(data: bytes | memoryview) -> NativeProvingKey:
    """Parse and check sizes, ranges, indices and the verification key's points. Raises EncodingError."""
    container = read_container(data, MAGIC, (VERSION,))
    cursor = Cursor(container.section(HEADER))
    variables, addition_count = cursor.u32(), cursor.u32()
    try:
        key = NativeKey.decode(bytes(cursor.raw(cursor.remaining)))
        check_native_key(key)
    except ProofError as error:
        raise cursor.fail(str(error)) from error
    if not 1 <= variables <= VARIABLES_MAX or addition_count >= variables:
        raise cursor.fail(f"{variables} variables and {addition_count} additions")
    rows = [len(container.section(number).body) // 4 for number in MAPS]
    if len(set(rows)) != 1 or not key.public <= rows[0] <= key.domain_size:
        raise cursor.fail(f"wire maps of {rows} rows do not fit a domain of {key.domain_size}")
    size = key.domain_size
    section = container.section(COEFFICIENTS)
    if len(section.body) != 32 * size * len(key.columns):
        raise section.fail(0, f"{len(section.body)} bytes are not {len(key.columns)} columns of {size} elements")
    limbs = limbs_of(section.body, 4)
    check_below(section, limbs, ORDER)
    coefficients = {name: limbs[index * size : (index + 1) * size] for index, name in enumerate(key.columns)}
    maps = [read_map(container, number, rows[0], variables) for number in MAPS]
    return NativeProvingKey(
        key=key,
        variables=variables,
        maps=(maps[0], maps[1], maps[2]),
        additions=read_additions(container.section(ADDITIONS), addition_count, variables),
        polynomials=_polynomials(key, coefficients, _powers(container.section(POWERS), size)),
    )


def _powers(section: Any, size: int) -> Any:
    if len(section.body) != 64 * (size + EXTRA_POWERS):
        raise section.fail(0, f"{len(section.body)} bytes are not {size + EXTRA_POWERS} points")
    powers = limbs_of(section.body, 8)
    check_below(section, powers, FIELD)
    return np.ascontiguousarray(powers)


def _polynomials(key: NativeKey, coefficients: dict[str, Any], powers: Any) -> CircuitPolynomials:
    from .kernels import g1, ntt

    if not g1.all_on_curve(powers):
        raise EncodingError(".lzpk: a power of tau is not on the curve")
    needed = (*SIGMA_NAMES, *LOOKUP_NAMES) if key.lookups else SIGMA_NAMES
    return CircuitPolynomials(
        power=key.power,
        public=key.public,
        coefficients=coefficients,
        values={name: ntt.forward(coefficients[name]) for name in needed},
        bases=powers,
    )
