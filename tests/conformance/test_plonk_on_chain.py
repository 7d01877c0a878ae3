"""The digits classifier proved by the installed PLONK and verified in LazVM: by the precompile, and by a contract."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from types import ModuleType
from typing import Any

import pytest
from attrs import frozen

from lazai_core.api.compute import CancelToken
from lazai_core.api.proof import ProofSystem, Statement, VerifyingKey
from lazai_core.api.types import PROOF_CHECK_ADDRESS, Gas
from lazai_core.builtin.precompiles.proof_check import ProofCheckPrecompile, encode_statement
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.abi import decode_call
from lazai_core.chain.system_calls import VerifyCall
from lazai_core.lazvm.records import RecordVerifier
from lazai_core.lazvm.vm import CallRequest, LazVM
from lazai_core.registry import Kind
from lazai_core.testing.parts import build_entry
from lazai_core.testing.rng import SeededRng
from tests.conformance.installed import catalog
from tests.tidy.tree import REPOSITORY
from tests.unit.lazvm.world import FlatPolicy, advance, genesis, transaction

digits = pytest.importorskip("lazai_proof_plonk.bench_digits", reason="lazai-proof-plonk is not installed")
pytestmark = pytest.mark.slow

CONTRACT_GAS = 10_000_000


@frozen(kw_only=True)
class Proved:
    """A system, a key, and a statement with its proof."""

    system: ProofSystem
    key: VerifyingKey
    statement: Statement
    proof: bytes

    def call(self, **changes: bytes) -> VerifyCall:
        """The precompile's call."""
        parts = {"verifying_key": self.key.data, "statement": encode_statement(self.statement), "proof": self.proof}
        return VerifyCall(system="plonk", **(parts | changes))


@cache
def proved() -> Proved:
    from lazai_proof_plonk.options import PlonkOptions

    model, statement, trace = digits.digits_claim()
    entry = catalog().find(Kind.PROOF_SYSTEM, "plonk").entry
    system = build_entry(entry, options=PlonkOptions(setup="insecure-test", kernels="processor"))
    key = system.prepare(model.program, model)
    proof = system.prove(key, statement, trace, SeededRng(1), CancelToken())
    return Proved(system=system, key=key.verifying_key, statement=statement, proof=proof.data)


def machine() -> LazVM:
    return LazVM(
        genesis=genesis(),
        store=MemoryStore(),
        precompiles={PROOF_CHECK_ADDRESS: ProofCheckPrecompile({"plonk": proved().system})},
        gas_policy=FlatPolicy(),
        verify_record=RecordVerifier({"plonk": proved().system}),
    )


def ask(vm: LazVM, call: VerifyCall) -> Any:
    return vm.call(CallRequest(to=PROOF_CHECK_ADDRESS, data=call.encode(), is_static=True))


def test_the_precompile_verifies_the_classifier_s_answer() -> None:
    made, vm = proved(), machine()
    outcome = ask(vm, made.call())
    assert outcome.output == made.statement.digest
    asked = made.system.verification_gas(made.key, len(made.proof), None)  # type: ignore[arg-type]
    assert outcome.gas_used == 3_000 + 3 * len(made.call().encode()) + asked
    changed = bytearray(made.proof)
    changed[-1] ^= 1
    refused = ask(vm, made.call(proof=bytes(changed)))
    assert not refused.succeeded
    assert decode_call("ProofRejected(string)", refused.output) == ("pairing",)


def plonk_evm() -> ModuleType:
    """The plugin's own helper that compiles contracts."""
    name = "plonk_evm"
    if name not in sys.modules:
        path = REPOSITORY / "plugins" / "lazai-proof-plonk" / "tests" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def test_a_generated_contract_verifies_it_too() -> None:
    from lazai_proof_plonk.model_key import read_model_key
    from lazai_proof_plonk.solidity.generate import verifier_contract
    from lazai_proof_plonk.system_verify import expected_public

    made, vm, evm = proved(), machine(), plonk_evm()
    key = read_model_key(made.key)
    _, public = expected_public(key.program, made.statement)
    assert len(public) == 64 + 10
    code, selector = evm.compiled(verifier_contract(key.natives[0]), "PlonkVerifier")
    built = advance(vm, transaction(0, 0, b"", code, gas=CONTRACT_GAS))
    address = built.executed.outcomes[0].created
    assert address is not None
    for proof, answer in ((made.proof, 1), (made.proof[:-1] + bytes([made.proof[-1] ^ 1]), 0)):
        data = selector + evm.arguments(proof, public, made.statement.digest)
        outcome = vm.call(CallRequest(to=address, data=data, is_static=True, gas=Gas(CONTRACT_GAS)))
        assert outcome.succeeded
        assert int.from_bytes(outcome.output, "big") == answer
    other = selector + evm.arguments(made.proof, public, bytes(32))
    assert not int.from_bytes(vm.call(CallRequest(to=address, data=other, is_static=True)).output, "big")
