"""A sample program: an exact model with a way to make inputs for it, and claims about its runs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from attrs import field, frozen

from lazai_core.api.compute import TraceHandle
from lazai_core.api.job import ComputeJob
from lazai_core.api.program import DType, Scale
from lazai_core.api.program_rules import Dim
from lazai_core.api.proof import Statement
from lazai_core.exact.builder import ProgramBuilder, Value
from lazai_core.exact.codec import encode_inputs
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.model import ExactModel
from lazai_core.exact.reference import ReferenceRun, run_job

if TYPE_CHECKING:
    from lazai_core.exact.model import IntArray

CHAIN_ID = 1612


class Fill(StrEnum):
    """What the elements of generated inputs are: random, all at an end of the interval, or both ends mixed."""

    RANDOM = "random"
    LOW = "low"
    HIGH = "high"
    ENDS = "ends"


class Draws:
    """Uniform integers from a seed by SHAKE-128: the same on every machine and with every version of numpy."""

    def __init__(self, seed: int) -> None:
        self._seed = b"lazai/testing/draws/v1" + seed.to_bytes(8, "big")
        self._count = 0

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> IntArray:
        """Integers from `low` to `high`, both included."""
        self._count += 1
        stream = hashlib.shake_128(self._seed + self._count.to_bytes(8, "big"))
        words = np.frombuffer(stream.digest(8 * math.prod(shape)), dtype="<u8")
        # The bias of the remainder is below 2^-30 for every range a program can have.
        return (words % np.uint64(high - low + 1)).astype(np.int64).reshape(shape) + low


@frozen(kw_only=True)
class Sample:
    """A named model. `dims` are the values of the symbolic dimension worth trying; (0,) where there is none."""

    name: str
    model: ExactModel = field(repr=False)

    @property
    def dims(self) -> tuple[int, ...]:
        """The ends of the symbolic dimension and one value between, ascending."""
        dim = self.model.program.dim
        if dim is None:
            return (0,)
        return tuple(sorted({dim.minimum, (dim.minimum + dim.maximum) // 2, dim.maximum}))

    def job_input(self, *, seed: int = 0, fill: Fill = Fill.RANDOM, dim_value: int | None = None) -> bytes:
        """Job input bytes with every element in its interval."""
        program = self.model.program
        bound = program.bind(self.dims[-1] if dim_value is None else dim_value)
        draws = Draws(seed)
        arrays = [
            filled(draws, fill, value.low, value.high, bound.shapes[index])
            for index, value in enumerate(program.inputs)
        ]
        return encode_inputs(program, arrays, bound.dim_value)

    def run(self, job_input: bytes, *, keep_trace: bool = False) -> ReferenceRun:
        """What the reference makes of it."""
        return run_job(self.model, job_input, keep_trace=keep_trace)


@frozen(kw_only=True)
class Claim:
    """A true statement about one run of a sample, with the job it answers and the trace that proves it."""

    sample: Sample
    job: ComputeJob
    statement: Statement
    trace: TraceHandle = field(repr=False)


def make_claim(
    sample: Sample,
    *,
    proof_system: str,
    seed: int = 0,
    fill: Fill = Fill.RANDOM,
    dim_value: int | None = None,
    chain_id: int = CHAIN_ID,
) -> Claim:
    """Run a sample on the reference and state the outcome."""
    job_input = sample.job_input(seed=seed, fill=fill, dim_value=dim_value)
    outcome = sample.run(job_input, keep_trace=True)
    assert outcome.trace is not None
    digest = sample.model.program.digest()
    job = ComputeJob(chain_id=chain_id, model=digest, input=job_input, proof_system=proof_system)
    statement = Statement(
        program_digest=digest,
        job_id=job.job_id,
        chain_id=chain_id,
        input=job_input,
        output=outcome.output_bytes(),
        usage=planned_usage(outcome.bound),
    )
    return Claim(sample=sample, job=job, statement=statement, trace=outcome.trace)


class SampleBuilder(ProgramBuilder):
    """A program builder with a seeded source of constants."""

    def __init__(self, seed: int, dim: Dim | None = None) -> None:
        super().__init__(dim)
        self._draws = Draws(seed)

    def draw(self, low: int, high: int, *shape: int) -> IntArray:
        """Integers from `low` to `high`, both included."""
        return self._draws.integers(low, high, shape)

    def narrow(self, value: Value, *, shift: int, dtype: DType = DType.INT8) -> Value:
        """Requantised with one shift."""
        return self.requantize(value, shift=shift, dtype=dtype)

    def relu(self, value: Value, *, shift: int) -> Value:
        """Requantised to int8 without negative values."""
        return self.requantize(value, shift=shift, dtype=DType.INT8, low=0)

    def linear(self, x: Value, outputs: int, *, shift: int, dtype: DType = DType.INT8) -> Value:
        """A dense layer with random weights, requantised."""
        weight = self.draw(-127, 127, outputs, x.shape[-1])
        return self.narrow(self.dense(x, weight, self.draw(-999, 999, outputs)), shift=shift, dtype=dtype)


def finish(name: str, builder: ProgramBuilder, **outputs: Value) -> Sample:
    """Name the outputs and build."""
    for output, value in outputs.items():
        builder.output(output, value, scale=Scale(mantissa=1, exponent=-4))
    return Sample(name=name, model=builder.build())


Recipe = Callable[[], Sample]


def filled(draws: Draws, fill: Fill, low: int, high: int, shape: tuple[int, ...]) -> IntArray:
    """An array whose elements lie in `[low, high]`."""
    if fill is Fill.RANDOM:
        return draws.integers(low, high, shape)
    if fill is Fill.ENDS:
        return np.where(draws.integers(0, 1, shape) == 1, high, low)
    return np.full(shape, low if fill is Fill.LOW else high, dtype=np.int64)
