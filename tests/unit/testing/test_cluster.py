"""The simulated cluster with four validators, and that its checks see a split."""

from __future__ import annotations

import pytest
from attrs import evolve

from lazai_core.api import ConsensusEntry, NoOptions
from lazai_core.api.consensus import BuildBlock
from lazai_core.api.types import Hash32
from lazai_core.testing.conformance import ConsensusConformance
from tests.unit.testing.quorum_engine import build_quorum

ENTRY = ConsensusEntry(name="quorum", summary="Four validators, one vote each", build=build_quorum)


class TestFourValidators(ConsensusConformance):
    validator_count = 4

    # A leader that forgets its proposal stops an engine without rounds.
    test_a_restart_at_any_moment_leaves_one_block_a_height = None

    @pytest.fixture
    def entry(self) -> ConsensusEntry:
        return ENTRY

    def test_every_validator_leads_in_turn(self, entry: ConsensusEntry) -> None:
        cluster = self.cluster(entry, NoOptions())
        cluster.run(until_height=8)

        builds = [
            sum(isinstance(effect, BuildBlock) for _, effects in node.history for effect in effects)
            for node in cluster.nodes
        ]
        assert sum(builds) >= 8
        assert all(builds)

    def test_a_split_is_seen(self, entry: ConsensusEntry) -> None:
        cluster = self.cluster(entry, NoOptions())
        cluster.run(until_height=2)
        node = cluster.nodes[3]
        node.decided[2] = evolve(node.decided[2], block_id=Hash32(bytes(32)))

        with pytest.raises(Exception, match="not its validator's"):
            self.check_agreement(cluster, until_height=2)

    def test_losses_are_counted_from_the_seed(self, entry: ConsensusEntry) -> None:
        def play(seed: int) -> list[int]:
            cluster = self.cluster(entry, NoOptions(), seed)
            cluster.loss_per_mille = 300
            cluster.run(until_height=20)
            return [len(node.history) for node in cluster.nodes]

        assert play(1) == play(1)
        assert play(1) != play(2)
