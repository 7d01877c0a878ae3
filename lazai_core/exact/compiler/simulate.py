"""Runs a compiled program on float inputs through the reference: what the accuracy figures are taken from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lazai_core.api.program import InputValue, Program
from lazai_core.exact.codec import numpy_dtype
from lazai_core.exact.compiler.float_graph import Array
from lazai_core.exact.compiler.options import CompiledModel
from lazai_core.exact.reference import run


def quantize_input(entry: InputValue, values: Array) -> Array:
    """Float values in the units of a program's input, clamped to its interval; ids pass unchanged."""
    scale = entry.scale.to_float() or 1.0
    scaled = np.rint(np.asarray(values, dtype=np.float64) / scale)
    return np.clip(scaled, entry.low, entry.high).astype(numpy_dtype(entry.dtype))


def run_exact(compiled: CompiledModel, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs in real units (indices as integers) of one run on float inputs."""
    program: Program = compiled.program
    arrays = [quantize_input(entry, inputs[entry.name]) for entry in program.inputs]
    result = run(program, compiled.constants, arrays)
    outputs = {}
    for entry, array in zip(program.outputs, result.outputs, strict=True):
        scale = entry.scale.to_float()
        outputs[entry.name] = array * scale if scale else np.asarray(array)
    return outputs
