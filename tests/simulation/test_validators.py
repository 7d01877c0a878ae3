"""Whole nodes and the contract Validators: liars are convicted on the chain, and who is slow is not absent."""

from __future__ import annotations

import pytest

from lazai_core.chain.staking import StakingParameters, is_convicted, read_record, read_validators
from lazai_core.chain.staking_genesis import with_staking
from lazai_core.cli.simulate import find_engine
from lazai_core.lazvm.vm import LazVM
from lazai_core.testing.simulation import chain
from lazai_core.testing.simulation.byzantine import Behaviour
from lazai_core.testing.simulation.chain import Shape, identity
from lazai_core.testing.simulation.runs import quiet_logs
from lazai_core.testing.simulation.world import Outcome, Plan, Simulation

pytestmark = pytest.mark.slow
LIAR = 2


def play(shape: str, **fields: object) -> tuple[Outcome, LazVM]:
    """What happened, and a machine that executed every block for itself."""
    quiet_logs()
    plan = Plan(shape=Shape(shape), seed=1, entry=find_engine("bft"), **fields)  # type: ignore[arg-type]
    simulation = Simulation(plan)
    outcome = simulation.run()
    return outcome, simulation._checks._referee


def test_twins_are_convicted_once_and_leave_the_set() -> None:
    outcome, machine = play("4", faulty={LIAR: Behaviour.TWINS}, calm=True, heights=20)

    assert sum(outcome.evidence.values()) >= 1
    blocks = [machine.history.block(height) for height in range(1, machine.head.height + 1)]
    (guilty,) = [block for block in blocks if block is not None and block.evidence]
    assert len(guilty.evidence) == 1
    state = machine.state()
    assert [number for number in range(4) if is_convicted(state, identity(number).address)] == [LIAR]
    assert identity(LIAR).address not in [validator.address for validator in read_validators(state)]
    # The others went on without it from the second block after.
    for height in range(guilty.height + 2, machine.head.height + 1):
        assert len(machine.validators(height)) == 3  # type: ignore[arg-type]
    assert machine.head.height > guilty.height + 2


def test_certificates_are_whole_where_nobody_is_absent() -> None:
    _, machine = play("4", faulty={}, calm=True, heights=20, shipped_times=True)

    counts = []
    for height in range(2, machine.head.height + 1):
        block = machine.history.block(height)
        assert block is not None
        assert block.last_certificate is not None
        counts.append(len(block.last_certificate.signatures))
    # A decision needs three of four; the fourth joins before the next block is built.
    assert sum(count == 4 for count in counts) >= len(counts) - 2


def test_a_silent_validator_goes_to_jail_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = StakingParameters(window_blocks=16, absences_max=4, jail_blocks=1000)
    monkeypatch.setattr(chain, "with_staking", lambda genesis: with_staking(genesis, quick))
    forget_caches()
    try:
        _, machine = play("4", faulty={LIAR: Behaviour.SILENT}, calm=True, heights=30)
    finally:
        monkeypatch.undo()
        forget_caches()

    state = machine.state()
    record = read_record(state, identity(LIAR).address)
    assert record is not None
    assert record.jailed_until > 1000
    assert not record.convicted
    assert len(read_validators(state)) == 3
    last = machine.history.block(machine.head.height)
    assert last is not None
    assert last.last_certificate is not None
    assert len(last.last_certificate.signatures) == len(machine.validators(last.height)) == 3


def forget_caches() -> None:
    """The simulation keeps what it made of a shape's genesis."""
    for made in vars(chain).values():
        if hasattr(made, "cache_clear"):
            made.cache_clear()
