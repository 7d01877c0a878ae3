"""Proving in snarkjs mode: proofs that `snarkjs plonk verify` and the generated contract accept.

Gabizon, Williamson, Ciobotaru: PLONK (ePrint 2019/953), section 8.3, blinded as there, with the transcript of snarkjs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, field

from lazai_core.api.compute import CancelToken
from lazai_core.api.proof import Rng

from .blinding import random_scalars
from .curve_engine import CurveEngine, ProcessorEngine
from .domain import open_at
from .files.zkey import Zkey
from .keys import Point, SnarkjsKey
from .parameters import K1, K2, ORDER, domain_root
from .polynomials import CircuitPolynomials
from .rounds import Challenges, grand_product, open_batch, quotient, split_quotient
from .snarkjs_proof import SnarkjsProof
from .snarkjs_setup import verification_key
from .snarkjs_transcript import beta_challenge, challenge
from .stages import Stages
from .witness_values import columns_of, extend_witness

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLINDERS = 11
SELECTORS = ("qm", "ql", "qr", "qo", "qc")
SIGMAS = ("s1", "s2", "s3")
QUOTIENT_DEGREE_EXTRA = 5

FieldArray = Any


@define(kw_only=True, eq=False)
class SnarkjsProver:
    """A loaded key. Keep it: the second proof is faster than the first."""

    zkey: Zkey = field(repr=False)
    key: SnarkjsKey
    polynomials: CircuitPolynomials = field(repr=False)

    @classmethod
    def load(cls, zkey: Zkey, engine: CurveEngine | None = None) -> SnarkjsProver:
        """Views of the key's sections; nothing is copied that need not be."""
        size = zkey.domain_size
        named = dict(zip((*SELECTORS, *SIGMAS), (*zkey.selectors, *zkey.sigmas), strict=True))
        polynomials = CircuitPolynomials(
            power=zkey.power,
            public=zkey.public,
            coefficients={name: np.ascontiguousarray(poly[:size]) for name, poly in named.items()},
            values={name: np.ascontiguousarray(named[name][size::4]) for name in SIGMAS},
            bases=np.ascontiguousarray(zkey.powers),
            engine=engine or ProcessorEngine(),
        )
        return cls(zkey=zkey, key=verification_key(zkey), polynomials=polynomials)

    def prove(
        self, witness: NDArray[np.uint64], rng: Rng, stages: Stages | None = None, cancel: CancelToken | None = None
    ) -> tuple[SnarkjsProof, tuple[int, ...]]:
        """The proof and its public values, from the canonical values of a `.wtns`.

        Raises ProvingFailed where the witness does not satisfy the circuit, Cancelled.
        """
        run = _Run(self, random_scalars(rng, BLINDERS), stages or Stages(), cancel or CancelToken())
        return run.prove(witness)


class _Run:
    """One proof on its way."""

    def __init__(self, prover: SnarkjsProver, blinders: list[int], stages: Stages, cancel: CancelToken) -> None:
        self.prover = prover
        self.polynomials = prover.polynomials
        self.blinders = blinders
        self.stages = stages
        self.cancel = cancel

    def enter(self, stage: str) -> None:
        self.cancel.raise_if_cancelled()
        self.stages.enter(stage)

    def commit(self, polynomials: Sequence[FieldArray]) -> list[Point]:
        return self.polynomials.commit(polynomials)

    def prove(self, witness: NDArray[np.uint64]) -> tuple[SnarkjsProof, tuple[int, ...]]:
        from .kernels.fields import FR

        self.enter("witness")
        zkey = self.prover.zkey
        values = extend_witness(zkey.variables, zkey.additions, witness)
        columns = columns_of(zkey, values)
        public = tuple(FR.decode(np.ascontiguousarray(columns[0][: self.prover.key.public])))
        wires, wire_points = self.wires(columns)
        beta = beta_challenge(self.prover.key, public, wire_points)
        gamma = challenge(scalars=[beta])
        self.enter("permutation")
        z = self.polynomials.interpolate(grand_product(self.polynomials, columns, beta, gamma), self.blinders[8:5:-1])
        self.enter("commit permutation")
        (z_point,) = self.commit([z])
        alpha = challenge([z_point], [beta, gamma], scalars_first=True)
        challenges = Challenges(beta=beta, gamma=gamma, alpha=alpha)
        self.enter("quotient")
        named = {"a": wires[0], "b": wires[1], "c": wires[2], "z": z}
        whole = quotient(self.polynomials, public, named, challenges, 3 * self.polynomials.size + QUOTIENT_DEGREE_EXTRA)
        parts = split_quotient(whole, self.polynomials.size, self.blinders[9:])
        self.enter("commit quotient")
        part_points = self.commit(parts)
        xi = challenge(part_points, [alpha], scalars_first=True)
        proof = self.open(named, parts, public, challenges, xi, [*wire_points, z_point, *part_points])
        self.stages.enter("")
        return proof, public

    def wires(self, columns: Sequence[FieldArray]) -> tuple[list[FieldArray], list[Point]]:
        self.enter("wires")
        pairs = (self.blinders[1::-1], self.blinders[3:1:-1], self.blinders[5:3:-1])
        wires = [self.polynomials.interpolate(column, pair) for column, pair in zip(columns, pairs, strict=True)]
        self.enter("commit wires")
        return wires, self.commit(wires)

    def open(
        self,
        named: Mapping[str, FieldArray],
        parts: Sequence[FieldArray],
        public: Sequence[int],
        challenges: Challenges,
        xi: int,
        points: list[Point],
    ) -> SnarkjsProof:
        from .kernels.fields import FR

        self.enter("openings")
        fixed = self.polynomials.coefficients
        next_point = xi * domain_root(self.polynomials.power) % ORDER
        opened = [named["a"], named["b"], named["c"], fixed["s1"], fixed["s2"]]
        evaluations = [FR.evaluate(poly, xi) for poly in opened]
        evaluations.append(FR.evaluate(named["z"], next_point))
        v = challenge(scalars=[xi, *evaluations])
        linear, scalars, constant = self.linearisation(named, parts, public, challenges, xi, evaluations)
        weights = [pow(v, power, ORDER) for power in range(1, 6)]
        constant -= sum(weight * value for weight, value in zip(weights, evaluations, strict=False))
        opening = open_batch([*linear, *opened], [*scalars, *weights], constant, xi)
        next_opening = open_batch([named["z"]], [1], -evaluations[5], next_point)
        self.enter("commit openings")
        points = points + self.commit([opening, next_opening])
        return SnarkjsProof(points=tuple(points), evaluations=tuple(evaluations))

    def linearisation(
        self,
        named: Mapping[str, FieldArray],
        parts: Sequence[FieldArray],
        public: Sequence[int],
        challenges: Challenges,
        xi: int,
        evaluations: Sequence[int],
    ) -> tuple[list[FieldArray], list[int], int]:
        """Polynomials, scalars and constant of R, which vanishes at xi."""
        a, b, c, s1, s2, zw = evaluations
        beta, gamma, alpha = challenges.beta, challenges.gamma, challenges.alpha
        opening = open_at(self.polynomials.power, xi, public)
        permuted = (a + beta * s1 + gamma) * (b + beta * s2 + gamma) % ORDER
        straight = (a + beta * xi + gamma) * (b + beta * K1 * xi + gamma) * (c + beta * K2 * xi + gamma) % ORDER
        fixed = self.polynomials.coefficients
        terms = [
            (fixed["qm"], a * b),
            (fixed["ql"], a),
            (fixed["qr"], b),
            (fixed["qo"], c),
            (fixed["qc"], 1),
            (named["z"], alpha * straight + opening.first * alpha**2),
            (fixed["s3"], -alpha * beta * permuted * zw),
            (parts[0], -opening.vanishing),
            (parts[1], -opening.vanishing * opening.power_n),
            (parts[2], -opening.vanishing * opening.power_n**2),
        ]
        constant = opening.public - opening.first * alpha**2 - alpha * permuted * (c + gamma) % ORDER * zw
        return [poly for poly, _ in terms], [scalar for _, scalar in terms], constant
