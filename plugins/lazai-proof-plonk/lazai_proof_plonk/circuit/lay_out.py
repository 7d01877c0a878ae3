"""From a builder to the arrays of either mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..native_circuit import SELECTORS, NativeCircuit
from ..r1cs_gates import GateList
from ..snarkjs_setup import domain_size
from .builder import Builder, CircuitError, Mode

if TYPE_CHECKING:
    from numpy.typing import NDArray


def native_circuit(builder: Builder) -> NativeCircuit:
    """Public rows first, then the gates in order; tables from row 1 on (row 0 is the padding entry)."""
    from ..kernels.fields import FR

    table_rows = 1 + sum(len(table.rows) for table in builder.tables.values()) if builder.tables else 0
    public = len(builder.public)
    used = public + len(builder.gates)
    size = domain_size(max(used, table_rows))
    find = builder.classes.find
    cells = np.zeros((3, used), dtype="<u4")
    cells[0, :public] = [find(variable) for variable in builder.public]
    for index, name in enumerate("abc"):
        cells[index, public:] = [find(getattr(gate, name)) for gate in builder.gates]
    columns = {name: [0] * public + [getattr(gate, name) for gate in builder.gates] for name in SELECTORS}
    columns["ql"][:public] = [1] * public
    tags = [0] * public + [gate.tag for gate in builder.gates]
    lookups = {}
    if builder.tables:
        entries = [(0, 0, 0)]
        entries += [(x, y, table.tag) for table in builder.tables.values() for x, y in table.rows]
        entries += [(0, 0, 0)] * (size - len(entries))
        first, second, third = zip(*entries, strict=True)
        lists = {"qk": [int(tag > 0) for tag in tags], "tag": tags, "t1": first, "t2": second, "t3": third}
        lookups = {name: FR.encode(_padded(list(column), size)) for name, column in lists.items()}
    return NativeCircuit(
        public=public,
        variables=builder.variables,
        size=size,
        maps=(cells[0], cells[1], cells[2]),
        selectors={name: FR.encode(_padded(column, size)) for name, column in columns.items()},
        lookups=lookups,
    )


def _padded(column: list[int], size: int) -> list[int]:
    return column + [0] * (size - len(column))


def native_witness(values: list[int]) -> NDArray[np.uint64]:
    """What the native prover takes."""
    from ..kernels.fields import FR

    array: NDArray[np.uint64] = FR.encode(values)
    return array


def snarkjs_gates(builder: Builder) -> GateList:
    """Rows for `snarkjs_setup.setup_gates`; the witness is `snarkjs_witness`."""
    if builder.mode is not Mode.SNARKJS:
        raise CircuitError("a circuit of native mode does not fit snarkjs mode; build it with Mode.SNARKJS")
    gates = GateList(public=len(builder.public), variables=builder.variables)
    find = builder.classes.find
    for variable in builder.public:
        gates.row((find(variable), 0, 0), (0, 1, 0, 0, 0))
    for gate in builder.gates:
        cells = (find(gate.a), find(gate.b), find(gate.c))
        gates.row(cells, (gate.qm, gate.ql, gate.qr, gate.qo, gate.qc))
    return gates


def snarkjs_witness(values: list[int]) -> NDArray[np.uint64]:
    """The canonical values that `SnarkjsProver.prove` takes."""
    from ..files.limbs import limbs_from_integers

    return limbs_from_integers(values)
