"""The OpenAPI 3.1 document, made from the table of routes and the schemas in `schemas.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from .authorization_header import HEADER

if TYPE_CHECKING:
    from .routes import Operation

_SCHEMAS = "schemas.json"


def _schemas() -> Any:
    return json.loads(files(__package__).joinpath(_SCHEMAS).read_text(encoding="utf-8"))


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(schema) if schema else {}}}


def _parameter(name: str, place: str, required: bool) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required, "schema": {"type": "string"}}


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
