"""A circuit of native mode as arrays: which wire stands in each cell, and the fixed columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import field, frozen

from .files.zkey import ADDITION
from .r1cs_gates import GateList
from .snarkjs_setup import additions_of, domain_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

SELECTORS = ("qm", "ql", "qr", "qo", "qn", "qc")

FieldArray = Any


@frozen(kw_only=True, eq=False)
class NativeCircuit:
    """`maps` are wire ids of columns a, b, c, `[rows]`; `selectors[name]` and `lookups[name]` are `[N, 4]` values.

    `lookups` has qk, tag, t1, t2, t3, or nothing. `additions` (of circuits from `.r1cs`) extend the witness. Wires
    number from 0 to `variables - 1`; wire 0 fills unused cells.
    """

    public: int
    variables: int
    size: int
    maps: tuple[NDArray[Any], NDArray[Any], NDArray[Any]] = field(repr=False)
    selectors: Mapping[str, FieldArray] = field(repr=False)
    lookups: Mapping[str, FieldArray] = field(factory=dict, repr=False)
    additions: NDArray[Any] = field(factory=lambda: np.zeros(0, dtype=ADDITION), repr=False)


def circuit_of_gates(gates: GateList) -> NativeCircuit:
    """The same rows as in snarkjs mode: no next-row terms, no lookups."""
    from .kernels.fields import FR

    size = domain_size(len(gates.a))
    columns = {"qm": gates.qm, "ql": gates.ql, "qr": gates.qr, "qo": gates.qo, "qn": [], "qc": gates.qc}
    return NativeCircuit(
        public=gates.public,
        variables=gates.variables,
        size=size,
        maps=(np.array(gates.a, "<u4"), np.array(gates.b, "<u4"), np.array(gates.c, "<u4")),
        selectors={name: FR.encode(column + [0] * (size - len(column))) for name, column in columns.items()},
        additions=additions_of(gates),
    )
