"""`lazai plonk` from circuit to verdict."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from plonk_circuits import mixed_circuit

from lazai_core.api.errors import EncodingError
from lazai_core.api.service import BenchmarkResult
from lazai_proof_plonk import bench
from lazai_proof_plonk.bench import Size
from lazai_proof_plonk.ceremony import CeremonyRefused, insecure_test_powers
from lazai_proof_plonk.cli import _stages, plonk
from lazai_proof_plonk.commands import WrongMode
from lazai_proof_plonk.files.limbs import limbs_from_integers
from lazai_proof_plonk.files.ptau import write_ptau
from lazai_proof_plonk.files.r1cs import write_r1cs
from lazai_proof_plonk.files.wtns import write_wtns
from lazai_proof_plonk.kernels import warm


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    circuit, witness = mixed_circuit(20, 2)
    (tmp_path / "c.r1cs").write_bytes(write_r1cs(circuit))
    (tmp_path / "w.wtns").write_bytes(write_wtns(limbs_from_integers(witness)))
    return tmp_path


def lazai_plonk(*arguments: object, fails: bool = False) -> Result:
    result = CliRunner().invoke(plonk, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception is not None and not fails:
        raise result.exception
    return result


def made(folder: Path, mode: str) -> None:
    key, proof, public = folder / "k", folder / "proof", folder / "public"
    lazai_plonk("setup", "--r1cs", folder / "c.r1cs", "--insecure-test-ceremony", "--mode", mode, "--out", key)
    done = lazai_plonk(
        "prove", "--zkey", key, "--wtns", folder / "w.wtns", "--proof", proof, "--public", public, "--json"
    )
    document = json.loads(done.stdout)
    assert document["mode"] == mode
    assert document["seconds"]["commit wires"] > 0
    lazai_plonk("export-vk", "--zkey", key, "--out", folder / "vk")


@pytest.mark.parametrize("mode", ["snarkjs", "native"])
def test_from_circuit_to_verdict(folder: Path, mode: str) -> None:
    made(folder, mode)
    files = ("--vk", folder / "vk", "--proof", folder / "proof", "--public", folder / "public")
    assert lazai_plonk("verify", *files, "--trust", "insecure-test").return_value == 0
    refused = lazai_plonk("verify", *files, "--json")
    assert refused.return_value == 4
    assert "everybody knows" in json.loads(refused.stdout)["reason"]
    assert lazai_plonk("verify", *files, "--trust", "unknown").return_value == 4
    public = json.loads((folder / "public").read_text())
    wrong: Any
    for wrong in ([*public, "0"], public[:-1], [str(int(public[0]) ^ 1), *public[1:]], [int(public[0])], {}, "x"):
        (folder / "public").write_text(json.dumps(wrong))
        assert lazai_plonk("verify", *files, "--trust", "insecure-test").return_value == 4
    (folder / "proof").write_bytes(b"")
    assert lazai_plonk("verify", *files, "--trust", "insecure-test").return_value == 4


def test_modes_are_not_mixed(folder: Path) -> None:
    made(folder, "native")
    files = ("--proof", folder / "proof", "--public", folder / "public")
    with pytest.raises(WrongMode):
        lazai_plonk("verify", "--vk", folder / "vk", *files, "--mode", "snarkjs")
    with pytest.raises(WrongMode):
        lazai_plonk("prove", "--zkey", folder / "k", "--wtns", folder / "w.wtns", *files, "--mode", "snarkjs")


@pytest.mark.parametrize("mode", ["snarkjs", "native"])
def test_contracts_come_from_either_key(folder: Path, mode: str) -> None:
    made(folder, mode)
    for source in ("k", "vk"):
        lazai_plonk("export-verifier", "--vk", folder / source, "--out", folder / f"{source}.sol", "--name", "Mine")
    assert (folder / "k.sol").read_text() == (folder / "vk.sol").read_text()
    assert "contract Mine {" in (folder / "k.sol").read_text()


def test_info_knows_every_file(folder: Path) -> None:
    (folder / "p.ptau").write_bytes(write_ptau(insecure_test_powers(3)))
    shown = {"c.r1cs": "constraints", "w.wtns": "values", "p.ptau": "insecure-test"}
    for mode in ("snarkjs", "native"):
        made(folder, mode)
        kinds = (
            ("verification_key.json", "proof.json") if mode == "snarkjs" else ("native verification", "native proof")
        )
        shown |= {"k": mode, "vk": kinds[0], "proof": kinds[1], "public": "public.json"}
        for name, text in shown.items():
            assert text in lazai_plonk("info", folder / name).stdout
    for other in (b"what is this", b"", b"\xff" * 800, b"\xff" * 1024):
        (folder / "other").write_bytes(other)
        with pytest.raises(EncodingError, match="no file of this package"):
            lazai_plonk("info", folder / "other")
    for broken in (b"{}", b"[1]", (folder / "vk").read_bytes()[:-1], b'{"nPublic": 1}'):
        (folder / "other").write_bytes(broken)
        with pytest.raises(EncodingError):
            lazai_plonk("info", folder / "other")


def test_a_ceremony_must_be_named_and_trusted(folder: Path) -> None:
    (folder / "p.ptau").write_bytes(write_ptau(insecure_test_powers(8)))
    arguments = ("setup", "--r1cs", folder / "c.r1cs", "--out", folder / "k")
    assert lazai_plonk(*arguments, fails=True).exception is not None
    with pytest.raises(CeremonyRefused, match="everybody knows"):
        lazai_plonk(*arguments, "--ptau", folder / "p.ptau")
    lazai_plonk(*arguments, "--ptau", folder / "p.ptau", "--trust", "insecure-test")


def test_the_first_run_on_a_processor_says_that_it_compiles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(warm, "is_compiled", lambda: bool(compiled))
    monkeypatch.setattr(warm, "warm_up", lambda progress: compiled.append("now"))
    arguments = ("setup", "--r1cs", folder / "c.r1cs", "--insecure-test-ceremony", "--out", folder / "k")
    assert "compiling the kernels for this processor, once" in lazai_plonk(*arguments).stderr
    assert compiled == ["now"]
    assert "compiling" not in lazai_plonk(*arguments).stderr


def test_a_terminal_gets_a_bar_with_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with _stages("prove") as progress:
        progress("commit wires")
        time.sleep(0.3)
    assert "commit wires" in terminal.getvalue()


def test_the_bench_command_prints_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        BenchmarkResult(name="prove 2^14", value=0.3, unit="s", bar="<= 0.5 s", peer="snarkjs 6.0 s", ratio=20.0),
        BenchmarkResult(name="verify 2^14", value=3.0, unit="ms", bar="<= 10 ms"),
    ]
    asked: list[tuple[list[int], bool]] = []

    def measured(sizes: Sequence[Size], _progress: object, *, with_peer: bool) -> list[BenchmarkResult]:
        asked.append(([size.power for size in sizes], with_peer))
        return rows

    monkeypatch.setattr(bench, "bench_sizes", measured)
    text = lazai_plonk("bench", "--power", "14").stdout
    assert "0.300 s" in text
    assert "20.0 x snarkjs 6.0 s" in text
    document = json.loads(lazai_plonk("bench", "--no-peer", "--json").stdout)
    assert [row["name"] for row in document] == ["prove 2^14", "verify 2^14"]
    assert asked == [([14], True), ([14, 16, 18], False)]
