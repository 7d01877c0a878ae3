"""Sample programs: every operation is among them, they repeat, and their extremes are extreme."""

from __future__ import annotations

import pytest

from lazai_core.api import ServiceEntry
from lazai_core.api.errors import AssemblyError
from lazai_core.api.program_rules import OP_SCHEMAS
from lazai_core.testing.operations import operation_samples
from lazai_core.testing.parts import SampleStore, build_entry
from lazai_core.testing.sample import Fill, make_claim
from lazai_core.testing.samples import exact_programs, perceptron


def test_every_operation_has_a_sample() -> None:
    assert {op.kind for sample in operation_samples() for op in sample.model.program.ops} == set(OP_SCHEMAS)


def test_names_differ() -> None:
    samples = (*operation_samples(), *exact_programs())

    assert len({sample.name for sample in samples}) == len(samples)


def test_weights_and_inputs_repeat() -> None:
    perceptron.cache_clear()
    before = perceptron().model.program.digest(), perceptron().job_input(seed=3)
    perceptron.cache_clear()

    assert (perceptron().model.program.digest(), perceptron().job_input(seed=3)) == before
    assert perceptron().job_input(seed=4) != before[1]


def test_accumulators_come_close_to_their_bound() -> None:
    reached = {}
    for sample in operation_samples():
        if sample.name.endswith(("-accumulators", "-products")) and "norm" not in sample.name:
            outputs = [sample.run(sample.job_input(fill=fill)).outputs[0] for fill in Fill]
            reached[sample.name] = max(abs(int(array.astype("i8").max())) for array in outputs)

    assert len(reached) == 4
    assert all(2**30 - 2**25 < value < 2**30 for value in reached.values()), reached


def test_a_claim_names_the_job_it_answers() -> None:
    claim = make_claim(perceptron(), proof_system="attestation")

    assert claim.statement.job_id == claim.job.job_id
    assert claim.statement.output == perceptron().run(claim.job.input).output_bytes()


def test_the_store_knows_its_samples_only() -> None:
    store = SampleStore(exact_programs())
    digest = perceptron().model.program.digest()
    stranger = type(digest)(bytes(32))

    assert store.program(digest) == perceptron().model.program
    assert (store.program(stranger), store.constants(stranger), store.manifest(stranger)) == (None, None, None)
    assert list(store.models()) == sorted(store.models())


def test_a_build_that_asks_for_the_unknown_is_refused() -> None:
    def build(temperature: float) -> object:
        return temperature

    with pytest.raises(AssemblyError, match="temperature"):
        build_entry(ServiceEntry(name="odd", summary="Odd", build=build))
    with pytest.raises(TypeError, match="there are no parts called"):
        build_entry(ServiceEntry(name="odd", summary="Odd", build=object), weather=1)
