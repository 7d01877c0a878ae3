"""Whole nodes in virtual time: a few hundred seeds, that a seed repeats itself, and that planted faults are found.

More seeds: `lazai simulate --seeds 10000`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from lazai_core.api.entries import ConsensusEntry
from lazai_core.api.errors import InvalidBlock
from lazai_core.chain.block import Block
from lazai_core.cli.simulate import find_engine
from lazai_core.lazvm.vm import ExecutedBlock
from lazai_core.runtime.block_checks import BlockChecks
from lazai_core.runtime.block_desk import BlockDesk
from lazai_core.runtime.last_sign import LastSigned, Signed
from lazai_core.runtime.wal import LogRecord, WriteAheadLog
from lazai_core.testing.simulation.byzantine import Behaviour
from lazai_core.testing.simulation.chain import Shape, SharingMachine
from lazai_core.testing.simulation.checks import Checks, Violation
from lazai_core.testing.simulation.runs import Totals, jobs_of, quiet_logs, run_many
from lazai_core.testing.simulation.world import Outcome, Plan, Simulation

SEEDS = {"4": 130, "7": 40, "4x4": 9}
PLANTED_SEEDS = 60


def play(shape: str, seed: int, *, traced: bool = False, **fields: object) -> Outcome:
    quiet_logs()
    plan = Plan(shape=Shape(shape), seed=seed, entry=find_engine("bft"), traced=traced, **fields)  # type: ignore[arg-type]
    return Simulation(plan).run()


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "seeds"), SEEDS.items())
def test_no_seed_shows_a_violation(shape: str, seeds: int) -> None:
    totals = run_many(jobs_of([shape], 0, seeds), lambda: find_engine("bft"), 1, lambda totals: None)

    assert totals.failures == []
    assert totals.seeds == seeds
    assert totals.heights >= 2 * seeds
    assert totals.crashes > seeds
    assert totals.transactions > seeds


def test_a_chain_of_one_survives_crashes_and_failing_disks() -> None:
    totals = run_many(jobs_of(["1"], 0, 25), lambda: find_engine("solo"), 1, lambda totals: None)

    assert totals.failures == []
    assert totals.crashes > 25
    assert totals.rounds == totals.heights > 100


@pytest.mark.slow
def test_a_seed_repeats_itself_whatever_the_process() -> None:
    program = (
        "from tests.simulation.test_simulation import play\n"
        "print([play(shape, seed, traced=True).trace for shape, seed in (('4', 0), ('4', 3), ('4x4', 5))])"
    )
    traces = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": number},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for number in ("1", "2")
    }
    assert len(traces) == 1
    assert len(set(traces.pop().split(","))) == 3, "and no two seeds are alike"


def test_a_calm_network_decides_every_height_in_its_first_round() -> None:
    outcome = play("4", 1, calm=True, faulty={}, heights=4, shipped_times=True)

    assert outcome.rounds == (1, 1, 1, 1)
    assert outcome.crashes == 0
    assert set(outcome.bytes_by_node) == {0, 1, 2, 3}


def test_twins_are_convicted_by_their_own_signatures() -> None:
    outcomes = (play("4", seed, faulty={0: Behaviour.TWINS}) for seed in range(20))
    assert any("double-vote" in map(str, outcome.evidence) and outcome.convictions for outcome in outcomes)


FORGETFUL_PROPOSER = 5000900
"""The proposer forgets its block, and both who are locked on it lose their power: found among 1000 seeds."""


def test_a_lock_on_a_block_whose_proposer_forgot_it_holds_nobody_up() -> None:
    assert play("4", FORGETFUL_PROPOSER).heights >= 2


# Planted faults: a check that finds nothing proves nothing.


def finds(seeds: range = range(PLANTED_SEEDS), shape: str = "4", **fields: object) -> str:
    """The first violation that any of the seeds shows."""
    for seed in seeds:
        try:
            play(shape, seed, **fields)
        except Violation as violation:
            return str(violation)
    return ""


def test_a_signer_without_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LastSigned, "allow", lambda self, wanted: [True] * len(wanted))
    monkeypatch.setattr(WriteAheadLog, "open", lambda self, head_height: ())
    assert "signs twice" in finds(faulty={})


def test_a_signature_before_the_flush_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(self: LastSigned, wanted: Sequence[Signed]) -> list[bool]:
        return [True] * len(wanted)

    def unflushed(self: WriteAheadLog, height: int, records: Sequence[LogRecord]) -> None:
        return None

    monkeypatch.setattr(LastSigned, "allow", forgets)
    monkeypatch.setattr(WriteAheadLog, "append", unflushed)
    assert "signs twice" in finds(faulty={})


def test_a_vote_for_an_unchecked_block_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = SharingMachine.check_block

    def blind(self: SharingMachine, block: Block) -> ExecutedBlock:
        if self.executions is None:
            # The referee keeps its eyes open.
            return checked(self, block)
        try:
            return checked(self, block)
        except InvalidBlock:
            return ExecutedBlock(block=block, receipts=(), outcomes=(), nodes={})

    async def unseen(self: BlockChecks, block: Block) -> ExecutedBlock:
        return blind(self._vm, block)  # type: ignore[arg-type]

    monkeypatch.setattr(SharingMachine, "check_block", blind)
    monkeypatch.setattr(BlockChecks, "check", unseen)
    # Whoever comes first: the referee, or a node that cannot go on from what it took over.
    found = finds(faulty={1: Behaviour.INVALID})
    assert "is not valid" in found or "stopped" in found


def test_a_machine_that_makes_coins_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    total = Checks._total
    made = iter(range(10**6))
    monkeypatch.setattr(Checks, "_total", lambda self: total(self) + next(made))
    assert "wei into" in finds(faulty={})


def test_a_lock_whose_block_nobody_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlockDesk, "bind", lambda self, block_id: None)
    assert "is not reached" in finds(range(FORGETFUL_PROPOSER, FORGETFUL_PROPOSER + 1))


def test_a_network_that_cannot_go_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = {0: Behaviour.SILENT, 1: Behaviour.SILENT}
    assert "is not reached" in finds(range(1), faulty=faulty)


@pytest.mark.slow
def test_many_seeds_run_in_several_processes() -> None:
    heard: list[int] = []
    totals = run_many(jobs_of(["4"], 500, 22), find_bft, 2, lambda so_far: heard.append(so_far.seeds))

    assert totals.failures == []
    assert totals.seeds == 22
    assert heard[-1] == 22
    assert isinstance(totals, Totals)


def find_bft() -> ConsensusEntry:
    return find_engine("bft")
