"""Every installed proof system."""

from __future__ import annotations

import pytest

from lazai_core.api import ProofKind, ProofSystemEntry
from lazai_core.builtin.attestation_proof import AttestationOptions, build_attestation
from lazai_core.testing.conformance.proof_system import ProofSystemConformance


class TestAttestation(ProofSystemConformance):
    @pytest.fixture
    def entry(self) -> ProofSystemEntry:
        return ProofSystemEntry(
            name="attestation",
            summary="signed",
            kind=ProofKind.ATTESTATION,
            build=build_attestation,
            options=AttestationOptions,
        )
