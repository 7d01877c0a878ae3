"""The suite that every proof system passes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import lazai_proof_stark.plugin
from lazai_core.api.entries import ProofSystemEntry
from lazai_core.testing.conformance import PluginHygiene, ProofSystemConformance
from lazai_core.testing.sample import Sample
from lazai_core.testing.samples import attention, convolution, perceptron_batch


class TestModule(PluginHygiene):
    @pytest.fixture
    def module(self) -> str:
        return "lazai_proof_stark.plugin"


class TestStark(ProofSystemConformance):
    @pytest.fixture
    def entry(self) -> ProofSystemEntry:
        (entry,) = lazai_proof_stark.plugin.lazai_proof_systems()
        return entry

    @pytest.fixture
    def samples(self) -> Sequence[Sample]:
        """A symbolic dimension, images, and a transformer: between them every kind of operation."""
        return (perceptron_batch(), convolution(), attention())
