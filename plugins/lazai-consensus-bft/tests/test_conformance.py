"""The kit's suite for consensus engines."""

from __future__ import annotations

import pytest

from lazai_consensus_bft.plugin import lazai_consensus_engines
from lazai_core.api.entries import ConsensusEntry
from lazai_core.testing.conformance import PluginHygiene
from lazai_core.testing.conformance.consensus import ConsensusConformance


class TestModule(PluginHygiene):
    @pytest.fixture
    def module(self) -> str:
        return "lazai_consensus_bft.plugin"


class TestBft(ConsensusConformance):
    """Four validators, a lossy network."""

    validator_count = 4
    loss_per_mille = 50

    @pytest.fixture
    def entry(self) -> ConsensusEntry:
        """The entry under test."""
        (entry,) = lazai_consensus_engines()
        return entry


class TestAlone(TestBft):
    """One validator decides alone."""

    validator_count = 1
    loss_per_mille = 0
