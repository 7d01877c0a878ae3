"""`lazai simulate`: which networks it plays, what it says, and how a failure can be played again."""

from __future__ import annotations

import pytest

from lazai_core.cli.main import run_cli
from lazai_core.testing.simulation import runs
from lazai_core.testing.simulation.checks import Violation
from lazai_core.testing.simulation.world import Simulation


def test_seeds_that_pass_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["simulate", "--validators", "4", "--seeds", "2", "--jobs", "1"]) == 0

    said = capsys.readouterr()
    assert said.out.splitlines()[0].split()[:3] == ["seeds", "passed", "2"]
    assert "rounds each" in said.out
    assert said.err == "2 seeds of 4 …\n"


def test_a_failure_names_the_command_that_plays_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(self: Simulation) -> None:
        raise Violation(f"seed {self.plan.seed} of {self.plan.shape.name} is bad")

    monkeypatch.setattr(Simulation, "run", fails)
    monkeypatch.setattr(runs, "CHUNK_SEEDS", 1)

    arguments = ["--validators", "16", "--idaos", "4", "--seed", "77", "--seeds", "9", "--jobs", "1"]
    assert run_cli(["simulate", *arguments]) == 1
    said = capsys.readouterr().err
    assert "seed 77: seed 77 of 4x4 is bad" in said
    assert "again: lazai simulate --validators 16 --idaos 4 --seed 77 --seeds 1 --engine bft" in said
    assert "seed 78" not in said, "it stops at the first"


def test_a_report_says_rounds_and_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["simulate", "--validators", "4", "--report"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("rounds to decide")
    assert any(line.strip().startswith("messages") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--idaos", "2"], "--idaos needs --validators"),
        (["--validators", "5", "--idaos", "2"], "cannot be shared out evenly"),
        (["--seeds", "0"], "0 is not in the range"),
    ],
)
def test_wrong_committees_are_refused(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["simulate", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_an_unknown_engine_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["simulate", "--engine", "paxos"]) == 2
    assert "paxos" in capsys.readouterr().err
