"""Every installed proof system."""

from __future__ import annotations

import pytest

from lazai_core.api import ProofSystemEntry
from lazai_core.registry import Kind
from lazai_core.testing.conformance import ProofSystemConformance
from tests.conformance.installed import entries, entry_name


class TestInstalledProofSystems(ProofSystemConformance):
    @pytest.fixture(params=entries(Kind.PROOF_SYSTEM), ids=entry_name)
    def entry(self, request: pytest.FixtureRequest) -> ProofSystemEntry:
        return request.param
