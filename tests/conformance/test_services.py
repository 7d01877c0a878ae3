"""Every installed service, on a free port of this machine."""

from __future__ import annotations

from typing import Any

import pytest

from lazai_core.api import ServiceEntry
from lazai_core.registry import Kind
from lazai_core.testing.conformance import ServiceConformance
from tests.conformance.installed import entries, entry_name


class TestInstalledServices(ServiceConformance):
    @pytest.fixture(params=entries(Kind.SERVICE), ids=entry_name)
    def entry(self, request: pytest.FixtureRequest) -> ServiceEntry:
        return request.param

    @pytest.fixture
    def options(self, entry: ServiceEntry) -> Any:
        return entry.options(listen="127.0.0.1:0") if "listen" in entry.options.__annotations__ else entry.options()
