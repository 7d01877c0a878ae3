"""The proof system of nodes: exact programs proved in native mode. Verification stands alone in `system_verify`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from lazai_core.api.compute import CancelToken, ConstantSource, Coprocessor, TraceHandle
from lazai_core.api.errors import (
    EncodingError,
    InvalidInput,
    LazAIError,
    ProofRejected,
    ProvingFailed,
    UnsupportedProgram,
)
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.precompile import StatePort
from lazai_core.api.program import Program
from lazai_core.api.proof import AcceptancePolicy, ProofKind, ProvingKey, Rng, Statement, Support, Verdict, VerifyingKey
from lazai_core.api.types import Gas

from .ceremony import Setup, insecure_test_powers, load_ceremony
from .curve_engine import CurveEngine, choose_engine
from .files.ptau import PowersOfTau
from .model_key import NAME, VERSION, write_model_key
from .native_prover import NativeProver
from .native_setup import native_setup
from .options import PlonkOptions
from .program.compile_program import ProgramCircuit, compile_program
from .program.estimate import unsupported_reason
from .system_verify import PlonkVerifier, expected_public


@frozen(kw_only=True, eq=False)
class PlonkCircuit:
    """One circuit of a model and its prover."""

    circuit: ProgramCircuit = field(repr=False)
    prover: NativeProver = field(repr=False)


@frozen(kw_only=True, eq=False)
class PlonkKey:
    """What the prover keeps of a model: circuits by the value of the symbolic dimension, 0 where there is none."""

    verifying_key: VerifyingKey
    program: Program = field(repr=False)
    circuits: Mapping[int, PlonkCircuit] = field(repr=False)


class PlonkProofSystem:
    """`ProofSystem` for programs that fit a circuit. Keys commit to the weights without hiding them."""

    name, kind, version = NAME, ProofKind.VALIDITY, VERSION
    hiding = False
    needs_verifying_key = True

    def __init__(self, options: PlonkOptions, coprocessor: Coprocessor | None = None) -> None:
        self._options = options
        self._coprocessor = coprocessor
        self._engine: CurveEngine | None = None
        self._setup = Setup(options.setup)
        self._verifier = PlonkVerifier(self._setup)
        self._powers: PowersOfTau | None = None
        self._lock = threading.Lock()

    def supports(self, program: Program) -> Support:
        """By operations and by size."""
        reason = unsupported_reason(program, self._options.rows_max, self._options.dim_values)
        return Support(supported=not reason, reason=reason)

    def prepare(self, program: Program, constants: ConstantSource) -> ProvingKey:
        """Compile and commit. Raises UnsupportedProgram, also where the ceremony is too small or not to be had."""
        dim_values = (0,) if program.dim is None else self._options.dim_values or (0,)
        circuits = {dim_value: self._circuit(program, constants, dim_value) for dim_value in sorted(dim_values)}
        natives = {dim_value: each.prover.key.key for dim_value, each in circuits.items()}
        return PlonkKey(verifying_key=write_model_key(program, natives), program=program, circuits=circuits)

    def _circuit(self, program: Program, constants: ConstantSource, dim_value: int) -> PlonkCircuit:
        circuit = compile_program(program, constants, rows_max=self._options.rows_max, dim_value=dim_value)
        arrays = circuit.circuit()
        try:
            key = native_setup(arrays, self._powers_for(arrays.size), engine=self._curve_engine())
        except (LazAIError, OSError) as error:
            raise UnsupportedProgram(f"no key can be made: {error}") from error
        return PlonkCircuit(circuit=circuit, prover=NativeProver(key))

    def _curve_engine(self) -> CurveEngine:
        """Opens the coprocessor the first time. Raises BackendUnavailable where options ask for what it lacks."""
        with self._lock:
            if self._engine is None:
                self._engine = choose_engine(self._options.kernels, self._coprocessor)
            return self._engine

    def _powers_for(self, size: int) -> PowersOfTau:
        if self._setup is Setup.INSECURE_TEST and not self._options.ceremony:
            return insecure_test_powers(size.bit_length() - 1)
        if not self._options.ceremony:
            raise UnsupportedProgram(
                "making a key needs the public ceremony's powers of tau",
                hint="set the option `ceremony` to the path of a .ptau file",
            )
        with self._lock:
            if self._powers is None:
                self._powers, _ = load_ceremony(Path(self._options.ceremony), self._setup)
        return self._powers

    def prove(
        self, key: ProvingKey, statement: Statement, trace: TraceHandle, rng: Rng, cancel: CancelToken
    ) -> ProofEnvelope:
        """The circuit computes everything again from the input; the trace is not needed."""
        cancel.raise_if_cancelled()
        if not isinstance(key, PlonkKey) or statement.program_digest != key.verifying_key.program_digest:
            raise ProvingFailed("the key is not one of this system for the statement's program")
        try:
            dim_value, expected = expected_public(key.program, statement)
            chosen = key.circuits.get(dim_value)
            if chosen is None:
                raise ProvingFailed(
                    f"the key has no circuit of dimension {dim_value}", hint="name it in the option `dim_values`"
                )
            values = chosen.circuit.solve(statement.input)
        except (InvalidInput, EncodingError, ProofRejected) as error:
            raise ProvingFailed(f"the statement does not fit the program: {error}") from error
        if tuple(values[variable] for variable in chosen.circuit.builder.public) != expected:
            raise ProvingFailed("the program does not give the stated output")
        from .circuit.lay_out import native_witness

        data, _ = chosen.prover.prove(native_witness(values), rng, statement.digest, cancel=cancel)
        return ProofEnvelope(system=NAME, version=VERSION, data=data)

    def verification_gas(self, key: VerifyingKey, proof_bytes: int, state: StatePort) -> Gas:
        """From the sizes alone."""
        return self._verifier.gas(key, proof_bytes)

    def verify(
        self, key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
    ) -> Verdict:
        """See `PlonkVerifier.verify`."""
        return self._verifier.verify(key, statement, proof, accept)
