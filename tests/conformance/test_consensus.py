"""Every installed consensus engine."""

from __future__ import annotations

import pytest

from lazai_core.api import ConsensusEntry
from lazai_core.registry import Kind
from lazai_core.testing.conformance import ConsensusConformance
from tests.conformance.installed import entries, entry_name


class TestInstalledEngines(ConsensusConformance):
    """With one validator, which every engine must serve."""

    @pytest.fixture(params=entries(Kind.CONSENSUS), ids=entry_name)
    def entry(self, request: pytest.FixtureRequest) -> ConsensusEntry:
        return request.param
