"""Parts of a plugin that work inside blocks, behind a guard: their mistakes refuse one call, not the whole node.

Users choose the bytes that proof systems and precompiles read. One unexpected exception must not let any of them
stop every node of a chain; and as each node has the same plugins, each decides alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

from lazai_core.api.compute import CancelToken, ConstantSource, TraceHandle
from lazai_core.api.errors import (
    InvalidBlock,
    PluginBroken,
    PrecompileRevert,
    ProofMalformed,
    ProofRejected,
    ProvingFailed,
    StorageError,
)
from lazai_core.api.hashing import keccak256
from lazai_core.api.job import ProofEnvelope
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
from lazai_core.api.types import Gas
from lazai_core.chain.witness import BlockFull
from lazai_core.registry.discover import Candidate
from lazai_core.registry.guard import guarded
from lazai_core.runtime.charged import charged

log = structlog.get_logger(__name__)
T = TypeVar("T")

PLUGIN_FAILED = keccak256(b"PluginFailed()")[:4]
"""Revert data of a precompile that raised what it may not raise."""

# What the contract lets a precompile raise, and what the node's own state and witness raise through it.
_PRECOMPILE_MAY_RAISE = (PrecompileRevert, NeedsCompute, BlockFull, InvalidBlock, StorageError)


class GuardedProofSystem:
    """`ProofSystem` around a plugin's. Proofs that it stumbles over are refused, with PluginBroken as the cause."""

    def __init__(self, system: ProofSystem, candidate: Candidate) -> None:
        self.name = system.name
        self.kind = system.kind
        self.version = system.version
        self.hiding = system.hiding
        self._system = system
        self._candidate = candidate

    def supports(self, program: Program) -> Support:
        """Whether programs of this shape can be proved; a system that fails to say so does not."""
        try:
            return self._charged("supports", lambda: self._system.supports(program))
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
            return self._charged("verification_gas", lambda: self._system.verification_gas(key, proof_bytes, state))
        except PluginBroken as error:
            _log_failure(error)
            raise ProofMalformed(error.message, hint=error.hint) from error

    def verify(
        self, key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
    ) -> Verdict:
        """Raises ProofMalformed, ProofRejected; its check is "plugin" where the plugin failed, not the proof."""
        try:
            return self._charged("verify", lambda: self._system.verify(key, statement, proof, accept))
        except PluginBroken as error:
            _log_failure(error)
            raise ProofRejected(error.message, check="plugin", hint=error.hint) from error

    def _charged(self, moment: str, call: Callable[[], T]) -> T:
        return charged(self._candidate, f"{moment} of proof system {self.name}", call)


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
        raised: list[Exception] = []

        def attempt() -> list[T]:
            try:
                return [call()]
            except _PRECOMPILE_MAY_RAISE as error:
                raised.append(error)
                return []

        try:
            result = guarded(self._candidate, f"{moment} of precompile {self._name}", attempt)
        except PluginBroken as error:
            _log_failure(error)
            raise PrecompileRevert(error.message, data=PLUGIN_FAILED) from error
        if raised:
            raise raised[0]
        return result[0]


def _checked(value: T, wanted: type) -> T:
    if not isinstance(value, wanted) or (isinstance(value, int) and value < 0):
        raise TypeError(f"it returned {value!r:.100}")
    return value


def _log_failure(error: PluginBroken) -> None:
    log.error("plugin.failed", plugin=error.plugin, error=error.message)
