"""The compiler's entry points: ONNX bytes or a float graph, and calibration samples, to an exact program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lazai_core.exact.compiler.calibrate import Progress, ValueRange, calibrate
from lazai_core.exact.compiler.float_graph import Array, FloatGraph
from lazai_core.exact.compiler.lower import Lowering
from lazai_core.exact.compiler.onnx_import import ImportOptions, import_onnx
from lazai_core.exact.compiler.options import (
    CompiledModel,
    CompileReport,
    QuantizeOptions,
    ValueReport,
)
from lazai_core.exact.compiler.patterns import simplify
from lazai_core.exact.compiler.plan import Plan, make_plan
from lazai_core.exact.compiler.smooth import channel_exponents
from lazai_core.exact.model import ExactModel


# Hostile weights may overflow on the way; calibration refuses whatever is not finite, by name.
@np.errstate(all="ignore")
def compile_onnx(
    model_bytes: bytes,
    calibration: Sequence[Mapping[str, Array]],
    options: QuantizeOptions | None = None,
    *,
    import_options: ImportOptions | None = None,
    progress: Progress | None = None,
) -> CompiledModel:
    """Compile an ONNX model; `calibration` holds typical inputs by name, as the float model takes them.

    The same bytes, samples and options give the same program. Raises `ModelError` for a broken file,
    `UnsupportedProgram` for a node without an exact form, `InvalidInput` for samples that do not fit.
    """
    return compile_graph(import_onnx(model_bytes, import_options), calibration, options, progress=progress)


@np.errstate(all="ignore")
def compile_graph(
    graph: FloatGraph,
    calibration: Sequence[Mapping[str, Array]],
    options: QuantizeOptions | None = None,
    *,
    progress: Progress | None = None,
) -> CompiledModel:
    """Compile a float graph; see `compile_onnx`."""
    options = options or QuantizeOptions()
    graph = simplify(graph)
    exponents: dict[str, Array] = {}

    def choose(simplified: FloatGraph, seen: Mapping[str, ValueRange]) -> Mapping[str, Array]:
        exponents.update(channel_exponents(simplified, seen))
        return exponents

    ranges = calibrate(graph, calibration, choose, progress)
    plan = make_plan(graph, ranges, options, exponents)
    lowering = Lowering(graph, plan, ranges, options)
    model = lowering.run()
    report = _report(model, plan, ranges, len(calibration), lowering.rescales)
    return CompiledModel(model=model, report=report)


def _report(
    model: ExactModel, plan: Plan, ranges: Mapping[str, ValueRange], samples: int, rescales: int
) -> CompileReport:
    values = []
    for name, forms in plan.forms.items():
        described = tuple(
            (form.value, planned.step, (planned.high - planned.low).bit_length())
            for form, planned in sorted(forms.items(), key=lambda item: item[0].value)
        )
        reach = ranges[name].reach if name in ranges else 0.0
        values.append(ValueReport(name=name, reach=reach, forms=described))
    return CompileReport(
        operations=len(model.program.ops),
        constant_bytes=sum(constant.nbytes for constant in model.constants),
        samples=samples,
        rescales=rescales,
        values=tuple(values),
    )
