"""Lets the tests of this folder share their helper modules: with importlib mode nothing else does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from attack_cases import Cheater, Run, one_run


@pytest.fixture
def run() -> Run:
    """The honest run that is attacked."""
    return one_run()


@pytest.fixture
def cheater(monkeypatch: pytest.MonkeyPatch) -> Cheater:
    """A prover that may change what it commits to."""
    return Cheater(monkeypatch)
