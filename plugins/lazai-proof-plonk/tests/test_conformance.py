"""The rules that every proof system keeps."""

from __future__ import annotations

from typing import Any

import pytest

from lazai_core.api.entries import ProofSystemEntry
from lazai_core.testing.conformance.proof_system import ProofSystemConformance
from lazai_proof_plonk.options import PlonkOptions
from lazai_proof_plonk.plugin import lazai_proof_systems


class TestPlonk(ProofSystemConformance):
    @pytest.fixture
    def entry(self) -> ProofSystemEntry:
        (entry,) = lazai_proof_systems()
        return entry

    @pytest.fixture
    def options(self, entry: ProofSystemEntry) -> Any:
        return PlonkOptions(setup="insecure-test")
