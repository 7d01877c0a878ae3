"""What every test of the repository shares, those of the core and those of the plugins."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

_REPOSITORY = Path(__file__).resolve().parent

# Timing never fails a test, and a run on one machine is repeated exactly on another.
# LAZAI_HYPOTHESIS=search looks for new failing cases instead.
settings.register_profile(
    "repeat", derandomize=True, deadline=None, database=None, max_examples=30, print_blob=True
)
settings.register_profile("search", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("LAZAI_HYPOTHESIS", "repeat"))


@pytest.fixture(scope="session")
def fixtures_folder() -> Path:
    """Return the folder of public fixtures (Ethereum state tests and the like); skip where there is none."""
    default = _REPOSITORY.parent.joinpath("shared", "fixtures")
    folder = Path(os.environ.get("LAZAI_FIXTURES", default))
    if not folder.is_dir():
        pytest.skip("no public fixtures here; name their folder in LAZAI_FIXTURES")
    return folder


@cache
def _reason_against_gpu() -> str | None:
    try:
        import torch
    except ImportError:
        return "PyTorch is not installed"
    return None if torch.cuda.is_available() else "no CUDA device, or PyTorch is the CPU build"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `gpu` where there is no device, saying why."""
    if item.get_closest_marker("gpu") is not None:
        reason = _reason_against_gpu()
        if reason is not None:
            pytest.skip(reason)
