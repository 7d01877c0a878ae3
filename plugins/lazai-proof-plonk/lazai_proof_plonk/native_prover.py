"""Proving in native mode: PROTOCOL.md, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import ProvingFailed
from lazai_core.api.proof import Rng

from .blinding import random_scalars
from .domain import open_at
from .keys import Point
from .lookup_counts import count_lookups
from .native_proof import NativeProof
from .native_relation import NativeChallenges, linearisation, opened_here, opened_next
from .native_setup import NativeProvingKey
from .native_transcript import NativeTranscript
from .parameters import ORDER, domain_root
from .rounds import Challenges, grand_product, lookup_sum, open_batch, quotient, split_quotient
from .stages import Stages

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLINDERS = {"a": 2, "b": 2, "c": 3, "m": 2, "z": 3, "s": 3, "t": 2}
"""One more than a column has openings; m and s only with lookups."""
QUOTIENT_DEGREE_EXTRA = 6

FieldArray = Any


class NativeProver:
    """A loaded key. Keep it: the second proof is faster than the first."""

    def __init__(self, key: NativeProvingKey) -> None:
        self.key = key

    def prove(
        self,
        values: NDArray[np.uint64],
        rng: Rng,
        context: bytes = b"",
        stages: Stages | None = None,
        cancel: CancelToken | None = None,
    ) -> tuple[bytes, tuple[int, ...]]:
        """The proof's bytes and the public values, from all wires' values `[variables, 4]` in Montgomery form.

        Raises ProvingFailed where the values do not satisfy the circuit, Cancelled.
        """
        if len(values) != self.key.variables:
            raise ProvingFailed(f"{len(values)} values were given, the circuit has {self.key.variables} wires")
        return _Run(self.key, values, rng, context, stages or Stages(), cancel or CancelToken()).prove()


class _Run:
    """One proof on its way: columns, blinded coefficients and commitments by name."""

    def __init__(
        self,
        key: NativeProvingKey,
        values: NDArray[np.uint64],
        rng: Rng,
        context: bytes,
        stages: Stages,
        cancel: CancelToken,
    ) -> None:
        from .kernels.fields import FR

        self.key, self.polynomials, self.lookups = key, key.polynomials, key.key.lookups
        self.stages, self.cancel = stages, cancel
        self.enter("wires")
        self.columns = [_column(wires, values, key.key.domain_size) for wires in key.maps]
        self.public = tuple(FR.decode(np.ascontiguousarray(self.columns[0][: key.key.public])))
        self.blinders = {name: random_scalars(rng, count) for name, count in BLINDERS.items()}
        self.transcript = NativeTranscript(key.key, self.public, context)
        self.coefficients: dict[str, FieldArray] = {}
        self.points: dict[str, Point] = {}

    def enter(self, stage: str) -> None:
        self.cancel.raise_if_cancelled()
        self.stages.enter(stage)

    def commit(self, stage: str, polynomials: Mapping[str, FieldArray]) -> None:
        """Commit, remember and absorb, in the given order."""
        self.enter(stage)
        points = self.polynomials.commit(list(polynomials.values()))
        self.coefficients |= polynomials
        for name, point in zip(polynomials, points, strict=True):
            self.points[name] = point
            self.transcript.point(name, point)

    def prove(self) -> tuple[bytes, tuple[int, ...]]:
        counts = self._commit_wires()
        challenges = self._commit_arguments(counts)
        zeta = self._commit_quotient(challenges)
        known = NativeChallenges(
            beta=challenges.beta,
            gamma=challenges.gamma,
            eta=challenges.eta,
            chi=challenges.chi,
            alpha=challenges.alpha,
            zeta=zeta,
        )
        evaluations = self._open(known)
        self.stages.enter("")
        proof = NativeProof(lookups=self.lookups, points=self.points, evaluations=evaluations)
        return proof.encode(), self.public

    def _commit_wires(self) -> FieldArray | None:
        named = dict(zip("abc", self.columns, strict=True))
        counts = None
        if self.lookups:
            self.enter("lookup counts")
            counts = named["m"] = count_lookups(self.polynomials.values, self.columns)
        self.enter("wires")
        blinded = {name: self.polynomials.interpolate(column, self.blinders[name]) for name, column in named.items()}
        self.commit("commit wires", blinded)
        return counts

    def _commit_arguments(self, counts: FieldArray | None) -> Challenges:
        beta, gamma = self.transcript.challenge("beta"), self.transcript.challenge("gamma")
        eta = chi = 0
        if self.lookups:
            eta, chi = self.transcript.challenge("eta"), self.transcript.challenge("chi")
        self.enter("permutation")
        made = {"z": grand_product(self.polynomials, self.columns, beta, gamma)}
        if counts is not None:
            self.enter("lookup sum")
            early = Challenges(beta=beta, gamma=gamma, alpha=0, eta=eta, chi=chi)
            made["s"] = lookup_sum(self.polynomials, self.columns, counts, early)
        blinded = {name: self.polynomials.interpolate(values, self.blinders[name]) for name, values in made.items()}
        self.commit("commit permutation", blinded)
        alpha = self.transcript.challenge("alpha")
        return Challenges(beta=beta, gamma=gamma, alpha=alpha, eta=eta, chi=chi)

    def _commit_quotient(self, challenges: Challenges) -> int:
        self.enter("quotient")
        size = self.polynomials.size
        whole = quotient(self.polynomials, self.public, self.coefficients, challenges, 3 * size + QUOTIENT_DEGREE_EXTRA)
        parts = split_quotient(whole, size, self.blinders["t"])
        self.commit("commit quotient", dict(zip(("t_low", "t_mid", "t_high"), parts, strict=True)))
        return self.transcript.challenge("zeta")

    def _open(self, challenges: NativeChallenges) -> dict[str, int]:
        from .kernels.fields import FR

        self.enter("openings")
        zeta, eta = challenges.zeta, challenges.eta
        next_point = zeta * domain_root(self.polynomials.power) % ORDER
        columns: dict[str, FieldArray] = {**self.polynomials.coefficients, **self.coefficients}
        if self.lookups:
            columns["table"] = FR.linear_combination([columns[n] for n in ("t1", "t2", "t3")], [1, eta, eta * eta])
        here, after = opened_here(self.lookups), opened_next(self.lookups)
        evaluations = {name: FR.evaluate(columns[name], zeta) for name in here[:5]}
        evaluations |= {name + "_next": FR.evaluate(columns[name], next_point) for name in after[:2]}
        evaluations |= {name: FR.evaluate(columns[name], zeta) for name in here[5:]}
        evaluations |= {name + "_next": FR.evaluate(columns[name], next_point) for name in after[2:]}
        for name, value in evaluations.items():
            self.transcript.scalar(name, value)
        v = self.transcript.challenge("v")
        opening = open_at(self.polynomials.power, zeta, self.public)
        scalars, constant = linearisation(evaluations, challenges, opening, self.lookups)
        weights = _powers(v, len(here) + 1)
        constant -= sum(weight * evaluations[name] for weight, name in zip(weights[1:], here, strict=True))
        polys = [columns[name] for name in scalars] + [columns[name] for name in here]
        w = open_batch(polys, [*scalars.values(), *weights[1:]], constant, zeta)
        next_constant = -sum(weight * evaluations[f"{name}_next"] for weight, name in zip(weights, after, strict=False))
        w_next = open_batch([columns[n] for n in after], weights[: len(after)], next_constant, next_point)
        self.commit("commit openings", {"w": w, "w_next": w_next})
        return evaluations


def _powers(base: int, count: int) -> Sequence[int]:
    return [pow(base, power, ORDER) for power in range(count)]


def _column(wires: NDArray[Any], values: NDArray[np.uint64], size: int) -> FieldArray:
    column = np.empty((size, 4), dtype=np.uint64)
    column[: len(wires)] = values[wires]
    column[len(wires) :] = values[0]
    return column
