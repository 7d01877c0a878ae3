"""EZKL on the same model in the same run, as a process of its own.

EZKL may live in another environment than the node: `LAZAI_EZKL_PYTHON` names a Python that has it. `LAZAI_EZKL_SRS`
names a folder that keeps set-up strings between runs; making one takes minutes, and its time is not counted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import psutil

from lazai_core.api.errors import BackendUnavailable, ComputeError

from .exact_models import GIB, Prepared

PYTHON_VARIABLE, STRINGS_VARIABLE = "LAZAI_EZKL_PYTHON", "LAZAI_EZKL_SRS"
PEER_VERSION = "23.0.5"
MEMORY_BYTES: Mapping[str, float] = {
    "mlp_784": GIB,
    "lenet_max": 11 * GIB,
    "tf1_relu": 20 * GIB,
    "tf1_gelu": 20 * GIB,
    "cnn_264k": 23 * GIB,
    "dense_4m": 23 * GIB,
}
"""What the peer takes at its peak, measured; of the last two only that 22 GiB are too little."""
COMPARED = ("mlp_784", "lenet_max", "tf1_relu")
"""The models for which the peer has finished on a machine of 24 GiB."""


def peer_python() -> str:
    """The Python that has the peer. Raises BackendUnavailable."""
    named = os.environ.get(PYTHON_VARIABLE, "")
    if named:
        if not Path(named).is_file():
            raise BackendUnavailable(f"{PYTHON_VARIABLE} names {named}, which is no file")
        return named
    if find_spec("ezkl") is None:
        raise BackendUnavailable(
            "ezkl is not installed",
            hint=f"pip install ezkl=={PEER_VERSION}, or let {PYTHON_VARIABLE} name a Python that has it",
        )
    return sys.executable


def run_peer(prepared: Prepared, folder: Path, seconds: float) -> Mapping[str, float]:
    """Seconds of each step, and bytes. Raises BackendUnavailable, ComputeError when it fails or does not finish."""
    python = peer_python()
    if not prepared.onnx:
        raise ComputeError(f"{prepared.name} has no ONNX form for ezkl")
    needed, free = MEMORY_BYTES.get(prepared.name, 0.0), float(psutil.virtual_memory().available)
    if needed > free:
        raise ComputeError(f"ezkl needs about {needed / GIB:.0f} GiB here, {free / GIB:.1f} are free")
    folder.mkdir(parents=True, exist_ok=True)
    strings = Path(os.environ.get(STRINGS_VARIABLE, "") or folder)
    strings.mkdir(parents=True, exist_ok=True)
    (folder / "network.onnx").write_bytes(prepared.onnx)
    (folder / "input.json").write_text(json.dumps({"input_data": [list(prepared.sample)]}), encoding="utf-8")
    command = [python, str(Path(__file__).with_name("ezkl_steps.py")), str(folder), str(strings)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as cause:
        raise ComputeError(f"ezkl did not finish in {seconds:.0f} s") from cause
    if done.returncode == -signal.SIGKILL:
        step = (done.stderr.strip().splitlines() or ["the first step"])[-1]
        raise ComputeError(f"ezkl was killed in step {step[:40]}: this machine's memory ran out")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ComputeError(f"ezkl ended with exit code {done.returncode}: {last[:300]}")
    found: Mapping[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
