"""EZKL on the same model, in a process of its own: `python -m lazai_proof_stark.benchmarks.ezkl_peer FOLDER`.

FOLDER holds `network.onnx` and `input.json`. The last line of the output is JSON with the seconds of each step. A
set-up string is made here: without a ceremony it is worth nothing, and for a measurement it is just as good.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lazai_core.api.errors import BackendUnavailable, ComputeError

from .exact_models import Prepared


def is_installed() -> bool:
    """Whether the peer is there; it is not imported."""
    return find_spec("ezkl") is not None


def run_peer(prepared: Prepared, folder: Path, seconds: float) -> Mapping[str, float]:
    """Seconds of each step. Raises BackendUnavailable, ComputeError when it fails or does not finish."""
    if not is_installed():
        raise BackendUnavailable("ezkl is not installed", hint="pip install ezkl==23.0.5")
    if not prepared.onnx:
        raise ComputeError(f"{prepared.name} has no ONNX form for the peer")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.onnx").write_bytes(prepared.onnx)
    (folder / "input.json").write_text(json.dumps({"input_data": [list(prepared.sample)]}), encoding="utf-8")
    command = [sys.executable, "-m", "lazai_proof_stark.benchmarks.ezkl_peer", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as cause:
        raise ComputeError(f"ezkl did not finish {prepared.name} in {seconds:.0f} s") from cause
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ComputeError(f"ezkl failed on {prepared.name} with exit code {done.returncode}: {last[:300]}")
    found: Mapping[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


async def _steps(folder: Path) -> dict[str, float]:
    import ezkl

    names = ("network.onnx", "input.json", "settings.json", "network.ezkl", "srs", "vk", "pk", "witness.json", "proof")
    model, data, settings, compiled, srs, vk, pk, witness, proof = (str(folder / name) for name in names)
    times: dict[str, float] = {}

    async def step(name: str, call: Any) -> None:
        started = time.perf_counter()
        result = call()
        if inspect.isawaitable(result):
            result = await result
        if result is False:
            raise ComputeError(f"ezkl's step {name} failed")
        times[name] = time.perf_counter() - started

    await step("gen_settings", lambda: ezkl.gen_settings(model, settings))
    await step("calibrate", lambda: ezkl.calibrate_settings(data, model, settings, "resources"))
    await step("compile", lambda: ezkl.compile_circuit(model, compiled, settings))
    rows = int(json.loads(Path(settings).read_text(encoding="utf-8"))["run_args"]["logrows"])
    await step("srs", lambda: ezkl.gen_srs(srs, rows))
    await step("setup", lambda: ezkl.setup(compiled, vk, pk, srs_path=srs))
    await step("witness", lambda: ezkl.gen_witness(data, compiled, witness))
    await step("prove", lambda: ezkl.prove(witness, compiled, pk, proof, srs_path=srs))
    await step("verify", lambda: ezkl.verify(proof, settings, vk, srs_path=srs))
    times["proof_bytes"] = float(Path(proof).stat().st_size)
    return times


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_steps(Path(sys.argv[1])))) + "\n")
