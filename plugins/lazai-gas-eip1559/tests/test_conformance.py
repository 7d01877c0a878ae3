"""The author kit's suite for gas policies, over this plugin."""

from __future__ import annotations

import pytest

from lazai_core.api import GasPolicyEntry
from lazai_core.testing.conformance.gas_policy import GasPolicyConformance
from lazai_gas_eip1559.options import Eip1559Options
from lazai_gas_eip1559.plugin import lazai_gas_policies


class TestEip1559(GasPolicyConformance):
    @pytest.fixture
    def entry(self) -> GasPolicyEntry:
        (found,) = lazai_gas_policies()
        return found


class TestShortQuotes(TestEip1559):
    @pytest.fixture
    def options(self) -> Eip1559Options:
        return Eip1559Options(quote_blocks=1)
