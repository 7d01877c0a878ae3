"""EZKL beside the benchmark: found, missing, too large, failing; with a stand-in of its steps, which take minutes."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from lazai_core.api.errors import BackendUnavailable, ComputeError
from lazai_proof_stark import bench
from lazai_proof_stark.benchmarks import ezkl_peer
from lazai_proof_stark.benchmarks.exact_models import GIB, MODELS
from lazai_proof_stark.benchmarks.ezkl_peer import COMPARED, MEMORY_BYTES, peer_python, run_peer

STAND_IN = """
import json, pathlib

def gen_settings(model, settings):
    assert pathlib.Path(model).stat().st_size > 100
    pathlib.Path(settings).write_text(json.dumps({"run_args": {"logrows": 7}}))

async def calibrate_settings(data, model, settings, target):
    return len(json.loads(pathlib.Path(data).read_text())["input_data"][0]) > 0

def compile_circuit(model, compiled, settings):
    return True

def gen_srs(path, rows):
    pathlib.Path(path).write_bytes(bytes(rows))

def setup(compiled, vk, pk, srs_path):
    assert pathlib.Path(srs_path).stat().st_size == 7

async def gen_witness(data, compiled, witness):
    return {}

def prove(witness, compiled, pk, proof, srs_path):
    pathlib.Path(proof).write_bytes(bytes(100))

def verify(proof, settings, vk, srs_path):
    return ACCEPTED
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, *, accepted: bool = True) -> None:
    """A Python that imports this in place of ezkl."""
    (folder / "ezkl.py").write_text(STAND_IN.replace("ACCEPTED", str(accepted)), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("LAZAI_EZKL_PYTHON", sys.executable)


def test_the_peers_steps_are_timed_and_its_string_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch)
    strings = tmp_path / "strings"
    monkeypatch.setenv("LAZAI_EZKL_SRS", str(strings))
    prepared = MODELS["mlp_tiny"]()

    found = run_peer(prepared, tmp_path / "run", 60.0)

    assert {"prove", "verify", "setup", "memory_bytes"} <= set(found)
    assert found["proof_bytes"] == 100
    assert [path.name for path in strings.iterdir()] == ["k7.srs"]
    (strings / "k7.srs").write_bytes(bytes(7))
    written = (strings / "k7.srs").stat().st_mtime_ns
    run_peer(prepared, tmp_path / "again", 60.0)
    assert (strings / "k7.srs").stat().st_mtime_ns == written


def test_a_peer_that_refuses_its_own_proof_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, accepted=False)
    with pytest.raises(ComputeError, match="step verify failed"):
        run_peer(MODELS["mlp_tiny"](), tmp_path / "run", 60.0)


def test_a_peer_that_the_system_kills_ran_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch)
    text = (tmp_path / "ezkl.py").read_text(encoding="utf-8")
    killing = "def prove(*_, **__):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    (tmp_path / "ezkl.py").write_text(text + killing, encoding="utf-8")

    with pytest.raises(ComputeError, match="killed in step prove: this machine's memory ran out"):
        run_peer(MODELS["mlp_tiny"](), tmp_path / "run", 60.0)


def test_the_figures_hold_the_peers_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch)
    options = bench.BenchOptions(names=("mlp_tiny",), seconds=0.1, peer="ezkl", parameters="dev")

    (figures,) = bench.model_figures(options, lambda done, total, text: None).figures

    assert figures.peer.startswith("ezkl: prove 0.0 s")
    assert figures.ratio == figures.peer_seconds / figures.prove_seconds > 0


def test_a_peer_that_does_not_fit_is_said_and_the_figures_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZAI_EZKL_PYTHON", sys.executable)
    monkeypatch.setattr(ezkl_peer.psutil, "virtual_memory", lambda: SimpleNamespace(available=GIB // 2, total=GIB))
    options = bench.BenchOptions(names=("mlp_784",), seconds=0.1, peer="ezkl", parameters="dev")

    (figures,) = bench.model_figures(options, lambda done, total, text: None).figures

    assert figures.peer == "ezkl needs about 1 GiB here, 0.5 are free"
    assert figures.ratio == 0
    assert figures.prove_seconds > 0


def test_a_missing_peer_is_named_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZAI_EZKL_PYTHON", "/nowhere/python")
    with pytest.raises(BackendUnavailable, match="LAZAI_EZKL_PYTHON"):
        peer_python()
    monkeypatch.delenv("LAZAI_EZKL_PYTHON")
    if find_spec("ezkl") is not None:
        pytest.skip("ezkl is installed here")
    (item,) = bench.benchmarks()
    with pytest.raises(BackendUnavailable, match="ezkl is not installed") as refusal:
        item.peers["ezkl"](0.1, lambda done, total, text: None)
    assert "pip install ezkl==23.0.5" in refusal.value.hint


def test_what_is_compared_has_known_sizes_and_files() -> None:
    assert set(COMPARED) <= set(MEMORY_BYTES) <= set(MODELS)
