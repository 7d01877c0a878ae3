"""Float models to exact integer programs: import, calibration, quantisation, lowering.

Entry points, loaded on first use because they need numpy (and onnx for ONNX files): `compile_onnx`,
`compile_graph`, `QuantizeOptions`, `ImportOptions`, `CompiledModel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lazai_core.exact.compiler.compile import compile_graph, compile_onnx
    from lazai_core.exact.compiler.onnx_import import ImportOptions
    from lazai_core.exact.compiler.options import CompiledModel, QuantizeOptions

__all__ = ["CompiledModel", "ImportOptions", "QuantizeOptions", "compile_graph", "compile_onnx"]

_HOMES = {
    "compile_graph": "compile",
    "compile_onnx": "compile",
    "ImportOptions": "onnx_import",
    "CompiledModel": "options",
    "QuantizeOptions": "options",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
