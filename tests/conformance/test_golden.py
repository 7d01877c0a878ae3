"""Digests of sample programs, of their outputs, and of proofs: they change on purpose only, with a version."""

from __future__ import annotations

import hashlib

import pytest

from lazai_core.api import ProofSystemEntry
from lazai_core.registry import Kind
from lazai_core.testing.conformance import ProofSystemConformance
from lazai_core.testing.golden import GoldenFolder
from lazai_core.testing.operations import operation_samples
from lazai_core.testing.parts import KnownIdentity
from lazai_core.testing.sample import Sample
from lazai_core.testing.samples import exact_programs, perceptron, perceptron_batch
from tests.conformance.examples import example_catalog


def described(sample: Sample) -> dict[str, str]:
    """Program digest, and a digest of the output for each value of the symbolic dimension."""
    outputs = {
        f"output at {dim_value}": sample.run(sample.job_input(seed=1, dim_value=dim_value)).output_bytes()
        for dim_value in sample.dims
    }
    digests = {key: hashlib.sha256(output).hexdigest() for key, output in outputs.items()}
    return {"program": sample.model.program.digest().hex(), **digests}


def test_programs_and_their_outputs(golden: GoldenFolder) -> None:
    samples = (*exact_programs(), *operation_samples())

    golden.check_json("programs.json", {sample.name: described(sample) for sample in samples})


@pytest.mark.parametrize("name", ["attestation", "freivalds"])
def test_proofs_and_keys(golden: GoldenFolder, name: str) -> None:
    entry = example_catalog("custom_proof_system").find(Kind.PROOF_SYSTEM, name).entry
    assert isinstance(entry, ProofSystemEntry)
    suite, samples = ProofSystemConformance(), (perceptron(), perceptron_batch())
    system = suite.build(entry, entry.options(), samples, KnownIdentity(1))

    found = {}
    for sample in samples:
        proved = suite.prove(system, sample)
        found[sample.name] = {
            "key": proved.verifying_key.digest.hex(),
            "statement": proved.statement.digest.hex(),
            "proof": hashlib.sha256(proved.envelope.encode()).hexdigest(),
        }
    golden.check_json(f"proofs-{name}.json", {"version": entry.version, "samples": found})
