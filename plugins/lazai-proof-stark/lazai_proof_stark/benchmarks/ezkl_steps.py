"""EZKL's steps on one model, for a Python of its own: `python ezkl_steps.py FOLDER SRS`. Needs nothing but ezkl.

FOLDER holds `network.onnx` and `input.json`; SRS is a folder that keeps set-up strings between runs. The last line of
the output is JSON with the seconds of each step, the proof's bytes and the peak memory of this process. The set-up
string is made here: without a ceremony it is worth nothing, and for a measurement it is just as good.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


async def steps(folder: Path, strings: Path) -> dict[str, float]:
    """Seconds of each step. Raises RuntimeError where EZKL says no."""
    import ezkl

    names = ("network.onnx", "input.json", "settings.json", "network.ezkl", "vk", "pk", "witness.json", "proof")
    model, data, settings, compiled, vk, pk, witness, proof = (str(folder / name) for name in names)
    times: dict[str, float] = {}

    async def step(name: str, call: Callable[[], Any]) -> None:
        sys.stderr.write(f"{name}\n")
        started = time.perf_counter()
        result = call()
        if inspect.isawaitable(result):
            result = await result
        if result is False:
            raise RuntimeError(f"step {name} failed")
        times[name] = time.perf_counter() - started

    await step("gen_settings", lambda: ezkl.gen_settings(model, settings))
    await step("calibrate", lambda: ezkl.calibrate_settings(data, model, settings, "resources"))
    await step("compile", lambda: ezkl.compile_circuit(model, compiled, settings))
    rows = int(json.loads(Path(settings).read_text(encoding="utf-8"))["run_args"]["logrows"])
    srs = str(strings / f"k{rows}.srs")
    if not Path(srs).is_file():
        await step("srs", lambda: _make_string(srs, rows))
    await step("setup", lambda: ezkl.setup(compiled, vk, pk, srs_path=srs))
    await step("witness", lambda: ezkl.gen_witness(data, compiled, witness))
    await step("prove", lambda: ezkl.prove(witness, compiled, pk, proof, srs_path=srs))
    await step("verify", lambda: ezkl.verify(proof, settings, vk, srs_path=srs))
    times["log_rows"] = float(rows)
    times["proof_bytes"] = float(Path(proof).stat().st_size)
    times["memory_bytes"] = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return times


def _make_string(path: str, rows: int) -> None:
    """Made beside its place, so that a run that is cut off leaves no half of one."""
    import ezkl

    ezkl.gen_srs(f"{path}.part", rows)
    Path(f"{path}.part").rename(path)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(steps(Path(sys.argv[1]), Path(sys.argv[2])))) + "\n")
