"""The benchmark's parts, on sizes that take no time."""

from __future__ import annotations

import os

import pytest
from plonk_cases import CONTEXT, Case

from lazai_core.api.errors import EncodingError
from lazai_proof_plonk import native_verifier, snarkjs_verifier
from lazai_proof_plonk.bench import Size, _bench_size, benchmarks, chain, fuzz
from lazai_proof_plonk.files.json_codec import read_proof, write_proof
from lazai_proof_plonk.native_key import NativeKey
from lazai_proof_plonk.parameters import ORDER

MUTATIONS = int(os.environ.get("LAZAI_FUZZ_MUTATIONS", "1500"))


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


def test_no_mutation_of_a_native_proof_is_accepted(case: Case) -> None:
    def judge(data: bytes) -> None:
        native_verifier.verify(case.native_key, case.public, data, CONTEXT, trusted_key=True)

    assert fuzz(case.native_proof, judge, MUTATIONS).tried == MUTATIONS
    with pytest.raises(AssertionError, match="was accepted"):
        fuzz(case.native_proof, lambda _data: None, 3)


def test_no_mutation_of_a_key_is_accepted(case: Case) -> None:
    def judge(data: bytes) -> None:
        native_verifier.verify(NativeKey.decode(data), case.public, case.native_proof, CONTEXT)

    fuzz(case.native_key.encode(), judge, MUTATIONS)


def test_no_mutation_of_proof_json_says_anything_else(case: Case) -> None:
    def judge(data: bytes) -> None:
        found = read_proof(data)
        if found == case.proof:
            raise EncodingError("other white space, the same numbers")
        snarkjs_verifier.verify(case.prover.key, case.public, found)

    fuzz(write_proof(case.proof).encode(), judge, MUTATIONS)
