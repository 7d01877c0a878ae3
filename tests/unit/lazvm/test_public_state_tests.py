"""State tests of the execution-spec-tests fixtures for Prague: every root and every log hash must come out."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.unit.lazvm.state_fixtures import StateCase, check_state_case, state_cases

SAMPLE_SEED = 7
SAMPLE_CASES = 120


def runnable(folder: Path) -> list[StateCase]:
    """All cases but blob transactions, which the chain refuses."""
    return [case for case in state_cases(folder) if not case.is_blob]


def has_slow_curve(case: StateCase) -> bool:
    """Whether the case spends seconds in curve arithmetic."""
    return "bls12" in case.name or "point_evaluation" in case.name


def test_a_sample(fixtures_folder: Path) -> None:
    cases = [case for case in runnable(fixtures_folder) if not has_slow_curve(case)]
    sample = random.Random(SAMPLE_SEED).sample(cases, SAMPLE_CASES)
    # Creation where storage exists, and an empty base: what py-evm itself gets wrong.
    sample += [case for case in cases if "modexp" in case.name or "collision" in case.name]

    assert [text for text in map(check_state_case, sample) if text] == []


@pytest.mark.slow
def test_everything_without_slow_curves(fixtures_folder: Path) -> None:
    cases = [case for case in runnable(fixtures_folder) if not has_slow_curve(case)]

    assert len(cases) > 400
    assert [text for text in map(check_state_case, cases) if text] == []


@pytest.mark.slow
def test_some_slow_curves(fixtures_folder: Path) -> None:
    cases = [case for case in runnable(fixtures_folder) if has_slow_curve(case)]
    sample = random.Random(SAMPLE_SEED).sample(cases, 25)
    heavy = ("max_discount", "multi_inf", "gas_g1msm", "gas_pairing", "gas_g2msm")

    found = [check_state_case(case) for case in sample if not any(word in case.name for word in heavy)]
    assert len(found) >= 10
    assert [text for text in found if text] == []
