"""Every installed key-value store."""

from __future__ import annotations

import pytest

from lazai_core.api import StorageEntry
from lazai_core.testing.conformance.storage import StorageConformance
from lazai_core.testing.parts import DictStore


class TestTheKitsOwnStore(StorageConformance):
    @pytest.fixture
    def entry(self) -> StorageEntry:
        return StorageEntry(name="dict", summary="A dictionary", build=DictStore, durable=False)
