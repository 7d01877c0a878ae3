"""Setup in native mode: a circuit and powers of tau to the proving key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, field

from .curve_engine import CurveEngine, ProcessorEngine
from .files.ptau import PowersOfTau
from .native_circuit import SELECTORS, NativeCircuit
from .native_key import GATE_COLUMNS, LOOKUP_COLUMNS, NativeKey
from .permutation import cell_permutation, sigma_values
from .polynomials import SIGMA_NAMES, CircuitPolynomials
from .snarkjs_setup import Progress, check_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXTRA_POWERS = 7


@define(kw_only=True, eq=False)
class NativeProvingKey:
    """What the prover keeps of a circuit."""

    key: NativeKey
    variables: int
    maps: tuple[NDArray[Any], NDArray[Any], NDArray[Any]] = field(repr=False)
    additions: NDArray[Any] = field(repr=False)
    polynomials: CircuitPolynomials = field(repr=False)


def native_setup(
    circuit: NativeCircuit,
    powers: PowersOfTau,
    progress: Progress = lambda _stage: None,
    engine: CurveEngine | None = None,
) -> NativeProvingKey:
    """Deterministic. Raises CeremonyTooSmall."""
    from .kernels import g2

    engine = engine or ProcessorEngine()
    size = circuit.size
    check_size(size, EXTRA_POWERS, powers)
    progress("permutation")
    sigmas = sigma_values(cell_permutation(circuit.maps, size), size)
    values = {name: circuit.selectors[name] for name in SELECTORS} | dict(zip(SIGMA_NAMES, sigmas, strict=True))
    values |= {name: circuit.lookups[name] for name in circuit.lookups}
    names = GATE_COLUMNS + LOOKUP_COLUMNS if circuit.lookups else GATE_COLUMNS
    progress("polynomials")
    coefficients = {name: engine.interpolate(values[name]) for name in names}
    progress("commitments")
    bases = np.ascontiguousarray(powers.g1[: size + EXTRA_POWERS])
    commitments = tuple(engine.commit(engine.load(bases), [coefficients[name] for name in names]))
    key = NativeKey(
        public=circuit.public,
        power=size.bit_length() - 1,
        lookups=bool(circuit.lookups),
        commitments=commitments,
        x_2=g2.decode(np.ascontiguousarray(powers.g2[1:2]))[0],
    )
    polynomials = CircuitPolynomials(
        power=key.power,
        public=key.public,
        coefficients=coefficients,
        values={name: values[name] for name in (*SIGMA_NAMES, *circuit.lookups)},
        bases=bases,
        engine=engine,
    )
    return NativeProvingKey(
        key=key, variables=circuit.variables, maps=circuit.maps, additions=circuit.additions, polynomials=polynomials
    )
