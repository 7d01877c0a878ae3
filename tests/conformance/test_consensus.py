"""Every installed consensus engine."""

from __future__ import annotations

import pytest

from lazai_core.api import ConsensusEntry
from lazai_core.builtin.solo_consensus import build_solo
from lazai_core.testing.conformance.consensus import ConsensusConformance


class TestSolo(ConsensusConformance):
    @pytest.fixture
    def entry(self) -> ConsensusEntry:
        return ConsensusEntry(name="solo", summary="One validator", build=build_solo)
