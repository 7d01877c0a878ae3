"""A coprocessor's kernels in the prover: the same bytes, and the processor where memory is short."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import define, evolve
from plonk_cases import CONTEXT
from plonk_circuits import chain_circuit

from lazai_core.api.curve_kernels import CurvePoint, PointArray
from lazai_core.api.errors import BackendUnavailable, OutOfMemory, UnsupportedProgram
from lazai_core.builtin.reference_coprocessor import ReferenceCoprocessor
from lazai_core.testing.conformance import CurveKernelsConformance
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.samples import perceptron
from lazai_proof_plonk.ceremony import insecure_test_powers
from lazai_proof_plonk.curve import multi_scalar_multiply
from lazai_proof_plonk.curve_engine import OfferedEngine, ProcessorEngine, choose_engine
from lazai_proof_plonk.field import GENERATOR, MONTGOMERY, Q, R
from lazai_proof_plonk.files.limbs import limbs_from_integers
from lazai_proof_plonk.native_circuit import circuit_of_gates
from lazai_proof_plonk.native_prover import NativeProver
from lazai_proof_plonk.native_setup import native_setup
from lazai_proof_plonk.native_verifier import verify
from lazai_proof_plonk.options import PlonkOptions
from lazai_proof_plonk.r1cs_gates import gates_of
from lazai_proof_plonk.system import PlonkProofSystem
from lazai_proof_plonk.witness_values import extend_witness


@define
class Points:
    points: list[CurvePoint]

    @property
    def count(self) -> int:
        return len(self.points)


class PlainKernels:
    """Curve kernels in plain integers. `memory_short` names steps that run out of memory."""

    device = "plain"

    def __init__(self, *, accelerated: bool = False, memory_short: frozenset[str] = frozenset()) -> None:
        self.accelerated = accelerated
        self.memory_short = memory_short
        self.calls: list[str] = []

    def _enter(self, step: str) -> None:
        self.calls.append(step)
        if step in self.memory_short:
            raise OutOfMemory(step)

    def evaluate(self, coefficients: memoryview, size: int, shift: int) -> bytes:
        self._enter("evaluate")
        values = [value * pow(shift, index, R) % R for index, value in enumerate(integers(coefficients))]
        return words(transformed(values + [0] * (size - len(values)), root_of(size)))

    def interpolate(self, values: memoryview, shift: int) -> bytes:
        self._enter("interpolate")
        given = integers(values)
        size, unshift = len(given), pow(shift, -1, R)
        made = transformed(given, pow(root_of(size), -1, R))
        scale = pow(size, -1, R)
        return words([value * scale * pow(unshift, index, R) % R for index, value in enumerate(made)])

    def load_points(self, points: memoryview) -> PointArray:
        self._enter("load_points")
        unscale = pow(MONTGOMERY, -1, Q)
        parts = [part * unscale % Q for part in integers(points)]
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return Points([None if pair == (0, 0) else pair for pair in pairs])

    def sums(self, points: PointArray, scalars: Sequence[memoryview]) -> Sequence[CurvePoint]:
        self._enter("sums")
        assert isinstance(points, Points)
        vectors = [integers(each) for each in scalars]
        return [multi_scalar_multiply(points.points[: len(vector)], vector) for vector in vectors]


def root_of(size: int) -> int:
    return pow(GENERATOR, (R - 1) // size, R)


def transformed(values: list[int], root: int) -> list[int]:
    if len(values) == 1:
        return values
    even, odd = (transformed(values[part::2], root * root % R) for part in (0, 1))
    turned = [pow(root, index, R) * value % R for index, value in enumerate(odd)]
    pairs = list(zip(even, turned, strict=True))
    return [(x + y) % R for x, y in pairs] + [(x - y) % R for x, y in pairs]


def integers(data: memoryview) -> list[int]:
    return [int.from_bytes(data[at : at + 32], "little") for at in range(0, len(data), 32)]


def words(values: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(32, "little") for value in values)


class TestPlainKernels(CurveKernelsConformance):
    """What the tests below take for a coprocessor keeps the contract too."""

    @pytest.fixture
    def kernels(self) -> PlainKernels:
        return PlainKernels()


class Offering(ReferenceCoprocessor):
    def __init__(self, kernels: PlainKernels | None) -> None:
        super().__init__()
        self.curves = kernels


class Broken(ReferenceCoprocessor):
    """Fails when it is opened, as a node's stand-in for a backend does whose library is missing."""

    def __getattribute__(self, name: str) -> object:
        if name == "curves":
            raise BackendUnavailable("no such library")
        return super().__getattribute__(name)


SHORT = [
    frozenset[str](),
    frozenset({"load_points"}),
    frozenset({"sums", "evaluate"}),
    frozenset({"interpolate"}),
]


@pytest.mark.parametrize("memory_short", SHORT, ids=lambda each: "+".join(sorted(each)) or "enough")
def test_a_proof_does_not_show_who_computed_it(memory_short: frozenset[str]) -> None:
    kernels = PlainKernels(memory_short=memory_short)
    circuit, witness = chain_circuit(5)
    gates, powers = circuit_of_gates(gates_of(circuit)), insecure_test_powers(4)
    keys = [native_setup(gates, powers, engine=engine) for engine in (ProcessorEngine(), OfferedEngine(kernels))]
    assert keys[0].key == keys[1].key
    values = extend_witness(keys[0].variables, keys[0].additions, limbs_from_integers(witness))
    proofs = [NativeProver(key).prove(values, SeededRng(2), CONTEXT) for key in keys]
    assert proofs[0] == proofs[1]
    verify(keys[0].key, proofs[0][1], proofs[0][0], CONTEXT)
    assert set(kernels.calls) == {"evaluate", "interpolate", "load_points", "sums"} - (
        {"sums"} if "load_points" in memory_short else set()
    )


def test_who_is_chosen() -> None:
    slow, fast = Offering(PlainKernels()), Offering(PlainKernels(accelerated=True))
    for wanted, coprocessor, offered in (
        ("processor", fast, False),
        ("auto", None, False),
        ("auto", Offering(None), False),
        ("auto", slow, False),
        ("auto", Broken(), False),
        ("auto", fast, True),
        ("coprocessor", slow, True),
    ):
        engine = choose_engine(wanted, coprocessor)
        assert isinstance(engine, OfferedEngine if offered else ProcessorEngine), (wanted, coprocessor)
    for coprocessor in (None, Offering(None)):
        with pytest.raises(BackendUnavailable, match="no curve kernels"):
            choose_engine("coprocessor", coprocessor)
    with pytest.raises(BackendUnavailable, match="no such library"):
        choose_engine("coprocessor", Broken())


def test_a_system_that_lacks_the_kernels_it_is_told_to_use_makes_no_keys() -> None:
    sample = perceptron()
    options = PlonkOptions(setup="insecure-test", kernels="coprocessor")
    with pytest.raises(UnsupportedProgram, match="no curve kernels"):
        PlonkProofSystem(options, Offering(None)).prepare(sample.model.program, sample.model)
    with pytest.raises(ValueError, match="kernels must be one of"):
        evolve(options, kernels="gpu")
