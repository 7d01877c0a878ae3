"""Whole programs: random ones and the samples every suite runs; honest witnesses and every claim."""

from __future__ import annotations

from itertools import islice
from random import Random

import numpy as np
import pytest
from circuit_cases import KINDS, SIZES, case_of, make_case

from lazai_core.api.errors import UnsupportedProgram
from lazai_core.api.program import Dim, DType, Program
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.testing import samples
from lazai_proof_stark.circuit.check import check_claims, leaf_values, violations
from lazai_proof_stark.circuit.compile import choose_sizes, compile_circuit
from lazai_proof_stark.circuit.keys import public_data
from lazai_proof_stark.circuit.relations import PublicData, Sizes
from lazai_proof_stark.counting import counted_circuit
from lazai_proof_stark.parameters import parameter_set


@pytest.mark.parametrize("sample", samples.exact_programs(), ids=lambda sample: sample.name)
def test_samples_at_the_ends_of_their_dimension(sample: samples.Sample) -> None:
    program = sample.model.program
    dim = program.dim
    for value in [0] if dim is None else sorted({dim.minimum, dim.minimum + 2}):
        bound = program.bind(value)
        generator = np.random.default_rng(value)
        inputs = [generator.integers(i.low, i.high + 1, bound.shapes[k]) for k, i in enumerate(program.inputs)]
        case = make_case(sample.model, inputs, value, sizes=None)
        found = leaf_values(inputs, case.outputs, case.model.constants, case.columns())
        assert list(violations(case.circuit, found)) == []
        assert case.same_program_values(case.columns())
        check_claims(case.circuit, found)


def test_a_circuit_depends_on_the_skeleton_and_the_public_data_alone() -> None:
    for kind in KINDS:
        case = case_of(kind)
        program = Program.from_skeleton(case.model.program.skeleton())
        again = compile_circuit(program.bind(0), public_data(program, case.model.constants), SIZES)
        assert shape_of(again) == shape_of(case.circuit)


def shape_of(circuit: object) -> list[object]:
    columns = [(c.op, c.name, c.shape, c.pieces) for c in circuit.columns]
    lookups = [(k.op, k.name, k.shape, k.table, len(k.forms)) for k in circuit.lookups]
    return [columns, lookups, circuit.activations, circuit.weights, [(t.name, t.rows) for t in circuit.tables]]


def test_circuits_without_channel_bounds_work_too() -> None:
    model = samples.perceptron_batch().model
    bound = model.program.bind(3)
    given = PublicData(shifts=public_data(model.program, model.constants).shifts)
    with_bounds = compile_circuit(bound, public_data(model.program, model.constants), SIZES)
    without = compile_circuit(bound, given, SIZES)
    assert sum(c.cells for c in without.columns) >= sum(c.cells for c in with_bounds.columns)


def test_shift_vectors_are_held_against_their_digest() -> None:
    case = case_of("requantize_channels")
    good = public_data(case.model.program, case.model.constants)
    (index, shifts), *_ = good.shifts.items()
    for wrong in (shifts[:-1], (*shifts[:-1], shifts[-1] + 1), (*shifts[:-1], 500)):
        with pytest.raises(UnsupportedProgram, match=f"constant {index}"):
            compile_circuit(case.circuit.bound, PublicData(shifts={index: wrong}), SIZES)
    with pytest.raises(UnsupportedProgram):
        compile_circuit(case.circuit.bound, PublicData(), SIZES)


@pytest.mark.parametrize("bounds", [{0: (1,)}, {99: (1, 2)}, {1: (1, 2, 3, 4, 5)}, {0: (-1, 1, 1, 1, 1)}])
def test_channel_bounds_that_do_not_fit_are_refused(bounds: dict[int, tuple[int, ...]]) -> None:
    case = case_of("requantize_channels")
    shifts = public_data(case.model.program, case.model.constants).shifts
    with pytest.raises(UnsupportedProgram, match="channel bounds"):
        compile_circuit(case.circuit.bound, PublicData(shifts=shifts, channel_bounds=bounds), SIZES)


def test_an_identity_that_could_wrap_is_refused_with_its_operation() -> None:
    builder = ProgramBuilder(None)
    x = builder.input("x", DType.INT32, (4,))
    y = builder.add(
        builder.requantize(x, dtype=DType.INT16, shift=2, low=-5, high=5), builder.constant([1], DType.INT8)
    )
    builder.output("y", y)
    model = builder.build()
    with pytest.raises(UnsupportedProgram, match=r"operation 0 \(requantize\).*wraps around"):
        compile_circuit(model.program.bind(0), PublicData(), SIZES)


def test_work_stays_bounded_where_paths_double() -> None:
    """x + x, again and again, has 2^n paths to its leaf; columns cut them."""
    builder = ProgramBuilder(None)
    x = builder.input("x", DType.INT8, (3,), low=0, high=1)
    value = builder.add(x, x)
    for _ in range(200):
        value = builder.requantize(builder.add(value, value), dtype=DType.INT16, shift=1, low=0, high=2)
    for _ in range(12):
        value = builder.add(value, value)
    builder.output("y", value)
    model = builder.build()
    circuit = compile_circuit(model.program.bind(0), public_data(model.program, model.constants), SIZES)
    assert max(form.paths for lookup in circuit.lookups for form in lookup.forms) <= 100
    assert all(equality.form.paths <= 100 for equality in circuit.equalities)


def test_chosen_sizes_fit_other_values_of_the_dimension() -> None:
    model = samples.perceptron_batch().model
    public = public_data(model.program, model.constants)
    sizes = choose_sizes(model.program.bind(5), public)
    for value in (1, 24):
        generator = np.random.default_rng(value)
        inputs = [generator.integers(-128, 128, (value, 12))]
        case = make_case(model, inputs, value, sizes)
        assert case.check(case.columns()) == []


def test_random_chains_of_moves_and_products() -> None:
    """Reshapes, transposes and slices between products: functionals stay separable or are made so."""
    for seed in range(12):
        random = Random(seed)
        builder = ProgramBuilder(Dim(name="n", minimum=1, maximum=4))
        a = builder.input("a", DType.INT8, (-1, 6, 2), low=-5, high=5)
        b = builder.input("b", DType.INT8, (-1, 2, 6), low=-5, high=5)
        value = builder.matmul(a, b)
        for _ in range(random.randint(1, 3)):
            value = random.choice(list(moves(builder, value)))
        value = builder.requantize(value, dtype=DType.INT8, shift=random.randint(0, 3), low=-30, high=90)
        builder.output("y", builder.matmul(value, value, transpose_right=True) if len(value.shape) > 1 else value)
        model, generator = builder.build(), np.random.default_rng(seed)
        inputs = [generator.integers(-5, 6, (3, 6, 2)), generator.integers(-5, 6, (3, 2, 6))]
        case = make_case(model, inputs, 3)
        assert case.check(case.columns()) == []
        assert case.same_program_values(case.columns())
        check_claims(case.circuit, case.values(case.columns()))


def moves(builder: ProgramBuilder, value: object) -> list[object]:
    shape = value.shape
    found = [builder.transpose(value, tuple(reversed(range(len(shape)))))]
    static = [n for n in shape if n != -1]
    found.append(builder.reshape(value, (-1, int(np.prod(static)))))
    found.append(builder.reshape(value, (*static, -1)))
    axis = max(range(len(shape)), key=lambda i: shape[i])
    found.append(builder.slice(value, axis=axis, start=1, length=shape[axis] - 2) if shape[axis] > 3 else found[0])
    return list(islice(found, 4))


def test_limbs_cover_every_excess_and_no_search_is_long() -> None:
    from lazai_proof_stark.circuit.checks import least_reach, limb_coefficients

    random = Random(11)
    for _ in range(300):
        beyond, reach = random.randint(1, 2 ** random.randint(1, 32)), random.randint(1, 2 ** random.randint(1, 17))
        coefficients = limb_coefficients(beyond, reach)
        for excess in (0, 1, beyond, beyond // 2, random.randint(0, beyond)):
            rest, digits = excess, []
            for above, below in zip([0, *reversed(coefficients[1:])], reversed(coefficients), strict=True):
                rest = rest % above if above else rest
                digits.append(rest // below)
            assert max(digits) <= reach
            assert sum(d * c for d, c in zip(digits, reversed(coefficients), strict=True)) == excess
        for limbs in (1, 2, 3):
            least = least_reach(beyond, limbs)
            assert (least + 1) ** limbs > beyond
            assert least == 1 or least**limbs <= beyond


@pytest.mark.parametrize("shifts", [[1, 2], [0, 3], [2, 2]])
def test_channel_bounds_do_not_reach_beyond_the_operands_interval(shifts: list[int]) -> None:
    """A table behind the quotient has an entry for each of its values, and for no more."""
    builder = ProgramBuilder(None)
    x = builder.input("x", DType.INT8, (2, 3), low=0, high=10)
    sums = builder.dense(x, np.ones((2, 3), dtype=np.int64), np.array([900, 1000]))
    narrow = builder.requantize(sums, dtype=DType.INT16, shifts=np.array(shifts), axis=1)
    found = builder.table(narrow, np.arange(narrow.high - narrow.low + 1) % 100, offset=narrow.low)
    builder.output("y", builder.add(found, found))
    model = builder.build()
    for value in (0, 10):
        case = make_case(model, [np.full((2, 3), value)])
        assert case.check(case.columns()) == []
        assert case.same_program_values(case.columns())


def test_hostile_sizes_and_channel_bounds_compile_or_are_refused() -> None:
    """Whatever a key says: no other exception, no search without end."""
    random = Random(7)
    kinds = ("requantize_channels", "conv2d", "attention", "table_merged", "requantize_wide", "layer_norm", "gelu")
    models = [case_of(kind).model for kind in kinds]
    for _ in range(600):
        model = random.choice(models)
        public = public_data(model.program, model.constants)
        bounds = {
            index: tuple(random.choice([0, 1, 5, 300, 2**31 - 1, value]) for value in found)
            for index, found in public.channel_bounds.items()
        }
        clamps = tuple(
            (
                random.choice([50, 80, 81, 255, 256, 3000, 24000, random.randrange(2**17)]),
                random.choice([1, 2, 7, 255, 2**17, 2**32 - 1]),
                random.random() < 0.5,
                random.random() < 0.5,
            )
            for _ in range(4)
        )
        sizes = Sizes(range_bits=random.randrange(8, 19), clamps=clamps)
        given = PublicData(shifts=public.shifts, channel_bounds=bounds)
        try:
            counted_circuit(model.program, 0, given, sizes, parameter_set("proven100"), 10**9)
        except UnsupportedProgram:
            continue
