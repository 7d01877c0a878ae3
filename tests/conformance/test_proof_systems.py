"""Every installed proof system."""

from __future__ import annotations

from typing import Any

import pytest

from lazai_core.api import ProofSystemEntry
from lazai_core.registry import Kind
from lazai_core.testing.conformance import ProofSystemConformance
from tests.conformance.installed import entries, entry_name

NO_FILES_NEEDED: dict[str, dict[str, Any]] = {"plonk": {"setup": "insecure-test"}}
"""Options for systems that make keys from a file which is not part of this repository."""


class TestInstalledProofSystems(ProofSystemConformance):
    @pytest.fixture(params=entries(Kind.PROOF_SYSTEM), ids=entry_name)
    def entry(self, request: pytest.FixtureRequest) -> ProofSystemEntry:
        return request.param

    @pytest.fixture
    def options(self, entry: ProofSystemEntry) -> Any:
        return entry.options(**NO_FILES_NEEDED.get(entry.name, {}))
