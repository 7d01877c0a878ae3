"""Every installed compute backend against the reference."""

from __future__ import annotations

from typing import Any

import pytest

from lazai_core.api import CoprocessorEntry
from lazai_core.registry import Kind
from lazai_core.testing.conformance import CoprocessorConformance
from tests.conformance.installed import entries, entry_name

CHOOSE_DEVICES = [entry for entry in entries(Kind.COPROCESSOR) if "device" in entry.options.__annotations__]


class TestInstalledCoprocessors(CoprocessorConformance):
    """On the CPU, wherever a backend has a choice of devices."""

    @pytest.fixture(params=entries(Kind.COPROCESSOR), ids=entry_name)
    def entry(self, request: pytest.FixtureRequest) -> CoprocessorEntry:
        return request.param

    @pytest.fixture
    def options(self, entry: CoprocessorEntry) -> Any:
        return entry.options(device="cpu") if "device" in entry.options.__annotations__ else entry.options()

    @pytest.fixture
    def absent_device(self, entry: CoprocessorEntry) -> Any:
        return entry.options(device="cuda:99") if "device" in entry.options.__annotations__ else None


@pytest.mark.gpu
class TestCudaCoprocessors(CoprocessorConformance):
    """On a CUDA device."""

    @pytest.fixture(params=CHOOSE_DEVICES, ids=entry_name)
    def entry(self, request: pytest.FixtureRequest) -> CoprocessorEntry:
        return request.param

    @pytest.fixture
    def options(self, entry: CoprocessorEntry) -> Any:
        return entry.options(device="cuda")
