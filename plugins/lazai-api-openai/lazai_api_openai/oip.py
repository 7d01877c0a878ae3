"""Bodies and answers of the Open Inference Protocol, version 2, with tensors in JSON."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from lazai_core.api.program import DType, Program
from lazai_core.api.service import InferenceOutcome, ServedModel
from lazai_core.api.types import to_hex

from .extension import Extension, ignored_fields, read_extension, refuse_parameters
from .failures import bad_request
from .tensors import (
    REAL_SUFFIX,
    Batch,
    RequestTensor,
    output_names,
    pack_tensors,
    read_tensor,
    unpack_outputs,
)

PLATFORM = "lazai_exact_int"
MODEL_VERSION = "1"
_TENSORS_MAX = 64
_USED = ("id", "inputs", "outputs", "parameters", "lazai")
_REFUSED_PARAMETERS = {
    "binary_data_output": "outputs stand in the JSON",
    "sequence_id": "requests do not depend on each other",
    "sequence_start": "requests do not depend on each other",
    "sequence_end": "requests do not depend on each other",
}
_REFUSED_OUTPUT_PARAMETERS = {
    "binary_data": "outputs stand in the JSON",
    "classification": "take the largest logit yourself",
}


@frozen(kw_only=True)
class InferBody:
    """A parsed body. `outputs` are the names asked for, empty for all."""

    model_name: str
    request_name: str
    tensors: tuple[RequestTensor, ...]
    outputs: tuple[str, ...]
    inputs_max: int
    extension: Extension
    ignored: tuple[str, ...]

    def prepare(self, model: ServedModel) -> InferWork:
        """Quantise and pack for this model. Raises ApiFailure."""
        names = output_names(model.program)
        for name in self.outputs:
            if name not in names:
                raise bad_request(f"there is no output {name[:80]!r}; there are {', '.join(names)}", "outputs")
        batch = pack_tensors(model.program, self.tensors, self.inputs_max)
        return InferWork(model_name=model.name, request_name=self.request_name, batch=batch, outputs=self.outputs)


@frozen(kw_only=True)
class InferWork:
    """Job inputs of one body, and how their outputs become the answer."""

    model_name: str
    request_name: str
    batch: Batch
    outputs: tuple[str, ...]

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Job inputs."""
        return self.batch.inputs

    @property
    def tokens(self) -> int:
        """Tensors have no tokens."""
        return 0

    def render(self, outcome: InferenceOutcome) -> dict[str, Any]:
        """The answer in the protocol's shape."""
        answer: dict[str, Any] = {
            "model_name": self.model_name,
            "model_version": MODEL_VERSION,
            "outputs": unpack_outputs(self.batch, outcome.outputs, self.outputs),
            "parameters": {"saturated": self.batch.saturated},
        }
        return {"id": self.request_name} | answer if self.request_name else answer


def parse_infer(model_name: str, fields: dict[str, Any], inputs_max: int) -> InferBody:
    """Read a body. Raises ApiFailure (400) naming the parameter."""
    request_name = fields.get("id") or ""
    if not isinstance(request_name, str) or len(request_name) > 256:
        raise bad_request("id must be a text of at most 256 characters", "id")
    parameters = _object(fields, "parameters")
    refuse_parameters(parameters, _REFUSED_PARAMETERS)
    ignored = ignored_fields(fields, _USED)
    ignored += tuple(f"parameters.{name}" for name in ignored_fields(parameters, ()) if name != "?")
    tensors = fields.get("inputs")
    if not isinstance(tensors, list) or not 0 < len(tensors) <= _TENSORS_MAX:
        raise bad_request(f"inputs must be a list of 1 to {_TENSORS_MAX} tensors", "inputs")
    return InferBody(
        model_name=model_name,
        request_name=request_name,
        tensors=tuple(read_tensor(item, index) for index, item in enumerate(tensors)),
        outputs=_read_outputs(fields.get("outputs")),
        inputs_max=inputs_max,
        extension=read_extension(fields.get("lazai")),
        ignored=ignored,
    )


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_request(f"{name} must be an object", name)
    return value


def _read_outputs(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > 2 * _TENSORS_MAX:
        raise bad_request("outputs must be a list", "outputs")
    names: list[str] = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise bad_request("outputs must hold objects with a name", "outputs")
        refuse_parameters(_object(item, "parameters"), _REFUSED_OUTPUT_PARAMETERS)
        names.append(item["name"])
    return tuple(names)


def describe_model(model: ServedModel) -> dict[str, Any]:
    """Metadata of a model, as `GET /v2/models/{name}` gives it."""
    return {
        "name": model.name,
        "versions": [MODEL_VERSION],
        "platform": PLATFORM,
        "inputs": [
            _describe(value.name, value.dtype.name, value.shape)
            | {"parameters": {"low": value.low, "high": value.high, "scale": value.scale.to_float()}}
            for value in model.program.inputs
        ],
        "outputs": _describe_outputs(model.program),
        "parameters": {
            "digest": to_hex(model.model),
            "kind": model.manifest.kind,
            "labels": list(model.manifest.labels),
        },
    }


def _describe(name: str, datatype: str, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def _describe_outputs(program: Program) -> list[dict[str, Any]]:
    result = []
    for output in program.outputs:
        shape = program.values[output.value].shape
        result.append(_describe(output.name, DType.INT32.name, shape))
        if output.scale.mantissa:
            result.append(_describe(output.name + REAL_SUFFIX, "FP32", shape))
    return result
