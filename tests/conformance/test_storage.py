"""Every installed key-value store, and the one the kit hands to builds."""

from __future__ import annotations

import pytest

from lazai_core.api import StorageEntry
from lazai_core.registry import Kind
from lazai_core.testing.conformance import StorageConformance
from lazai_core.testing.parts import DictStore
from tests.conformance.installed import entries, entry_name

KIT = StorageEntry(name="dict", summary="A dictionary", build=DictStore, durable=False)


class TestInstalledStores(StorageConformance):
    @pytest.fixture(params=[KIT, *entries(Kind.STORAGE)], ids=entry_name)
    def entry(self, request: pytest.FixtureRequest) -> StorageEntry:
        return request.param
