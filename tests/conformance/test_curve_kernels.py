"""The installed coprocessors' curve kernels in the installed prover: the bytes of a proof do not show them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lazai_core.api.compute import CancelToken, Capability
from lazai_core.api.entries import CoprocessorEntry
from lazai_core.api.proof import AcceptancePolicy
from lazai_core.registry import Kind, discover, load_catalog
from lazai_core.testing.parts import build_entry
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import make_claim
from lazai_core.testing.samples import perceptron

plonk_options = pytest.importorskip("lazai_proof_plonk.options", reason="lazai-proof-plonk is not installed")


def offering() -> list[CoprocessorEntry]:
    catalog = load_catalog(discover())
    entries = [offer.entry for offer in catalog.offers(Kind.COPROCESSOR)]
    return [
        entry
        for entry in entries
        if isinstance(entry, CoprocessorEntry) and Capability.CURVE_KERNELS in entry.capabilities
    ]


@pytest.mark.slow
@pytest.mark.parametrize("entry", offering(), ids=lambda entry: entry.name)
def test_proofs_are_equal_whoever_computes_them(entry: CoprocessorEntry) -> None:
    catalog = load_catalog(discover())
    plonk = catalog.find(Kind.PROOF_SYSTEM, "plonk").entry
    sample = perceptron()
    claim = make_claim(sample, proof_system="plonk")
    coprocessor = build_entry(entry, options=entry.options(device="cpu", threads=1))
    proofs = []
    for kernels in ("processor", "coprocessor"):
        options = plonk_options.PlonkOptions(setup="insecure-test", kernels=kernels)
        system = build_entry(plonk, options=options, coprocessor=coprocessor)
        key = system.prepare(sample.model.program, sample.model)
        proof = system.prove(key, claim.statement, claim.trace, SeededRng(3), CancelToken())
        system.verify(key.verifying_key, claim.statement, proof, AcceptancePolicy())
        proofs.append((key.verifying_key, proof))
    assert proofs[0] == proofs[1]


def test_checking_a_receipt_does_not_load_the_coprocessor() -> None:
    # Systems keep the coprocessor for proving; its library takes seconds to load.
    command = (
        "import sys; from lazai_core.cli.offline import OfflineSystems; "
        "from lazai_core.registry import discover, load_catalog; "
        "systems = OfflineSystems(load_catalog(discover())); print(systems['plonk'].name, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["plonk", "False"]
