"""The weight commitment W: made once a model, its cap is the verifying key's core."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
from attrs import evolve, field, frozen

from lazai_core.api.encoding import Reader, Writer
from lazai_core.api.errors import ProofMalformed, UnsupportedProgram
from lazai_core.api.program import Program
from lazai_core.api.proof import VerifyingKey
from lazai_core.api.types import ModelId

from .circuit.compile import choose_sizes, compile_circuit
from .circuit.karray import IntArray
from .circuit.keys import public_data
from .circuit.layout import Layout
from .circuit.relations import RANGE_BITS_MIN, Circuit, PublicData, Sizes
from .commitment import VARIABLES_MIN, Shape
from .counting import counted_circuit, price_of
from .expansion import fill_commitment
from .kernels.arrays import Words
from .parameters import ParameterSet, parameter_set
from .steps import PROCESSOR, Commitment, Steps

SYSTEM_NAME = "stark"
VERSION = 1
KEY_BYTES_MAX = 1 << 20
CAP_MAX = 1 << 10
CIRCUITS_KEPT_MAX = 32
VECTOR_MAX = 1 << 17
CLAMPS_MAX = 1 << 10
RANGE_BITS_MAX = 18
TYPICAL_DIMENSION = 32
"""Table sizes are chosen for this value of the symbolic dimension."""


def commitment_variables(layout: Layout) -> int:
    """Variables of a layout's commitment; small ones are filled up with zeros."""
    return max(layout.variables, VARIABLES_MIN)


def _write_word(writer: Writer, value: int) -> Writer:
    """A signed 32-bit number: shifts and bounds of accumulators fit, and long heads have many of them."""
    return writer.u32(value & 0xFFFFFFFF)


def _read_word(reader: Reader) -> int:
    value = reader.u32()
    return value - (1 << 32) if value >> 31 else value


def _write_vectors(writer: Writer, vectors: Mapping[int, tuple[int, ...]]) -> None:
    writer.sequence(
        sorted(vectors.items()),
        lambda w, entry: w.u32(entry[0]).sequence(entry[1], _write_word),
    )


def _read_vectors(reader: Reader) -> dict[int, tuple[int, ...]]:
    def entry(inner: Reader) -> tuple[int, tuple[int, ...]]:
        return inner.u32(), inner.sequence(_read_word, limit=VECTOR_MAX, item_bytes_min=4)

    entries = reader.sequence(entry, limit=VECTOR_MAX, item_bytes_min=8)
    indices = [index for index, _ in entries]
    if indices != sorted(set(indices)):
        raise ProofMalformed("the vectors of the key are not in ascending order")
    return dict(entries)


@frozen(kw_only=True, eq=False)
class WeightKey:
    """What a verifying key says: parameter set, table sizes, what is public of the constants, and the cap of W."""

    parameters: ParameterSet
    sizes: Sizes
    public: PublicData
    cap: Words = field(repr=False)
    gas: int = 0
    """What the key pays a verifier for; stated in front of the key's data, so no part of these bytes."""
    digest: bytes = b""

    def encode(self) -> bytes:
        """Canonical bytes, without the gas."""
        writer = Writer().text(self.parameters.name).u8(self.sizes.range_bits)
        writer.sequence(
            self.sizes.clamps,
            lambda w, entry: w.u32(entry[0]).u32(entry[1]).boolean(entry[2]).boolean(entry[3]),
        )
        _write_vectors(writer, self.public.shifts)
        _write_vectors(writer, self.public.channel_bounds)
        writer.bytes_(self.cap.astype("<u4").tobytes())
        return writer.finish()

    @classmethod
    def decode(cls, data: bytes) -> WeightKey:
        """Inverse of `encode`. Raises EncodingError, ProofMalformed."""
        if len(data) > KEY_BYTES_MAX:
            raise ProofMalformed(f"a verifying key has at most {KEY_BYTES_MAX} bytes, got {len(data)}")
        reader = Reader(data)
        parameters = parameter_set(reader.text(32))
        range_bits = reader.u8()
        clamps = reader.sequence(
            lambda r: (r.u32(), r.u32(), r.boolean(), r.boolean()), limit=CLAMPS_MAX, item_bytes_min=10
        )
        shifts, bounds = _read_vectors(reader), _read_vectors(reader)
        cap = reader.bytes_(32 * CAP_MAX)
        reader.finish()
        if len(cap) % 32 or not cap:
            raise ProofMalformed("the key's commitment is not a list of hashes")
        if not RANGE_BITS_MIN <= range_bits <= RANGE_BITS_MAX:
            raise ProofMalformed(f"range tables have {RANGE_BITS_MIN} to {RANGE_BITS_MAX} bits, got {range_bits}")
        if any(reach < 1 for _, reach, _, _ in clamps):
            raise ProofMalformed("a clamp of the key has limbs of no reach")
        return cls(
            parameters=parameters,
            sizes=Sizes(range_bits=range_bits, clamps=clamps),
            public=PublicData(shifts=shifts, channel_bounds=bounds),
            cap=np.frombuffer(cap, dtype="<u4").astype(np.uint32).reshape(-1, 8),
            digest=hashlib.sha256(data).digest(),
        )


@frozen(kw_only=True, eq=False)
class StarkProvingKey:
    """The model's constants, committed."""

    verifying_key: VerifyingKey
    weight_key: WeightKey
    program: Program
    constants: tuple[IntArray, ...] = field(repr=False)
    committed: Commitment = field(repr=False)


_CIRCUITS: OrderedDict[tuple[bytes, int, bytes, int], Circuit] = OrderedDict()
_CIRCUITS_LOCK = threading.Lock()


def circuit_of(program: Program, dim_value: int, key: WeightKey) -> Circuit:
    """The circuit of one run; the last ones are kept. Raises UnsupportedProgram, InvalidInput.

    Making it, and verifying with it, costs no more than the key's gas, or it is refused.
    """
    name = (bytes(program.digest()), dim_value, key.digest, key.gas)
    with _CIRCUITS_LOCK:
        found = _CIRCUITS.get(name)
        if found is not None:
            _CIRCUITS.move_to_end(name)
            return found
    circuit, _ = counted_circuit(program, dim_value, key.public, key.sizes, key.parameters, limit=key.gas)
    with _CIRCUITS_LOCK:
        _CIRCUITS[name] = circuit
        while len(_CIRCUITS) > CIRCUITS_KEPT_MAX:
            _CIRCUITS.popitem(last=False)
    return circuit


def weight_shape(circuit: Circuit, parameters: ParameterSet) -> Shape:
    """Sizes of W."""
    return Shape.of(commitment_variables(circuit.weights), parameters.weights)


def activation_shape(circuit: Circuit, parameters: ParameterSet) -> Shape:
    """Sizes of A."""
    return Shape.of(commitment_variables(circuit.activations), parameters.activations)


def make_key(
    program: Program, constants: Sequence[IntArray], parameters: ParameterSet, steps: Steps = PROCESSOR
) -> StarkProvingKey:
    """Commit to a model's constants: deterministic. Raises UnsupportedProgram naming the operation."""
    public = public_data(program, constants)
    smallest, typical, largest = _dimensions(program)
    sizes = choose_sizes(program.bind(typical), public)
    circuit = compile_circuit(program.bind(typical), public, sizes)
    for other in {smallest, largest} - {typical}:
        if compile_circuit(program.bind(other), public, sizes).weights != circuit.weights:
            raise UnsupportedProgram("the layout of the weights depends on the symbolic dimension")
    arrays = {index: constants[index] for index in circuit.constants}
    words = fill_commitment(circuit.weights, commitment_variables(circuit.weights), arrays)
    committed = steps.commit(words, parameters.weights)
    data = WeightKey(parameters=parameters, sizes=sizes, public=public, cap=committed.cap).encode()
    verifying = VerifyingKey(system=SYSTEM_NAME, version=VERSION, program_digest=ModelId(program.digest()), data=data)
    return StarkProvingKey(
        verifying_key=verifying,
        weight_key=evolve(WeightKey.decode(data), gas=price_of(program, public, sizes, parameters)),
        program=program,
        constants=tuple(constants),
        committed=committed,
    )


def _dimensions(program: Program) -> tuple[int, int, int]:
    """Smallest, typical and largest value of the symbolic dimension; zeros without one."""
    if program.dim is None:
        return 0, 0, 0
    low, high = program.dim.minimum, program.dim.maximum
    return low, min(max(TYPICAL_DIMENSION, low), high), high
