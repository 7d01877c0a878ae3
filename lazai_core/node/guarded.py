"""Parts of plugins behind a guard: what they may not raise is charged to their plugin, by name.

Users choose the bytes that proof systems and precompiles read. One unexpected exception must not let any of them
stop every node of a chain, so it refuses one proof or one call; as each node has the same plugins, each decides
alike. Without prices or decisions nothing can go on: there the node stops, and says whose fault it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import structlog

from lazai_core.api.compute import CancelToken, ConstantSource, TraceHandle
from lazai_core.api.consensus import (
    Certificate,
    ConsensusEngine,
    ConsensusStatus,
    Effect,
    Input,
    MessagePlace,
    Offence,
    Validator,
    ValidatorsAt,
)
from lazai_core.api.errors import (
    InvalidBlock,
    PluginBroken,
    PrecompileRevert,
    ProofError,
    ProofMalformed,
    ProofRejected,
    ProvingFailed,
    StorageError,
)
from lazai_core.api.gas import FeeState, GasPolicy, GasQuote
from lazai_core.api.hashing import keccak256
from lazai_core.api.job import JobKind, ProofEnvelope, ResourceUsage
from lazai_core.api.precompile import NeedsCompute, Precompile, PrecompileCall, StatePort
from lazai_core.api.program import Program
from lazai_core.api.proof import (
    AcceptancePolicy,
    ProofSystem,
    ProvingKey,
    Rng,
    Statement,
    Support,
    Verdict,
    VerifyingKey,
)
from lazai_core.api.types import Gas, Wei
from lazai_core.chain.witness import BlockFull
from lazai_core.registry import Kind, Offer
from lazai_core.registry.discover import Candidate
from lazai_core.registry.guard import guarded
from lazai_core.runtime.charged import charged

log = structlog.get_logger(__name__)
T = TypeVar("T")

PLUGIN_FAILED = keccak256(b"PluginFailed()")[:4]
"""Revert data of a precompile that raised what it may not raise."""

# What the contracts let them raise, and what the node's own state, witness and store raise through them.
_PRECOMPILE_MAY_RAISE = (PrecompileRevert, NeedsCompute, BlockFull, InvalidBlock, StorageError)
_VERIFIER_MAY_RAISE = (ProofError, StorageError)


def guard(kind: Kind, made: Any, offer: Offer) -> Any:
    """What a plugin's build function gave, behind its guard where that kind has one."""
    candidate = offer.candidate
    match kind:
        case Kind.PROOF_SYSTEM:
            return GuardedProofSystem(made, candidate)
        case Kind.PRECOMPILE:
            return GuardedPrecompile(made, offer.name, candidate)
        case Kind.GAS_POLICY:
            return GuardedGasPolicy(made, candidate)
        case Kind.CONSENSUS:
            return GuardedConsensus(made, candidate)
    return made


class GuardedProofSystem:
    """`ProofSystem` around a plugin's. Proofs that it stumbles over are refused, with PluginBroken as the cause."""

    def __init__(self, system: ProofSystem, candidate: Candidate) -> None:
        self.name = system.name
        self.kind = system.kind
        self.version = system.version
        self.hiding = system.hiding
        self.needs_verifying_key = system.needs_verifying_key
        self._system = system
        self._candidate = candidate

    def supports(self, program: Program) -> Support:
        """Whether programs of this shape can be proved; a system that fails to say so does not."""
        try:
            return self._strictly("supports", lambda: self._system.supports(program))
        except PluginBroken as error:
            _log_failure(error)
            return Support(supported=False, reason=error.message)

    def prepare(self, program: Program, constants: ConstantSource) -> ProvingKey:
        """Raises UnsupportedProgram, ProvingFailed."""
        try:
            return self._charged("prepare", lambda: self._system.prepare(program, constants))
        except PluginBroken as error:
            raise ProvingFailed(error.message, hint=error.hint) from error

    def prove(
        self, key: ProvingKey, statement: Statement, trace: TraceHandle, rng: Rng, cancel: CancelToken
    ) -> ProofEnvelope:
        """Raises ProvingFailed, Cancelled."""
        try:
            return self._charged("prove", lambda: self._system.prove(key, statement, trace, rng, cancel))
        except PluginBroken as error:
            raise ProvingFailed(error.message, hint=error.hint) from error

    def verification_gas(self, key: VerifyingKey, proof_bytes: int, state: StatePort) -> Gas:
        """Raises ProofMalformed."""
        try:
            return self._strictly("verification_gas", lambda: self._system.verification_gas(key, proof_bytes, state))
        except PluginBroken as error:
            _log_failure(error)
            raise ProofMalformed(error.message, hint=error.hint) from error

    def verify(
        self, key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
    ) -> Verdict:
        """Raises ProofMalformed, ProofRejected; its check is "plugin" where the plugin failed, not the proof."""
        try:
            return self._strictly("verify", lambda: self._system.verify(key, statement, proof, accept))
        except PluginBroken as error:
            _log_failure(error)
            raise ProofRejected(error.message, check="plugin", hint=error.hint) from error

    def _charged(self, moment: str, call: Callable[[], T]) -> T:
        return charged(self._candidate, self._moment(moment), call)

    def _strictly(self, moment: str, call: Callable[[], T]) -> T:
        return _allowing(_VERIFIER_MAY_RAISE, self._candidate, self._moment(moment), call)

    def _moment(self, moment: str) -> str:
        return f"{moment} of proof system {self.name}"


class GuardedPrecompile:
    """`Precompile` around a plugin's. A call that it stumbles over reverts with `PluginFailed()`."""

    def __init__(self, precompile: Precompile, name: str, candidate: Candidate) -> None:
        self._precompile = precompile
        self._name = name
        self._candidate = candidate

    def required_gas(self, call: PrecompileCall) -> Gas:
        """EVM gas of the call. Raises what a precompile may raise."""
        return self._guarded("required_gas", lambda: _checked(self._precompile.required_gas(call), int))

    def run(self, call: PrecompileCall) -> bytes:
        """Output of the call. Raises what a precompile may raise."""
        return self._guarded("run", lambda: _checked(self._precompile.run(call), bytes))

    def _guarded(self, moment: str, call: Callable[[], T]) -> T:
        try:
            return _allowing(_PRECOMPILE_MAY_RAISE, self._candidate, f"{moment} of precompile {self._name}", call)
        except PluginBroken as error:
            # Where the gas policy failed inside the precompile, it is the gas policy's plugin that is named.
            blamed = error.__cause__ if isinstance(error.__cause__, PluginBroken) else error
            _log_failure(blamed)
            raise PrecompileRevert(blamed.message, data=PLUGIN_FAILED) from error


class GuardedGasPolicy:
    """`GasPolicy` around a plugin's. Where it fails nothing has a price: PluginBroken says whose fault that is."""

    def __init__(self, policy: GasPolicy, candidate: Candidate) -> None:
        self.name = policy.name
        self.version = policy.version
        self._policy = policy
        self._candidate = candidate

    def compute_gas(self, kind: JobKind, usage: ResourceUsage, state: StatePort) -> Gas:
        """Compute gas of a job."""
        return self._charged("compute_gas", lambda: self._policy.compute_gas(kind, usage, state))

    def quote(self, kind: JobKind, planned: ResourceUsage, fees: FeeState, state: StatePort, tip: Wei) -> GasQuote:
        """Price of a job."""
        return self._charged("quote", lambda: self._policy.quote(kind, planned, fees, state, tip))

    def next_base_fees(self, parent: FeeState) -> tuple[Wei, Wei]:
        """Base fees of the next block."""
        return self._charged("next_base_fees", lambda: self._policy.next_base_fees(parent))

    def compute_gas_target(self, state: StatePort) -> Gas:
        """Compute gas of a usual block."""
        return self._charged("compute_gas_target", lambda: self._policy.compute_gas_target(state))

    def evm_gas(self, compute_gas: Gas, base_fee_per_gas: Wei, compute_base_fee_per_gas: Wei) -> Gas:
        """EVM gas that pays for compute gas."""
        return self._charged(
            "evm_gas", lambda: self._policy.evm_gas(compute_gas, base_fee_per_gas, compute_base_fee_per_gas)
        )

    def _charged(self, moment: str, call: Callable[[], T]) -> T:
        return charged(self._candidate, f"{moment} of gas policy {self.name}", call)


class GuardedConsensus:
    """`ConsensusEngine` around a plugin's. Without it the node must stop: PluginBroken says whose fault that is."""

    def __init__(self, engine: ConsensusEngine, candidate: Candidate) -> None:
        self.name = engine.name
        self.version = engine.version
        self._engine = engine
        self._candidate = candidate

    def step(self, event: Input) -> Sequence[Effect]:
        """Effects of an input."""
        return self._charged("step", lambda: self._engine.step(event))

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        """Raises ConsensusFault."""
        self._charged("verify_certificate", lambda: self._engine.verify_certificate(certificate, validators, chain_id))

    def vouches(self, certificate: Certificate, validators: Sequence[Validator]) -> bool:
        """Whether the signers hit every quorum of the set."""
        return self._charged("vouches", lambda: self._engine.vouches(certificate, validators))

    def verify_evidence(self, evidence: bytes, validators: ValidatorsAt, chain_id: int) -> Offence:
        """Raises ConsensusFault."""
        return self._charged(
            "verify_evidence", lambda: self._engine.verify_evidence(evidence, validators, chain_id)
        )

    def place_of(self, payload: bytes) -> MessagePlace:
        """Height and round of a message. Raises EncodingError."""
        return self._charged("place_of", lambda: self._engine.place_of(payload))

    def status(self) -> ConsensusStatus:
        """Where the engine stands."""
        return self._charged("status", lambda: self._engine.status())

    def _charged(self, moment: str, call: Callable[[], T]) -> T:
        return charged(self._candidate, f"{moment} of consensus engine {self.name}", call)


def _allowing(allowed: tuple[type[Exception], ...], candidate: Candidate, moment: str, call: Callable[[], T]) -> T:
    """The call's result. Raises what is allowed as it is, PluginBroken for anything else."""
    raised: list[Exception] = []

    def attempt() -> list[T]:
        try:
            return [call()]
        except allowed as error:
            raised.append(error)
            return []

    result = guarded(candidate, moment, attempt)
    if raised:
        raise raised[0]
    return result[0]


def _checked(value: T, wanted: type) -> T:
    if not isinstance(value, wanted) or (isinstance(value, int) and value < 0):
        raise TypeError(f"it returned {value!r:.100}")
    return value


def _log_failure(error: PluginBroken) -> None:
    log.error("plugin.failed", plugin=error.plugin, error=error.message)
