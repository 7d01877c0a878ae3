"""The prover's three long steps, on this processor or on the device of a coprocessor: the same bytes either way.

Everything else (the witness, the functionals, the batched sumcheck of products) works on integers of the run and stays
on this processor.
"""

from __future__ import annotations

import threading
from typing import Protocol

from lazai_core.api.compute import Coprocessor
from lazai_core.api.errors import AssemblyError, BackendUnavailable, ComputeError

from . import commitment, fractions
from .commitment import CodeParameters, Committed, Shape
from .field import Extension
from .fraction_levels import FractionLeaves
from .fractions import LeafClaim
from .kernels.arrays import Words
from .messages import Sender
from .windows import WindowedWeights


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

    def open_weighted(
        self, committed: Commitment, weights: Words | WindowedWeights, channel: Sender
    ) -> list[Extension]:
        """Prove <f, w> = s and give the point; see `commitment.open_weighted`. The weights may be overwritten.

        Raises ComputeError for a commitment that was made elsewhere.
        """

    def prove_zero_sum(self, leaves: FractionLeaves, channel: Sender) -> LeafClaim:
        """Prove that fractions add up to zero; see `fractions`. The arrays may be overwritten."""


class ProcessorSteps:
    """The numba kernels."""

    def commit(self, values: Words, parameters: CodeParameters) -> Committed:
        return commitment.commit(values, parameters)

    def open_weighted(
        self, committed: Commitment, weights: Words | WindowedWeights, channel: Sender
    ) -> list[Extension]:
        if not isinstance(committed, Committed):
            raise ComputeError("the key's commitment lies on a device", hint="prove where the key was prepared")
        return commitment.open_weighted(committed, weights, channel)

    def prove_zero_sum(self, leaves: FractionLeaves, channel: Sender) -> LeafClaim:
        return fractions.prove_leaves_zero_sum(leaves, channel)


PROCESSOR: Steps = ProcessorSteps()


class ChosenSteps:
    """Where a proof system works: decided when it first proves, because opening a device takes seconds.

    Raises AssemblyError at once where the configuration wants a coprocessor's kernels and there is none.
    """

    def __init__(self, kernels: str, coprocessor: Coprocessor | None) -> None:
        if kernels == "coprocessor" and coprocessor is None:
            raise AssemblyError(
                "there is no coprocessor whose field kernels could prove", hint='choose kernels = "processor"'
            )
        self._kernels, self._coprocessor = kernels, coprocessor
        self._lock = threading.Lock()
        self._chosen: Steps | None = None

    def get(self) -> Steps:
        """The same every time. Raises BackendUnavailable, ComputeError."""
        with self._lock:
            if self._chosen is None:
                self._chosen = self._choose()
            return self._chosen

    def _choose(self) -> Steps:
        if self._kernels == "processor" or self._coprocessor is None:
            return PROCESSOR
        fields = self._coprocessor.fields
        if fields is None and self._kernels == "coprocessor":
            raise BackendUnavailable(
                f"the coprocessor {self._coprocessor.info.name} has no field kernels",
                hint='choose another coprocessor, or kernels = "processor" for the proof system',
            )
        if fields is None or not (fields.accelerated or self._kernels == "coprocessor"):
            return PROCESSOR
        from .device_steps import DeviceSteps

        return DeviceSteps(fields)
