"""snarkjs, measured on the same files in the same run."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from attrs import frozen

from lazai_core.api.errors import BackendUnavailable

FOLDER_VARIABLE = "LAZAI_SNARKJS"
"""The environment variable with the folder of snarkjs' npm package; without it the command `snarkjs` is looked for."""
CLI = Path("build") / "cli.cjs"
KIBIBYTES_A_GIBIBYTE = 1 << 20


@frozen(kw_only=True)
class PeerTimes:
    """Seconds of `plonk prove` and of `plonk verify`, start-up included; `memory_gib` is the peak of either."""

    prove_seconds: float
    prove_cpu_seconds: float
    verify_seconds: float
    memory_gib: float


def snarkjs_script() -> Path | None:
    """The script that node runs, None where snarkjs or node is not there."""
    if shutil.which("node") is None:
        return None
    folder, command = os.environ.get(FOLDER_VARIABLE), shutil.which("snarkjs")
    script = Path(folder) / CLI if folder else Path(command).resolve() if command else None
    return script if script is not None and script.is_file() else None


def require_snarkjs() -> None:
    """Raises BackendUnavailable with what to install."""
    if snarkjs_script() is None:
        raise BackendUnavailable(
            "snarkjs is not installed", hint=f"npm install snarkjs@0.7.6, and set {FOLDER_VARIABLE} to its folder"
        )


def measure(script: Path, zkey: bytes, witness: bytes, key_json: str) -> PeerTimes:
    """Prove and verify once. Raises CalledProcessError where snarkjs fails."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "k.zkey").write_bytes(zkey)
        (place / "w.wtns").write_bytes(witness)
        (place / "k.json").write_text(key_json)
        prove, prove_cpu = _timed(script, place, "prove", "k.zkey", "w.wtns", "proof.json", "public.json")
        verify, _ = _timed(script, place, "verify", "k.json", "public.json", "proof.json")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return PeerTimes(
        prove_seconds=prove,
        prove_cpu_seconds=prove_cpu,
        verify_seconds=verify,
        memory_gib=peak / KIBIBYTES_A_GIBIBYTE,
    )


def _timed(script: Path, place: Path, action: str, *files: str) -> tuple[float, float]:
    """Wall and processor seconds of one command."""
    command = ["node", "--no-warnings", str(script), "plonk", action, *(str(place / each) for each in files)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
