"""The benchmark's parts, on sizes that take no time."""

from __future__ import annotations

import pytest

from lazai_proof_plonk.bench import Size, _bench_size, benchmarks, chain
from lazai_proof_plonk.parameters import ORDER


def test_chains_are_what_they_say() -> None:
    circuit, witness = chain(4)
    assert len(circuit.constraints) == 4
    assert witness[1] == 3 * 5**4 % ORDER


def test_a_size_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAZAI_SNARKJS", raising=False)
    size = Size(power=5, products=20, seconds_max=1, ratio_min=1, worth_seconds=0)
    (result,) = _bench_size(size)
    assert (result.name, result.unit, result.peer) == ("prove 2^5", "s", "")
    assert result.value > 0
    assert [benchmark.name for benchmark in benchmarks()] == ["plonk"]
