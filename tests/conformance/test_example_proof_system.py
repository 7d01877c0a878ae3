"""examples/custom_proof_system: hygiene, the suite, and forgeries that only the projections can catch."""

from __future__ import annotations

import sys

import pytest
from attrs import evolve

from lazai_core.api import ProofSystemEntry
from lazai_core.api.errors import ProofRejected
from lazai_core.api.proof import AcceptancePolicy
from lazai_core.registry import Kind
from lazai_core.testing.cases import cases
from lazai_core.testing.conformance import PluginHygiene, ProofSystemConformance
from lazai_core.testing.samples import perceptron, perceptron_batch
from tests.conformance.examples import EXAMPLES, example_entry, example_module

FOLDER = "custom_proof_system"


class TestHygiene(PluginHygiene):
    @pytest.fixture
    def module(self, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("PYTHONPATH", str(EXAMPLES / FOLDER))
        return example_module(FOLDER)


class TestFreivalds(ProofSystemConformance):
    @pytest.fixture
    def entry(self) -> ProofSystemEntry:
        entry = example_entry(FOLDER, Kind.PROOF_SYSTEM, "freivalds")
        assert isinstance(entry, ProofSystemEntry)
        return entry

    def test_it_proves_dense_layers_and_says_what_it_does_not(self, entry: ProofSystemEntry) -> None:
        supported = {
            sample.name: entry.build().supports(sample.model.program) for sample in (perceptron(), perceptron_batch())
        }

        assert all(support.supported for support in supported.values())

    def test_a_wrong_layer_that_leads_to_the_right_answer_is_caught(self, entry: ProofSystemEntry) -> None:
        """Change a hidden sum so little that rounding hides it: every later value and the output stay true."""
        system = entry.build()
        proved = self.prove(system, perceptron())
        hidden = 32
        caught = 0
        for case in cases(16):
            with case:
                position = hidden + 4 * case.random.randrange(16)
                data = bytearray(proved.envelope.data)
                data[position] ^= 1
                with pytest.raises(ProofRejected) as refusal:
                    system.verify(
                        proved.verifying_key,
                        proved.statement,
                        evolve(proved.envelope, data=bytes(data)),
                        AcceptancePolicy(),
                    )
                assert refusal.value.check == "layer"
                caught += 1
        assert caught >= 1


@pytest.mark.parametrize("columns", [1, 2, 300])
def test_projection_agrees_with_big_integers(columns: int) -> None:
    example_module(FOLDER)
    import numpy as np

    projection = pytest.importorskip("lazai_freivalds.projection")
    assert "lazai_freivalds" in sys.modules
    generator = np.random.default_rng(columns)
    matrix = generator.integers(-(2**31) + 1, 2**31, size=(5, columns), dtype=np.int64)
    matrix[0], matrix[1] = 2**31 - 1, -(2**31) + 1
    vector = [int(value) % projection.PRIME for value in generator.integers(0, 2**62, size=columns)]
    vector[0] = projection.PRIME - 1

    found = projection.project(matrix, vector)

    expected = [sum(int(a) * b for a, b in zip(row, vector, strict=True)) % projection.PRIME for row in matrix.tolist()]
    assert found == expected
