"""Clusters under faults: a few hundred seeds here, 10,000 by `python tests/bft_simulation.py`."""

from __future__ import annotations

from random import Random
from typing import Any

import bft_simulation
import pytest
from bft_simulation import CHAIN_ID, Simulation, Violation, committee_named, faulty_of, identity, members_of, run_seeds

from lazai_consensus_bft.certificate import verify_commit
from lazai_consensus_bft.evidence import AMNESIA, DOUBLE_PROPOSAL, DOUBLE_VOTE
from lazai_core.api.consensus import AppendWal, Decide


@pytest.mark.parametrize(("shape", "count"), [("4", 200), ("7", 40), ("4x4", 5), ("1", 3), ("2x1", 3)])
def test_agreement_validity_and_termination_under_faults(shape: str, count: int) -> None:
    totals = run_seeds(0, count, (shape,))

    assert totals["seeds"] == count
    assert totals["rounds"] >= totals["heights"] == count * bft_simulation.HEIGHTS
    if shape == "4":
        # The simulator is not tame: heights take more than one round, and every sort of fault is caught.
        assert totals["rounds_max"] >= 3
        assert min(totals[DOUBLE_VOTE], totals[DOUBLE_PROPOSAL], totals[AMNESIA]) >= 1


@pytest.mark.parametrize("shape", ["4", "7", "4x4"])
def test_a_calm_network_decides_every_height_in_one_round(shape: str) -> None:
    calm = Simulation(1, shape, faulty={}, calm=True, heights=5).run()

    assert calm.rounds == [1] * 5
    assert not calm.evidence
    for node in calm.nodes:
        for certificate in node.decided.values():
            verify_commit(certificate, committee_named(shape), CHAIN_ID)


def test_equal_seeds_give_equal_runs() -> None:
    first, second = (Simulation(11, "7").run() for _ in range(2))

    assert (first.steps, first.now_ms, first.chosen, first.evidence) == (
        second.steps,
        second.now_ms,
        second.chosen,
        second.evidence,
    )


def test_the_largest_faulty_sets_are_used() -> None:
    for shape, count in (("4", 1), ("7", 2), ("10", 3)):
        assert len(faulty_of(shape, Random(1))) == count
    assert 5 <= max(len(faulty_of("4x4", Random(seed))) for seed in range(50)) <= 7
    assert members_of("4x4") == 16


def _violation(shape: str, seeds: range, **keywords: Any) -> str:
    for seed in seeds:
        try:
            Simulation(seed, shape, **keywords).run()
        except Violation as violation:
            return str(violation)
    return ""


def test_the_checkers_see_a_validator_that_lost_its_log() -> None:
    assert "an honest validator signs twice" in _violation("4", range(200), faulty={}, wal=False)


def test_the_checkers_see_too_many_faults() -> None:
    split = _violation("4", range(300), faulty={0: "twins", 1: "twins"})
    assert "is split" in split
    assert "committee 4, seed " in split


def test_the_checkers_see_a_cluster_that_stands_still() -> None:
    assert "undecided" in _violation("4", range(1), faulty={0: "silent", 1: "silent"}, calm=True)


def test_the_checkers_see_an_invalid_block() -> None:
    broken = Simulation(0, "4", faulty={}, calm=True)
    broken.blocks = _Untrue()

    with pytest.raises(Violation, match="not valid"):
        broken.run()


class _Untrue(dict[Any, tuple[bool, bool]]):
    """Says at check time that a block is valid, and at decision time that it is not."""

    asked = 0

    def get(self, key: Any, default: Any = None) -> Any:
        self.asked += 1
        return (self.asked <= 3, True)


def test_effects_are_made_durable_before_anything_is_signed_or_sent() -> None:
    cluster = Simulation(3, "4")
    seen = 0
    for node in cluster.nodes:
        original = node.engine.step

        def step(event: Any, original: Any = original) -> Any:
            nonlocal seen
            effects = original(event)
            kinds = [isinstance(effect, AppendWal) for effect in effects]
            assert kinds == sorted(kinds, reverse=True)
            seen += sum(kinds) + sum(isinstance(effect, Decide) for effect in effects)
            return effects

        node.engine.step = step  # type: ignore[method-assign]
    cluster.run()
    assert seen > 20


def test_every_identity_is_its_own() -> None:
    assert len({identity(number).address for number in range(16)}) == 16
