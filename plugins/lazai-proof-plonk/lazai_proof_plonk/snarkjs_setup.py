"""Setup in snarkjs mode: `.r1cs` and `.ptau` to the key that snarkjs makes of them, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazai_core.api.errors import LazAIError

from .files.ptau import PowersOfTau
from .files.r1cs import R1cs
from .files.zkey import ADDITION, EXTRA_POWERS, Zkey
from .keys import COMMITMENT_NAMES, SnarkjsKey
from .parameters import DOMAIN_MIN, K1, K2
from .permutation import cell_permutation, sigma_values
from .r1cs_gates import GateList, gates_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

Progress = Callable[[str], None]
BLOW_UP = 4


class CeremonyTooSmall(LazAIError):
    """The ceremony has fewer powers than the circuit needs."""


def domain_size(rows: int) -> int:
    """The smallest power of two that holds the rows, at least 8."""
    return max(DOMAIN_MIN, 1 << max(0, rows - 1).bit_length())


def setup(circuit: R1cs, powers: PowersOfTau, progress: Progress = lambda _stage: None) -> Zkey:
    """The proving key. Raises EncodingError for a bad circuit, CeremonyTooSmall."""
    progress("gates")
    return setup_gates(gates_of(circuit), powers, progress)


def check_size(size: int, extra: int, powers: PowersOfTau) -> None:
    """Raises CeremonyTooSmall where the ceremony does not reach N + extra powers."""
    if len(powers.g1) < size + extra:
        raise CeremonyTooSmall(
            f"a domain of {size} rows needs {size + extra} powers of tau, the ceremony has {len(powers.g1)}",
            hint=f"take a ceremony of 2^{size.bit_length() - 1} or more",
        )


def setup_gates(gates: GateList, powers: PowersOfTau, progress: Progress = lambda _stage: None) -> Zkey:
    """The proving key of rows that are already gates, for circuits built in Python. Raises CeremonyTooSmall."""
    from .kernels import g1, g2
    from .kernels.fields import FR

    size = domain_size(len(gates.a))
    check_size(size, EXTRA_POWERS, powers)
    maps = (np.array(gates.a, "<u4"), np.array(gates.b, "<u4"), np.array(gates.c, "<u4"))
    progress("selectors")
    selectors = [FR.encode(column + [0] * (size - len(column))) for column in _columns(gates)]
    progress("permutation")
    sigmas = sigma_values(cell_permutation(maps, size), size)
    progress("polynomials")
    extended = [_extend(values) for values in (*selectors, *sigmas)]
    lagrange = [_extend(_unit(index, size)) for index in range(max(gates.public, 1))]
    progress("commitments")
    bases = np.ascontiguousarray(powers.g1[: size + EXTRA_POWERS])
    points = g1.msm_many(bases, [each[:size] for each in extended])
    return Zkey(
        variables=gates.variables,
        public=gates.public,
        domain_size=size,
        k1=K1,
        k2=K2,
        commitments=dict(zip(COMMITMENT_NAMES, points, strict=True)),
        x_2=g2.decode(np.ascontiguousarray(powers.g2[1:2]))[0],
        additions=additions_of(gates),
        maps=maps,
        selectors=tuple(extended[:5]),
        sigmas=tuple(extended[5:]),
        lagrange=np.concatenate(lagrange),
        powers=bases,
    )


def _columns(gates: GateList) -> Sequence[list[int]]:
    return (gates.qm, gates.ql, gates.qr, gates.qo, gates.qc)


def _unit(index: int, size: int) -> NDArray[np.uint64]:
    from .kernels.fields import FR

    values = FR.zeros(size)
    values[index] = FR.constant(1, 1)[0]
    return values


def _extend(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """N values to N coefficients and 4N values."""
    from .kernels import ntt

    coefficients = ntt.inverse(values)
    return np.concatenate([coefficients, ntt.forward(coefficients, BLOW_UP * len(values))])


def additions_of(gates: GateList) -> NDArray[Any]:
    """The additions as section 3 of a key holds them."""
    from .kernels.fields import FR

    additions = np.zeros(len(gates.additions), dtype=ADDITION)
    if gates.additions:
        first, second, scale1, scale2 = zip(*gates.additions, strict=True)
        additions["first"], additions["second"] = first, second
        additions["scales"][:, 0], additions["scales"][:, 1] = FR.encode(scale1), FR.encode(scale2)
    return additions


def verification_key(key: Zkey) -> SnarkjsKey:
    """The part that verifiers need."""
    commitments = tuple(key.commitments[name] for name in COMMITMENT_NAMES)
    return SnarkjsKey(public=key.public, power=key.power, k1=key.k1, k2=key.k2, commitments=commitments, x_2=key.x_2)
