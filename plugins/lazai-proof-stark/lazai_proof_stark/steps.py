"""The prover's three long steps, on this processor or on the device of a coprocessor: the same bytes either way.

Everything else (the witness, the functionals, the batched sumcheck of products) works on integers of the run and stays
on this processor.
"""

from __future__ import annotations

from typing import Protocol

from . import commitment, fractions
from .commitment import CodeParameters, Committed, Shape
from .field import Extension
from .fractions import LeafClaim
from .kernels.arrays import Words
from .messages import Sender


class Commitment(Protocol):
    """What a prover keeps of a polynomial it committed to."""

    @property
    def shape(self) -> Shape:
        """Sizes and parameters."""

    @property
    def cap(self) -> Words:
        """What the verifier holds: `uint32[2^cap_height, 8]`."""


class Steps(Protocol):
    """Where the long vectors are worked on."""

    def commit(self, values: Words, parameters: CodeParameters) -> Commitment:
        """Commit to `uint32[2^v]` in Montgomery form; see `commitment.commit`."""

    def open_weighted(self, committed: Commitment, weights: Words, channel: Sender) -> list[Extension]:
        """Prove <f, w> = s and give the point; see `commitment.open_weighted`. The weights may be overwritten."""

    def prove_zero_sum(self, p: Words, q: Words, channel: Sender) -> LeafClaim:
        """Prove that fractions add up to zero; see `fractions.prove_zero_sum`. The arrays may be overwritten."""


class ProcessorSteps:
    """The numba kernels."""

    def commit(self, values: Words, parameters: CodeParameters) -> Committed:
        return commitment.commit(values, parameters)

    def open_weighted(self, committed: Commitment, weights: Words, channel: Sender) -> list[Extension]:
        assert isinstance(committed, Committed), "a key is used with the steps that made it"
        return commitment.open_weighted(committed, weights, channel)

    def prove_zero_sum(self, p: Words, q: Words, channel: Sender) -> LeafClaim:
        return fractions.prove_zero_sum(p, q, channel)


PROCESSOR: Steps = ProcessorSteps()
