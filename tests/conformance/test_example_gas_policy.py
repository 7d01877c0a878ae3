"""examples/custom_gas_policy: hygiene, the suite, and the price list itself."""

from __future__ import annotations

import pytest

from lazai_core.api import GasPolicyEntry
from lazai_core.api.job import JobKind, ResourceUsage
from lazai_core.registry import Kind
from lazai_core.testing.chain_port import MemoryState
from lazai_core.testing.conformance import GasPolicyConformance, PluginHygiene
from tests.conformance.examples import EXAMPLES, example_entry, example_module

FOLDER = "custom_gas_policy"


class TestHygiene(PluginHygiene):
    @pytest.fixture
    def module(self, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("PYTHONPATH", str(EXAMPLES / FOLDER))
        return example_module(FOLDER)


class TestTariff(GasPolicyConformance):
    @pytest.fixture
    def entry(self) -> GasPolicyEntry:
        entry = example_entry(FOLDER, Kind.GAS_POLICY, "tariff")
        assert isinstance(entry, GasPolicyEntry)
        return entry

    @pytest.mark.parametrize(
        ("flops", "memory", "gas"),
        [
            (0, 0, 10_000),
            (1_000_000, 1, 10_001),
            (1_000_001, 1024, 100_001),
            (100_000_000, 1025, 100_002),
            (10**10, 0, 2_000_000),
            (10**10 + 1, 0, 4_000_000),
            (10**12, 10**9, 200_000_000 + 976_563),
        ],
    )
    def test_the_price_list(self, entry: GasPolicyEntry, flops: int, memory: int, gas: int) -> None:
        usage = ResourceUsage(flops=flops, memory_bytes_peak=memory)

        assert entry.build().compute_gas(JobKind.INFERENCE, usage, MemoryState()) == gas
