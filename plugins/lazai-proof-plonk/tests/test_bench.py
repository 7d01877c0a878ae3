"""The benchmark's parts, on sizes that take no time."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazai_core.api.errors import BackendUnavailable
from lazai_proof_plonk.bench import Size, bench_size, benchmarks, chain
from lazai_proof_plonk.bench_digits import digits_rows
from lazai_proof_plonk.bench_snarkjs import snarkjs_script
from lazai_proof_plonk.parameters import ORDER


def test_chains_are_what_they_say() -> None:
    circuit, witness = chain(4)
    assert len(circuit.constraints) == 4
    assert witness[1] == 3 * 5**4 % ORDER


def test_a_size_is_measured() -> None:
    size = Size(power=5, products=20, seconds_max=1, ratio_min=1, worth_seconds=0)
    prove, verify = bench_size(size, with_peer=False)
    assert (prove.name, prove.unit, prove.peer, prove.ratio) == ("prove 2^5", "s", "", 0)
    assert prove.value > 0
    assert (verify.name, verify.unit) == ("verify 2^5", "ms")


def test_a_peer_is_measured_beside(snarkjs: object) -> None:
    size = Size(power=5, products=20, seconds_max=1, ratio_min=1, worth_seconds=0)
    prove, verify = bench_size(size, with_peer=True)
    assert prove.peer.startswith("snarkjs ")
    assert prove.ratio > 1
    assert verify.ratio > 1
    assert "of processor time" in prove.notes


def test_a_peer_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (entry,) = benchmarks()
    assert (entry.name, set(entry.peers)) == ("plonk", {"snarkjs"})
    monkeypatch.setenv("LAZAI_SNARKJS", str(tmp_path))
    assert snarkjs_script() is None
    with pytest.raises(BackendUnavailable, match="snarkjs is not installed"):
        entry.peers["snarkjs"](1, lambda _done, _total, _text: None)


@pytest.mark.slow
def test_the_digits_classifier_is_measured() -> None:
    rows = {row.name: row for row in digits_rows()}
    assert set(rows) == {"prove digits", "verify digits", "gas digits"}
    assert rows["prove digits"].value > 0
    # A chain charges at least what verifying costs; the factor is several, so a busy machine does not matter.
    assert rows["gas digits"].value >= 300_000
