"""Every installed gas policy."""

from __future__ import annotations

import pytest

from lazai_core.api import GasPolicyEntry
from lazai_core.registry import Kind
from lazai_core.testing.conformance import Eip1559Conformance, GasPolicyConformance
from tests.conformance.installed import catalog, entries, entry_name


class TestInstalledPolicies(GasPolicyConformance):
    @pytest.fixture(params=entries(Kind.GAS_POLICY), ids=entry_name)
    def entry(self, request: pytest.FixtureRequest) -> GasPolicyEntry:
        return request.param


class TestEip1559(Eip1559Conformance):
    @pytest.fixture
    def entry(self) -> GasPolicyEntry:
        entry = catalog().find(Kind.GAS_POLICY, "eip1559").entry
        assert isinstance(entry, GasPolicyEntry)
        return entry
