"""What pytest gets from this package without being asked: fixtures, the `gpu` marker, `--regenerate-golden`.

Loaded by every pytest run where lazai-core is installed, so it imports nothing but pytest before it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lazai_core.testing.clock import ManualClock
    from lazai_core.testing.golden import GoldenFolder
    from lazai_core.testing.rng import SeededRng

# The suites are shipped modules: without this their assertions would fail without showing the values.
pytest.register_assert_rewrite("lazai_core.testing.conformance")

DEVICE_FOLDER = Path("/dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--regenerate-golden`."""
    group = parser.getgroup("lazai", "LazAI plugin authors' kit")
    group.addoption(
        "--regenerate-golden", action="store_true", help="write golden files anew instead of comparing with them"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, for runs with --strict-markers."""
    config.addinivalue_line("markers", "gpu: needs a CUDA device; skipped, with the reason, where there is none")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `gpu` on a machine without an NVIDIA device."""
    if item.get_closest_marker("gpu") is not None and not any(DEVICE_FOLDER.glob("nvidia[0-9]*")):
        pytest.skip("no NVIDIA device on this machine")


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that stands still until the test moves it."""
    from lazai_core.testing.clock import ManualClock

    return ManualClock()


@pytest.fixture
def seeded_rng() -> SeededRng:
    """Randomness that is the same in every run."""
    from lazai_core.testing.rng import SeededRng

    return SeededRng()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> GoldenFolder:
    """The folder `golden` beside the test module."""
    from lazai_core.testing.golden import GoldenFolder

    regenerate = bool(request.config.getoption("--regenerate-golden"))
    return GoldenFolder(request.path.parent / "golden", regenerate=regenerate)
