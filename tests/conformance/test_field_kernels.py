"""The field kernels of every installed coprocessor, and what proof systems make of them: the same proofs."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from lazai_core.api import CoprocessorEntry
from lazai_core.api.compute import CancelToken, Capability, Coprocessor
from lazai_core.api.field_kernels import FieldKernels
from lazai_core.api.proof import ProofSystem
from lazai_core.registry import Kind
from lazai_core.testing.conformance import FieldKernelsConformance
from lazai_core.testing.parts import build_entry
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import make_claim
from lazai_core.testing.samples import convolution
from tests.conformance.installed import catalog, entries, entry_name

OFFERING = [entry for entry in entries(Kind.COPROCESSOR) if Capability.FIELD_KERNELS in entry.capabilities]


@cache
def opened(entry: CoprocessorEntry) -> Coprocessor:
    """On the CPU, wherever a backend has a choice of devices."""
    options = entry.options(device="cpu") if "device" in entry.options.__annotations__ else entry.options()
    backend: Coprocessor = build_entry(entry, options=options)
    return backend


@pytest.mark.parametrize("entry", entries(Kind.COPROCESSOR), ids=entry_name)
def test_who_offers_field_kernels_says_so(entry: CoprocessorEntry) -> None:
    backend = opened(entry)
    assert (backend.fields is not None) == (Capability.FIELD_KERNELS in backend.info.capabilities)
    assert (backend.fields is not None) == (Capability.FIELD_KERNELS in entry.capabilities)


class TestInstalledFieldKernels(FieldKernelsConformance):
    @pytest.fixture(params=OFFERING, ids=entry_name)
    def kernels(self, request: pytest.FixtureRequest) -> FieldKernels:
        fields = opened(request.param).fields
        assert fields is not None
        return fields


@pytest.mark.parametrize("entry", OFFERING, ids=entry_name)
def test_stark_proofs_are_the_same_bytes_whoever_computes(entry: CoprocessorEntry) -> None:
    stark = catalog().find(Kind.PROOF_SYSTEM, "stark").entry
    sample = convolution()
    claim = make_claim(sample, proof_system="stark")

    def made(kernels: str) -> tuple[bytes, bytes]:
        options: Any = stark.options(parameters="dev", kernels=kernels)
        system: ProofSystem = build_entry(stark, options=options, coprocessor=opened(entry))
        key = system.prepare(sample.model.program, sample.model)
        proof = system.prove(key, claim.statement, claim.trace, SeededRng(), CancelToken())
        return key.verifying_key.data, proof.data

    assert made("coprocessor") == made("processor")
