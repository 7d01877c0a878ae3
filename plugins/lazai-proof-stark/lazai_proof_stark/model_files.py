"""Models, calibration samples and inputs as files: ONNX, exact program files, and JSON `{"input_data": [[...]]}`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lazai_core.api.errors import InvalidInput
from lazai_core.exact.codec import encode_inputs
from lazai_core.exact.compiler.compile import compile_graph
from lazai_core.exact.compiler.float_graph import FloatGraph
from lazai_core.exact.compiler.onnx_import import import_onnx
from lazai_core.exact.compiler.simulate import quantize_input
from lazai_core.exact.model import ExactModel
from lazai_core.exact.program_file import read_program

JSON_BYTES_MAX = 256 * 1024 * 1024
Floats = NDArray[np.float32]


def read_lists(path: Path) -> list[Floats]:
    """One flat array an input from `{"input_data": [[...], ...]}`. Raises InvalidInput, OSError."""
    if path.stat().st_size > JSON_BYTES_MAX:
        raise InvalidInput(f"{path} is longer than {JSON_BYTES_MAX} bytes")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        lists = document["input_data"]
        arrays = [np.asarray(entries, dtype=np.float32).reshape(-1) for entries in lists]
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise InvalidInput(f'{path} is not JSON of the form {{"input_data": [[numbers], ...]}} ({cause})') from cause
    if not arrays or not all(array.size and bool(np.isfinite(array).all()) for array in arrays):
        raise InvalidInput(f"{path}: every input needs finite numbers")
    return arrays


def read_samples(path: Path, graph: FloatGraph) -> list[Mapping[str, Floats]]:
    """Calibration samples, one after another in each list. Raises InvalidInput."""
    lists = read_lists(path)
    if len(lists) != len(graph.inputs):
        raise InvalidInput(f"{path} holds {len(lists)} inputs, the model takes {len(graph.inputs)}")
    parts: list[tuple[str, Floats]] = []
    for declared, flat in zip(graph.inputs, lists, strict=True):
        size = prod(declared.shape)
        if size < 1 or flat.size % size:
            raise InvalidInput(f"{path}: {flat.size} numbers are no samples of {declared.name} with {declared.shape}")
        parts.append((declared.name, flat.reshape(-1, *declared.shape)))
    if len({len(samples) for _, samples in parts}) != 1:
        raise InvalidInput(f"{path} holds another number of samples for each input")
    return [{name: samples[index] for name, samples in parts} for index in range(len(parts[0][1]))]


def load_model(path: Path, calibration: Path | None) -> ExactModel:
    """Compile an ONNX file with its calibration samples, or read an exact program file.

    Raises ModelError, UnsupportedProgram, InvalidInput, EncodingError, OSError.
    """
    if path.suffix.lower() != ".onnx":
        return read_program(path)
    if calibration is None:
        raise InvalidInput(f"{path} is a float model", hint="give --calibration with typical inputs")
    return compile_model(path.read_bytes(), calibration)


def compile_model(onnx: bytes, calibration: Path | Sequence[Mapping[str, Any]]) -> ExactModel:
    """An exact model of ONNX bytes. Raises ModelError, UnsupportedProgram, InvalidInput."""
    graph = import_onnx(onnx)
    samples = read_samples(calibration, graph) if isinstance(calibration, Path) else calibration
    return compile_graph(graph, samples).model


def job_input_of(model: ExactModel, lists: Sequence[Floats]) -> bytes:
    """Job input bytes of one flat float array an input. Raises InvalidInput."""
    program = model.program
    if len(lists) != len(program.inputs):
        raise InvalidInput(f"{len(lists)} inputs were given, the model takes {len(program.inputs)}")
    arrays = []
    for declared, flat in zip(program.inputs, lists, strict=True):
        shape = list(declared.shape)
        if -1 not in shape and flat.size != prod(shape):
            raise InvalidInput(f"input {declared.name} needs {prod(shape)} numbers, {flat.size} were given")
        if -1 in shape and (shape.count(-1) > 1 or flat.size % -prod(shape)):
            raise InvalidInput(f"input {declared.name}: {flat.size} numbers do not fill the shape {declared.shape}")
        arrays.append(np.asarray(quantize_input(declared, flat.reshape(shape))))
    return encode_inputs(program, arrays)
