"""Every installed compute backend against the reference."""

from __future__ import annotations

import pytest

from lazai_core.api import CoprocessorEntry
from lazai_core.builtin.reference_coprocessor import build_reference
from lazai_core.testing.conformance.coprocessor import CoprocessorConformance


class TestReference(CoprocessorConformance):
    @pytest.fixture
    def entry(self) -> CoprocessorEntry:
        return CoprocessorEntry(name="reference", summary="numpy", build=build_reference)
