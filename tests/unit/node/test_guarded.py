"""Proof systems and precompiles behind their guards: what they may not raise refuses a call and names the plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import (
    EncodingError,
    InvalidBlock,
    PluginBroken,
    PrecompileRevert,
    ProofMalformed,
    ProofRejected,
    ProvingFailed,
    StorageError,
    UnsupportedProgram,
)
from lazai_core.api.precompile import NeedsCompute
from lazai_core.api.proof import AcceptancePolicy, Verdict
from lazai_core.api.types import Gas
from lazai_core.chain.witness import BlockFull
from lazai_core.lazvm.records import RecordVerifier
from lazai_core.node.assemble import assemble
from lazai_core.node.guarded import (
    PLUGIN_FAILED,
    GuardedConsensus,
    GuardedGasPolicy,
    GuardedPrecompile,
    GuardedProofSystem,
)
from lazai_core.registry.discover import BUILT_IN, Candidate
from lazai_core.testing.chain_port import MemoryState, precompile_call
from tests.e2e.solo import gas_points, plan, write_folder
from tests.unit.lazvm.signing_system import SigningSystem
from tests.unit.lazvm.test_records import JOB, RECORD

CULPRIT = Candidate(name="culprit", module="culprit.plugin", distribution="lazai-culprit", version="3")
KEY: Any = None
ACCEPT = AcceptancePolicy()


class RaisingSystem(SigningSystem):
    """Raises the same error from every method."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def _raise(self, *arguments: Any) -> Any:
        raise self.error

    supports = prepare = prove = verification_gas = verify = _raise


class OtherPrecompile:
    """Does what it is told to."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.action = action

    def required_gas(self, call: Any) -> Any:
        return self.action()

    def run(self, call: Any) -> Any:
        return self.action()


def raising(error: BaseException) -> OtherPrecompile:
    def action() -> Any:
        raise error

    return OtherPrecompile(action)


def proof_calls(system: Any) -> dict[type[Exception], Callable[[], Any]]:
    return {
        ProvingFailed: lambda: system.prove(KEY, KEY, KEY, KEY, CancelToken()),
        ProofMalformed: lambda: system.verification_gas(KEY, 85, MemoryState()),
        ProofRejected: lambda: system.verify(KEY, KEY, RECORD.proof, ACCEPT),
    }


@pytest.mark.parametrize("error", [KeyError("oops"), SystemExit(3), AssertionError()])
def test_a_failing_proof_system_refuses_and_is_named(error: BaseException) -> None:
    system = GuardedProofSystem(RaisingSystem(error), CULPRIT)

    for expected, call in proof_calls(system).items():
        with pytest.raises(expected, match=r"plugin culprit \(lazai-culprit 3\)") as caught:
            call()
        assert isinstance(caught.value.__cause__, PluginBroken)
    with pytest.raises(ProvingFailed):
        system.prepare(KEY, KEY)
    support = system.supports(KEY)
    assert not support.supported
    assert "culprit" in support.reason


def test_errors_of_the_tree_that_a_verifier_may_not_raise_are_failures_too() -> None:
    system = GuardedProofSystem(RaisingSystem(EncodingError("a reader's own")), CULPRIT)

    with pytest.raises(ProofRejected, match=r"plugin: .*culprit"):
        system.verify(KEY, KEY, RECORD.proof, ACCEPT)
    with pytest.raises(ProofMalformed):
        system.verification_gas(KEY, 85, MemoryState())
    storage = GuardedProofSystem(RaisingSystem(StorageError("full")), CULPRIT)
    with pytest.raises(StorageError):
        storage.verify(KEY, KEY, RECORD.proof, ACCEPT)


def test_documented_errors_and_answers_of_a_proof_system_pass() -> None:
    error = UnsupportedProgram("no")
    with pytest.raises(UnsupportedProgram) as caught:
        GuardedProofSystem(RaisingSystem(error), CULPRIT).prepare(KEY, KEY)
    assert caught.value is error

    guarded = GuardedProofSystem(SigningSystem(), CULPRIT)
    assert (guarded.name, guarded.version, guarded.verification_gas(KEY, 85, MemoryState())) == ("signing", 1, 4_000)
    assert isinstance(RecordVerifier({"signing": guarded}).verdict(JOB, RECORD, MemoryState()), Verdict)


def test_a_record_over_which_a_proof_system_stumbles_is_refused_and_no_worker_is_blamed() -> None:
    system = GuardedProofSystem(RaisingSystem(ZeroDivisionError()), CULPRIT)

    with pytest.raises(InvalidBlock, match="culprit") as caught:
        RecordVerifier({"signing": system})(JOB, RECORD, MemoryState())

    assert caught.value.blame == b""


@pytest.mark.parametrize("error", [KeyError("oops"), EncodingError("a reader's own"), RecursionError(), SystemExit(1)])
@pytest.mark.parametrize("method", ["required_gas", "run"])
def test_a_failing_precompile_reverts_and_is_named(error: BaseException, method: str) -> None:
    guarded = GuardedPrecompile(raising(error), "median", CULPRIT)

    with pytest.raises(PrecompileRevert, match=r"culprit .*precompile median") as caught:
        getattr(guarded, method)(precompile_call(b""))

    assert caught.value.data == PLUGIN_FAILED


@pytest.mark.parametrize(
    "error",
    [
        PrecompileRevert("no", data=b"1"),
        NeedsCompute(JOB),
        BlockFull("bytes", 2, 1),
        InvalidBlock("no", check="record"),
        StorageError("full"),
    ],
)
def test_what_a_precompile_may_raise_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        GuardedPrecompile(raising(error), "median", CULPRIT).run(precompile_call(b""))

    assert caught.value is error


def test_answers_of_another_type_are_failures() -> None:
    for wrong in (None, "text", 1.5, -1):
        guarded = GuardedPrecompile(OtherPrecompile(lambda wrong=wrong: wrong), "median", CULPRIT)
        for method in (guarded.required_gas, guarded.run):
            with pytest.raises(PrecompileRevert):
                method(precompile_call(b""))
    assert GuardedPrecompile(OtherPrecompile(lambda: Gas(7)), "median", CULPRIT).required_gas(precompile_call(b"")) == 7


class Nothing:
    """Lacks every method: whatever is called fails."""

    name = "nothing"
    version = 1


def test_a_failing_gas_policy_and_engine_are_named() -> None:
    policy, engine = GuardedGasPolicy(Nothing(), CULPRIT), GuardedConsensus(Nothing(), CULPRIT)  # type: ignore[arg-type]

    for call in (
        lambda: policy.compute_gas(KEY, KEY, KEY),
        lambda: policy.quote(KEY, KEY, KEY, KEY, KEY),
        lambda: policy.next_base_fees(KEY),
        lambda: policy.compute_gas_target(KEY),
        lambda: policy.evm_gas(KEY, KEY, KEY),
        lambda: engine.step(KEY),
        lambda: engine.verify_certificate(KEY, KEY, KEY),
        engine.status,
    ):
        with pytest.raises(PluginBroken, match=r"(?s)culprit.*nothing raised.*AttributeError"):
            call()


def test_the_failure_of_a_gas_policy_inside_a_precompile_is_its_own() -> None:
    policy = GuardedGasPolicy(Nothing(), CULPRIT)  # type: ignore[arg-type]
    precompile = GuardedPrecompile(OtherPrecompile(lambda: policy.next_base_fees(KEY)), "ai-call", BUILT_IN)

    with pytest.raises(PrecompileRevert, match="culprit") as caught:
        precompile.required_gas(precompile_call(b""))
    assert caught.value.data == PLUGIN_FAILED


def test_a_blueprint_of_guarded_parts(tmp_path: Path) -> None:
    node = assemble(plan(write_folder(tmp_path, storage="memory"), points=gas_points()))
    try:
        assert isinstance(node.room.host._engine, GuardedConsensus)
        assert isinstance(node.room.vm._gas_policy, GuardedGasPolicy)
    finally:
        node.close()
