"""The OpenAPI 3.1 document, made from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .authorization_header import HEADER

if TYPE_CHECKING:
    from .routes import Operation

_STRING: dict[str, Any] = {"type": "string"}
_INTEGER: dict[str, Any] = {"type": "integer"}
_WEI: dict[str, Any] = {"type": "string", "pattern": "^[0-9]+$", "description": "wei, decimal"}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _record(required: Iterable[str] = (), /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_EXTENSION = _record((), dats=_list(_INTEGER), proof_system=_STRING)
_USAGE = _record(("prompt_tokens", "total_tokens"), prompt_tokens=_INTEGER, total_tokens=_INTEGER)
_TENSOR = _record(
    ("name", "shape", "datatype", "data"), name=_STRING, shape=_list(_INTEGER), datatype=_STRING, data=_list({})
)
_EMBEDDING = _record((), object=_STRING, index=_INTEGER, embedding={"type": ["array", "string"]})


def _schemas() -> dict[str, Any]:
    gas = _record((), flops=_INTEGER, memory_bytes_peak=_INTEGER, compute_gas=_INTEGER)
    error = _record(
        ("message", "type", "param", "code"),
        message=_STRING,
        type=_STRING,
        param={"type": ["string", "null"]},
        code=_STRING,
        quote=_ref("Quote"),
    )
    return {
        "Error": _record(("error",), error=error),
        "Lazai": _record(
            (),
            request_id=_STRING,
            model_digest=_STRING,
            determinism=_STRING,
            job_ids=_list(_STRING),
            gas=gas,
            cost=_WEI,
            transaction=_STRING,
            block=_STRING,
            height=_INTEGER,
            worker=_STRING,
            proof_system=_STRING,
            receipts=_list(_STRING),
            verified=_list(_STRING),
            replayed={"type": "boolean"},
        ),
        "EmbeddingsRequest": _record(
            ("model", "input"),
            model=_STRING,
            input={"type": ["string", "array"]},
            user=_STRING,
            lazai=_EXTENSION,
            encoding_format={"enum": ["float", "base64"]},
        ),
        "Embeddings": _record(
            (), object=_STRING, data=_list(_EMBEDDING), model=_STRING, usage=_USAGE, lazai=_ref("Lazai")
        ),
        "InferRequest": _record(
            ("inputs",),
            id=_STRING,
            inputs=_list(_TENSOR),
            outputs=_list(_record(("name",), name=_STRING)),
            parameters={"type": "object"},
            lazai=_EXTENSION,
        ),
        "InferResponse": _record(
            (),
            id=_STRING,
            model_name=_STRING,
            model_version=_STRING,
            outputs=_list(_TENSOR),
            parameters={"type": "object"},
            lazai=_ref("Lazai"),
        ),
        "AnyRequest": {"anyOf": [_ref("EmbeddingsRequest"), _ref("InferRequest")]},
        "Model": _record(
            ("id", "object", "created", "owned_by"),
            id=_STRING,
            object=_STRING,
            created=_INTEGER,
            owned_by=_STRING,
            kind=_STRING,
            weights_root=_STRING,
            determinism=_STRING,
            quantization=_STRING,
            max_model_len={"type": ["integer", "null"]},
            price={"type": ["object", "null"]},
        ),
        "ModelList": _record((), object=_STRING, data=_list(_ref("Model"))),
        "Quote": _record(
            (),
            object=_STRING,
            model=_STRING,
            model_digest=_STRING,
            inputs=_INTEGER,
            cost_max=_WEI,
            price_per_gas=_WEI,
            gas=_record((), ai=_INTEGER, inference=_INTEGER, compute_gas=_INTEGER),
            chain_id=_INTEGER,
            node=_STRING,
            settlement=_STRING,
            domain={"type": "object"},
            user=_STRING,
            lane=_STRING,
            next_counter=_STRING,
        ),
        "Nonce": _record((), object=_STRING, user=_STRING, lane=_STRING, next_counter=_STRING),
        "Account": _record(
            (), object=_STRING, user=_STRING, escrow=_WEI, chain_id=_INTEGER, node=_STRING, settlement=_STRING
        ),
    }


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(schema) if schema else {}}}


def _parameter(name: str, place: str, required: bool) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": _STRING}


def _describe(operation: Operation, path: str) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", path)
    parameters = [_parameter(name, "path", True) for name in names]
    parameters += [_parameter(name, "query", False) for name in operation.query]
    if operation.paid:
        parameters.append(_parameter(HEADER, "header", False))
    description: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": re.sub(r"\W+", "_", f"{operation.method.lower()}{path}").strip("_"),
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done", "content": _content(operation.gives)},
            "default": {"description": "Refused or failed", "content": _content("Error")},
        },
    }
    if operation.takes:
        description["requestBody"] = {"required": True, "content": _content(operation.takes)}
    return description


def openapi_document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The document for these routes."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = operation.path.replace(":path}", "}")
        paths.setdefault(path, {})[operation.method.lower()] = _describe(operation, path)
    return {
        "openapi": "3.1.0",
        "info": {"title": "LazAI node", "version": "1", "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": _schemas()},
    }
