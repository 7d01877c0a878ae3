"""`ProofSystem` of this plugin: keys that carry their program, proofs from traces, verdicts with a named strength."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from lazai_core.api.compute import CancelToken, ConstantSource, Coprocessor, TraceHandle
from lazai_core.api.errors import (
    AssemblyError,
    Cancelled,
    ComputeError,
    EncodingError,
    InvalidInput,
    ProofMalformed,
    ProofRejected,
    ProvingFailed,
    UnsupportedProgram,
)
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.precompile import StatePort
from lazai_core.api.program import Program
from lazai_core.api.proof import (
    AcceptancePolicy,
    ProofKind,
    ProvingKey,
    Rng,
    Statement,
    Support,
    Verdict,
    VerifyingKey,
)
from lazai_core.api.types import Gas
from lazai_core.exact.codec import encode_outputs, from_view, tensor_bytes
from lazai_core.exact.cost import planned_usage

from .circuit.compile import OPERATIONS
from .circuit.karray import IntArray
from .kernels.first_use import telling_compilation
from .key_data import KeyMaterial, read_key, stated_gas, with_skeleton
from .model_key import SYSTEM_NAME, VERSION, StarkProvingKey, make_key
from .options import StarkOptions
from .parameters import parameter_set
from .pricing import verification_gas
from .prover import Progress, StageTimes, prove
from .steps import ChosenSteps
from .verifier import verify
from .workers import use_threads

MATERIALS_MAX = 32
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values used last, at most `most`. Safe from several threads; a value may be made twice, never half."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value under `key`, made when it is not there."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
                return found
        made = make()
        with self._lock:
            self._values[key] = made
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return made


class StarkProofSystem:
    """`ProofSystem` of kind VALIDITY. Safe to use from several threads."""

    name = SYSTEM_NAME
    kind = ProofKind.VALIDITY
    version = VERSION
    hiding = False
    needs_verifying_key = True

    def __init__(self, options: StarkOptions, coprocessor: Coprocessor | None = None) -> None:
        try:
            self._parameters = parameter_set(options.parameters)
        except ProofMalformed as cause:
            raise AssemblyError(cause.message, hint="correct `parameters` of the proof system") from cause
        use_threads(options.threads)
        self._steps = ChosenSteps(options.kernels, coprocessor)
        self._keys: Recent[bytes, StarkProvingKey] = Recent(options.models_prepared_max)
        self._materials: Recent[bytes, KeyMaterial] = Recent(MATERIALS_MAX)

    def supports(self, program: Program) -> Support:
        """Whether there are relations for every operation. A layer that may leave the field is refused by `prepare`."""
        for index, op in enumerate(program.ops):
            if op.kind not in OPERATIONS:
                return Support(supported=False, reason=f"operation {index} ({op.kind}): there are no relations for it")
        return Support(supported=True)

    def prepare(self, program: Program, constants: ConstantSource) -> StarkProvingKey:
        """Commit to the weights: once a program while it is remembered. Raises UnsupportedProgram, ProvingFailed."""
        for index, op in enumerate(program.ops):
            if op.kind not in OPERATIONS:
                raise UnsupportedProgram(f"operation {index} ({op.kind}): there are no relations for it")

        def make() -> StarkProvingKey:
            arrays = [from_view(constants.constant(index)) for index in range(len(program.constants))]
            return with_skeleton(make_key(program, arrays, self._parameters, self._steps.get()))

        try:
            return self._keys.get(program.digest(), make)
        except ComputeError as cause:
            raise ProvingFailed(f"the weights cannot be committed to: {cause.message}", hint=cause.hint) from cause

    def prove(
        self, key: ProvingKey, statement: Statement, trace: TraceHandle, rng: Rng, cancel: CancelToken
    ) -> ProofEnvelope:
        """Deterministic: nothing is hidden, so no randomness is used. Raises ProvingFailed, Cancelled."""
        return self.prove_staged(key, statement, trace, cancel)

    def prove_staged(
        self,
        key: ProvingKey,
        statement: Statement,
        trace: TraceHandle,
        cancel: CancelToken,
        times: StageTimes | None = None,
        progress: Progress | None = None,
    ) -> ProofEnvelope:
        """As `prove`, with each stage reported. Raises ProvingFailed, Cancelled."""
        cancel.raise_if_cancelled()
        if not isinstance(key, StarkProvingKey):
            raise ProvingFailed("the key was prepared by another proof system")
        arrays = read_trace(key, statement, trace)
        try:
            with telling_compilation():
                data = prove(key, statement, arrays, cancel, times, progress, self._steps.get())
        except Cancelled:
            raise
        except (ComputeError, InvalidInput, UnsupportedProgram) as cause:
            raise ProvingFailed(f"no proof can be made of this run: {cause.message}") from cause
        return ProofEnvelope(system=SYSTEM_NAME, version=VERSION, data=data)

    def verification_gas(self, key: VerifyingKey, proof_bytes: int, state: StatePort) -> Gas:
        """From the key's first bytes and both sizes; see `pricing`. Raises ProofMalformed."""
        return verification_gas(stated_gas(key), len(key.data), proof_bytes)

    def verify(
        self, key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
    ) -> Verdict:
        """Check envelope, key, strength and usage, then the proof. Raises ProofMalformed, ProofRejected."""
        _check_envelope(proof, accept)
        if key.program_digest != statement.program_digest:
            raise ProofRejected("the verifying key is not that of the statement's program", check="key")
        material = self.material(key)
        parameters = material.weight_key.parameters
        if parameters.security_bits < accept.security_bits_min:
            raise ProofRejected(
                f"parameter set {parameters.name} gives {parameters.security_bits} bits, "
                f"{accept.security_bits_min} are wanted",
                check="security",
            )
        _check_usage(material.program, statement)
        verify(material.program, key, material.weight_key, statement, proof.data)
        return Verdict(
            proven=(
                f"running program 0x{statement.program_digest.hex()} with the committed weights on the given input "
                f"gives the given output at the given cost (set {parameters.name}: {parameters.security_bits} bits)"
            ),
            assumed=(
                "that the verifying key commits to the weights the program names, which whoever holds them can "
                "recompute; BLAKE3 and SHA-256 are collision resistant. The proof does not hide the weights"
            ),
        )

    def material(self, key: VerifyingKey) -> KeyMaterial:
        """The key, read; keys that were read lately are remembered. Raises ProofMalformed, ProofRejected."""
        return self._materials.get(key.digest, lambda: read_key(key))


def read_trace(key: StarkProvingKey, statement: Statement, trace: TraceHandle) -> list[IntArray]:
    """The run's values, held against program and statement. Raises ProvingFailed."""
    program = key.program
    if statement.program_digest != key.verifying_key.program_digest:
        raise ProvingFailed("the statement is about another program than the key")
    try:
        bound = program.bind_input(statement.input)
        arrays: list[IntArray] = []
        for index in range(len(program.values)):
            array = from_view(trace.value(index))
            if tuple(array.shape) != bound.shapes[index]:
                raise ProvingFailed(f"value {index} of the trace has shape {array.shape}, not {bound.shapes[index]}")
            arrays.append(array)
        given = b"".join(tensor_bytes(arrays[index], value.dtype) for index, value in enumerate(program.inputs))
        output = encode_outputs(bound, [arrays[item.value] for item in program.outputs])
    except (InvalidInput, EncodingError) as cause:
        raise ProvingFailed(f"the trace does not fit the program: {cause.message}") from cause
    if given != statement.input[4:] or output != statement.output:
        raise ProvingFailed("the trace is not of the run that the statement is about")
    if planned_usage(bound) != statement.usage:
        raise ProvingFailed(f"the statement's usage is {statement.usage}, the program's plan is {planned_usage(bound)}")
    return arrays


def _check_envelope(proof: ProofEnvelope, accept: AcceptancePolicy) -> None:
    if proof.system != SYSTEM_NAME:
        raise ProofMalformed(f"the proof is of system {proof.system!r}, not {SYSTEM_NAME}")
    if proof.version != VERSION or proof.version not in accept.versions:
        raise ProofRejected(f"version {proof.version} of {SYSTEM_NAME} is not accepted", check="version")
    if len(proof.data) > accept.proof_bytes_max:
        raise ProofRejected(
            f"the proof has {len(proof.data)} bytes, {accept.proof_bytes_max} are accepted", check="proof size"
        )


def _check_usage(program: Program, statement: Statement) -> None:
    try:
        planned = planned_usage(program.bind_input(statement.input))
    except InvalidInput as cause:
        raise ProofRejected(f"the statement does not fit the program: {cause.message}", check="statement") from cause
    if planned != statement.usage:
        text = f"the statement's usage is {statement.usage}, the program's plan is {planned}"
        raise ProofRejected(text, check="usage")
