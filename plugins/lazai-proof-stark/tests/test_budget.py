"""The key's price is a budget: verifiers do no more than it pays for, and no vector is longer than memory allows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from math import prod

import numpy as np
import pytest
from attack_cases import key_of, network, one_run, refused
from attrs import evolve

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import ProofMalformed, ProvingFailed, UnsupportedProgram
from lazai_core.api.program import Dim, DType
from lazai_core.api.proof import AcceptancePolicy
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.model import ExactModel
from lazai_core.testing.chain_port import MemoryState
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import make_claim
from lazai_core.testing.samples import perceptron
from lazai_proof_stark import counting, key_data, model_key
from lazai_proof_stark.circuit import algebra, karray, ops_select
from lazai_proof_stark.circuit.compile import choose_sizes
from lazai_proof_stark.circuit.functional import Dense, Eq, Factor, Ones, Term, outer
from lazai_proof_stark.circuit.keys import public_data
from lazai_proof_stark.circuit.meter import VECTOR_CELLS_MAX
from lazai_proof_stark.circuit.nodes import Public
from lazai_proof_stark.circuit.pullback import Context, pull_back
from lazai_proof_stark.circuit.relations import Sizes
from lazai_proof_stark.circuit.witness import Values
from lazai_proof_stark.circuit.work import FormMeter
from lazai_proof_stark.counting import counted_circuit, price_of
from lazai_proof_stark.field import ONE, P
from lazai_proof_stark.key_data import read_key, with_skeleton
from lazai_proof_stark.options import StarkOptions
from lazai_proof_stark.parameters import parameter_set
from lazai_proof_stark.system import StarkProofSystem

SIZES = Sizes(range_bits=10)
SET = parameter_set("proven100")
DEV = AcceptancePolicy(security_bits_min=10)
MEBIBYTE = 1 << 20


def counted(model: ExactModel, limit: int | None = None, dim: int = 0) -> int:
    """The price of one circuit."""
    public = public_data(model.program, model.constants)
    return counted_circuit(model.program, dim, public, SIZES, SET, limit)[1]


def built(fill: Callable[[ProgramBuilder], object]) -> ExactModel:
    builder = ProgramBuilder()
    builder.output("y", fill(builder))
    return builder.build()


def pooled_sum(width: int, kernel: int) -> ExactModel:
    def fill(b: ProgramBuilder) -> object:
        x = b.input("x", DType.INT8, (1, 1, 1, width), low=0, high=100)
        return b.sum_pool2d(x, kernel=(1, kernel), strides=(1, 1), pads=(0, 0, 0, 0))

    return built(fill)


def pooled_maximum(kernel: int) -> ExactModel:
    def fill(b: ProgramBuilder) -> object:
        x = b.input("x", DType.INT8, (1, 1, 1, kernel))
        return b.max_pool2d(x, kernel=(1, kernel), strides=(1, 1), pads=(0, 0, 0, 0))

    return built(fill)


def convolution(width: int, kernel: int) -> ExactModel:
    def fill(b: ProgramBuilder) -> object:
        x = b.input("x", DType.INT8, (1, 1, 1, width))
        return b.conv2d(x, np.ones((1, 1, 1, kernel), dtype=np.int64), np.zeros(1, dtype=np.int64))

    return built(fill)


def repeated_sums(parts: int) -> ExactModel:
    """A sum of 24 slices, `parts` times in a row."""

    def fill(b: ProgramBuilder) -> object:
        x = b.input("x", DType.INT8, (4096,))
        total = b.slice(x, axis=0, start=0, length=3)
        for start in range(3, 72, 3):
            total = b.add(total, b.slice(x, axis=0, start=start, length=3))
        return b.reshape(b.concat([total] * parts, axis=0), (3 * parts,))

    return built(fill)


def joined_rows(count: int, width: int) -> ExactModel:
    def fill(b: ProgramBuilder) -> object:
        x = b.input("x", DType.INT32, (3,), low=0, high=count - 1)
        rows = b.gather(np.ones((count, width), dtype=np.int64), x)
        return b.requantize(b.reshape(rows, (3 * width,)), dtype=DType.INT8, shift=1)

    return built(fill)


def slices(cells: int, count: int) -> ExactModel:
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (cells,))
    for index in range(count):
        part = builder.slice(x, axis=0, start=7 * index + 1, length=3)
        builder.output(f"y{index}", builder.requantize(part, dtype=DType.INT8, shift=1))
    return builder.build()


def pooled_indices(width: int, kernel: int) -> ExactModel:
    def fill(b: ProgramBuilder) -> object:
        x = b.input("x", DType.INT8, (1, 1, 1, width), low=0, high=1)
        sums = b.sum_pool2d(x, kernel=(1, kernel), strides=(1, 1), pads=(0, 0, 0, 0))
        return b.gather(np.zeros(kernel + 1, dtype=np.int64), b.reshape(sums, (width - kernel + 1,)))

    return built(fill)


HOGS = {
    "sums in windows": (pooled_sum(65_536, 32_768), 2_000_000_000),
    "convolution": (convolution(20_000, 5_000), 150_000_000),
    "maxima in a window": (pooled_maximum(6_000), 100_000_000),
    "a form of many paths": (repeated_sums(200), 50_000_000),
    "rows of a public gather, joined": (joined_rows(20_000, 300), 50_000_000),
    "slices of a long input": (slices(1 << 20, 20), 50_000_000),
    "indices that are sums in windows": (pooled_indices(3_000, 1_500), 4_000_000),
}
"""Programs that were once verified for less than 2.4 million gas; a microsecond is worth 30 gas."""
ONCE_PAID = 2_400_000


@pytest.mark.parametrize("name", HOGS)
def test_work_beyond_the_price_is_refused_before_it_is_done(name: str) -> None:
    model, _ = HOGS[name]
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedProgram, match="gas that the key pays for"):
            counted(model, limit=ONCE_PAID)
        assert tracemalloc.get_traced_memory()[1] < 150 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_a_pooling_window_is_counted_before_its_forms_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """One form a place of the kernel, before the first column: a million of them take seconds."""
    monkeypatch.setattr(ops_select, "_position", lambda *_: pytest.fail("a form was made"))
    with pytest.raises(UnsupportedProgram, match="gas that the key pays for"):
        counted(pooled_maximum(1 << 20), limit=100_000_000)


@pytest.mark.parametrize("name", ["maxima in a window", "a form of many paths", "slices of a long input"])
def test_the_count_of_expensive_programs_is_what_they_cost(name: str) -> None:
    model, least = HOGS[name]
    assert counted(model) >= least


def test_no_vector_may_be_longer_than_memory_allows() -> None:
    """Without any limit on the price, and without forming it."""
    with pytest.raises(UnsupportedProgram, match="a vector of"):
        counted(joined_rows(30_000, 300))
    with pytest.raises(UnsupportedProgram, match="a vector of"):
        counted(pooled_indices(6_000, 3_000))
    with pytest.raises(UnsupportedProgram, match="a vector of"):
        FormMeter().vector(VECTOR_CELLS_MAX + 1)


def test_a_window_never_forms_the_product_of_kernel_and_output() -> None:
    source = Public(shape=(20_000,), low=0, high=9, source="input", index=0)
    node = algebra.contract(algebra.window(source, 0, 2_000, 18_001, 1, 1, 0), 0)
    term = Term(coefficient=ONE, factors=(Ones(axes=(0,), extents=(18_001,)),))
    context = Context(chi=ONE, values=Values([np.ones(20_000, dtype=np.int64)], []))
    pull_back(node, term, context)
    tracemalloc.start()
    try:
        found = pull_back(node, term, context)
        assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
    finally:
        tracemalloc.stop()
    assert found.value == (2_000 * 18_001 % P, 0, 0, 0, 0)


def entries(generator: np.random.Generator, *extents: int) -> karray.KArray:
    return generator.integers(0, P, (prod(extents), 5))


@pytest.mark.parametrize("joint", [(), (0, 1), (0, 2), (0, 1, 2, 3), (1, 3), (2, 3)])
def test_windows_give_the_same_whatever_factors_are_joint(joint: tuple[int, ...]) -> None:
    """Axes of the window's result: 1 is the kernel's, 2 the output's; 0 and 3 are others."""
    generator = np.random.default_rng(len(joint))
    shape, stride, dilation, pad = (3, 4, 5, 2), 2, 3, 4
    source = Public(shape=(3, 11, 2), low=-9, high=9, source="input", index=0)
    node = algebra.window(source, 1, 4, 5, stride, dilation, pad)
    values = Values([generator.integers(-9, 10, (3, 11, 2))], [])
    axes = [joint, *((axis,) for axis in range(4) if axis not in joint)] if joint else [(a,) for a in range(4)]
    factors: list[Factor] = [
        Dense(axes=group, extents=tuple(shape[a] for a in group), values=entries(generator, *(shape[a] for a in group)))
        for group in axes
    ]
    expected = karray.element(karray.weighted(values.array(node), outer(factors, range(4))))
    context = Context(chi=ONE, values=values)
    assert pull_back(node, Term(coefficient=ONE, factors=tuple(factors)), context).value == expected


def test_public_tensors_are_evaluated_axis_by_axis() -> None:
    generator = np.random.default_rng(4)
    shape = (3, 1, 7, 5, 2)
    factors = (
        Dense(axes=(4, 2), extents=(2, 7), values=entries(generator, 2, 7)),
        Eq(axes=(3,), extents=(5,), point=((1, 2, 3, 4, 5), (9, 8, 7, 6, 5), (2, 2, 2, 2, 2))),
        Ones(axes=(0,), extents=(3,)),
    )
    term = Term(coefficient=(3, 1, 4, 1, 5), factors=factors)
    for values in (generator.integers(-128, 128, shape).astype(np.int8), generator.integers(-(2**31), 2**31, shape)):
        assert term.apply(values) == karray.element(karray.weighted(values, term.expand(shape)))


def test_a_key_states_what_its_circuit_costs_and_may_state_more() -> None:
    system = StarkProofSystem(StarkOptions(parameters="dev", threads=1))
    claim = make_claim(perceptron(), proof_system="stark")
    model = claim.sample.model
    key = system.prepare(model.program, model)
    public, sizes, parameters = key.weight_key.public, key.weight_key.sizes, key.weight_key.parameters
    assert key.weight_key.gas == price_of(model.program, public, sizes, parameters)
    assert counted_circuit(model.program, 0, public, sizes, parameters, key.weight_key.gas)[1] == key.weight_key.gas
    with pytest.raises(UnsupportedProgram, match="gas"):
        counted_circuit(model.program, 0, public, sizes, parameters, key.weight_key.gas - 1)

    generous = with_skeleton(evolve(key, weight_key=evolve(key.weight_key, gas=key.weight_key.gas + 1000)))
    envelope = system.prove(generous, claim.statement, claim.trace, SeededRng(), CancelToken())
    system.verify(generous.verifying_key, claim.statement, envelope, DEV)
    size, state = len(envelope.data), MemoryState()
    prices = [system.verification_gas(k.verifying_key, size, state) for k in (key, generous)]
    assert prices[1] == prices[0] + 1000


def test_prover_and_verifier_refuse_a_key_that_pays_too_little() -> None:
    system = StarkProofSystem(StarkOptions(parameters="dev", threads=1))
    claim = make_claim(perceptron(), proof_system="stark")
    key = system.prepare(claim.sample.model.program, claim.sample.model)
    envelope = system.prove(key, claim.statement, claim.trace, SeededRng(), CancelToken())
    poor = with_skeleton(evolve(key, weight_key=evolve(key.weight_key, gas=key.weight_key.gas - 1)))
    with pytest.raises(ProvingFailed, match="gas that the key pays for"):
        system.prove(poor, claim.statement, claim.trace, SeededRng(), CancelToken())
    with pytest.raises(ProofMalformed, match="gas that the key pays for"):
        system.verify(poor.verifying_key, claim.statement, envelope, DEV)


def test_reading_a_key_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    key = one_run().key.verifying_key

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a circuit was compiled")

    for module, name in ((counting, "compile_circuit"), (model_key, "counted_circuit")):
        monkeypatch.setattr(module, name, never)
    assert read_key(key).weight_key.gas == key_data.stated_gas(key) > 0


def test_the_price_covers_every_value_of_the_dimension() -> None:
    """Axes are cut into one, two or three pieces, so the largest value is not always the dearest."""
    model = attention(100)
    public = public_data(model.program, model.constants)
    sizes = choose_sizes(model.program.bind(32), public)
    stated = price_of(model.program, public, sizes, SET)
    prices = [counted_circuit(model.program, n, public, sizes, SET)[1] for n in range(1, 101)]
    assert max(prices) <= stated <= 1.1 * max(prices)
    assert max(prices) > prices[-1] or len(set(prices)) > 1


def attention(most: int) -> ExactModel:
    builder = ProgramBuilder(Dim(name="n", minimum=1, maximum=most))
    generator = np.random.default_rng(1)
    x = builder.input("x", DType.INT8, (-1, 48))

    def heads() -> object:
        wide = builder.dense(x, generator.integers(-30, 30, (48, 48)), generator.integers(-99, 99, 48))
        narrow = builder.requantize(wide, dtype=DType.INT8, shift=8)
        return builder.transpose(builder.reshape(narrow, (-1, 3, 16)), (1, 0, 2))

    scores = builder.matmul(heads(), heads(), transpose_right=True)
    narrow = builder.requantize(scores, dtype=DType.INT16, shift=9, low=-9, high=9)
    table = [max(1, int(4096 * 0.8**i)) if i < 8 else 0 for i in range(9)]
    mixed = builder.matmul(builder.softmax(narrow, table, precision=7, causal=True), heads())
    result = builder.requantize(mixed, dtype=DType.INT8, shift=7)
    builder.output("y", builder.reduce_max(builder.reshape(builder.transpose(result, (1, 0, 2)), (-1, 48)), axes=(0,)))
    return builder.build()


def test_where_the_largest_value_cannot_be_proved_a_smaller_one_is_priced() -> None:
    builder = ProgramBuilder(Dim(name="n", minimum=1, maximum=8_192))
    value = builder.input("x", DType.INT8, (-1, 1_024))
    for _ in range(6):
        value = builder.requantize(builder.add(value, value, shift_left=3), dtype=DType.INT8, shift=2)
    builder.output("y", builder.reduce_max(value, axes=(0, 1)))
    model = builder.build()
    public = public_data(model.program, model.constants)
    with pytest.raises(UnsupportedProgram, match="variables"):
        counted(model, dim=8_192)
    assert price_of(model.program, public, SIZES, SET) >= counted(model, dim=1_024)


def test_a_range_table_of_fewer_than_eight_bits_is_no_key() -> None:
    run = one_run()
    data = bytearray(run.key.weight_key.encode())
    place = 4 + len("dev")
    assert data[place] == run.key.weight_key.sizes.range_bits
    for bits in (0, 4, 7, 19):
        data[place] = bits
        with pytest.raises(ProofMalformed, match="range tables have 8 to 18 bits"):
            model_key.WeightKey.decode(bytes(data))
    with pytest.raises(ValueError, match="range_bits"):
        Sizes(range_bits=7)
    assert key_of(network()).weight_key.sizes.range_bits >= 8
    refused(lambda: run.verify(b""))
