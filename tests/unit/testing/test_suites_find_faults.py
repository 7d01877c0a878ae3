"""Every suite finds the faults it is there for: wrong implementations, and the test that must catch each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from attrs import evolve

from lazai_core.api import (
    ConsensusEntry,
    CoprocessorEntry,
    GasPolicyEntry,
    NoOptions,
    PluginInfo,
    PrecompileEntry,
    ProofKind,
    ProofSystemEntry,
    ServiceEntry,
    StorageEntry,
    hookimpl,
)
from lazai_core.api.compute import CancelToken, Coprocessor, ExecutionResult, TensorView
from lazai_core.api.consensus import BlockBuilt, Offence, OffenceKind, StartHeight, WalRecord
from lazai_core.api.errors import ProofRejected
from lazai_core.api.job import ProofEnvelope, ResourceLimits
from lazai_core.api.needs import ChainParameters, NodeIdentity, ProgramStore
from lazai_core.api.proof import AcceptancePolicy, Verdict
from lazai_core.api.types import Height
from lazai_core.builtin.attestation_proof import AttestationProofSystem
from lazai_core.builtin.flat_gas import FlatGasPolicy
from lazai_core.builtin.options import AttestationOptions
from lazai_core.builtin.reference_coprocessor import ReferenceCoprocessor
from lazai_core.builtin.solo_consensus import SoloEngine
from lazai_core.testing import conformance as suites
from lazai_core.testing.chain_port import gas_parameter_state
from lazai_core.testing.conformance.gas_policy import USAGES
from lazai_core.testing.gateway import EmptyGateway
from lazai_core.testing.operations import operation_samples
from lazai_core.testing.parts import DictBatch, DictStore, KnownIdentity
from lazai_core.testing.plugin_modules import load_plugin, load_plugins
from lazai_core.testing.samples import attention, perceptron

FAILURES = (AssertionError, pytest.fail.Exception)


def catches(
    test: Callable[..., Any], *arguments: Any, by: type[BaseException] | tuple[type[BaseException], ...] = FAILURES
) -> None:
    """The test fails; `by` is what a faulty implementation raises where that is not for the suite to translate."""
    with pytest.raises(by):
        test(*arguments)


# Compute backends.


class WrongRounding(ReferenceCoprocessor):
    """One unit off wherever a result is not zero at its first element."""

    def __init__(self) -> None:
        super().__init__()
        inner = self.tensors.apply
        self.tensors.apply = lambda op, views: _off_by_one(inner(op, views))  # type: ignore[method-assign]


def _off_by_one(view: TensorView) -> TensorView:
    data = bytearray(view.data)
    data[0] ^= 1
    return evolve(view, data=bytes(data))


class Remembers(ReferenceCoprocessor):
    """Gives the first answer for ever."""

    def execute(self, *arguments: Any, **named: Any) -> ExecutionResult:
        result = super().execute(*arguments, **named)
        self.first = getattr(self, "first", result.output)
        return evolve(result, output=self.first)


class Untiring(ReferenceCoprocessor):
    """Looks neither at limits nor at the token."""

    def execute(self, model: Any, job_input: bytes, monitor: Any, cancel: Any, **named: Any) -> ExecutionResult:
        return super().execute(model, job_input, self.monitor(ResourceLimits()), CancelToken(), **named)


class Cheap(ReferenceCoprocessor):
    """States half the cost."""

    def execute(self, *arguments: Any, **named: Any) -> ExecutionResult:
        result = super().execute(*arguments, **named)
        return evolve(result, usage=evolve(result.usage, flops=result.usage.flops // 2))


def test_the_coprocessor_suite() -> None:
    suite = suites.CoprocessorConformance()
    sample = operation_samples()[0]

    catches(suite.test_an_operation_gives_the_reference_bytes, WrongRounding(), sample)
    catches(suite.test_a_whole_program_gives_the_reference_bytes, Remembers(), attention())
    catches(suite.test_the_same_job_gives_the_same_bytes_whatever_ran_before, Remembers())
    for test in (
        suite.test_flops_limit_is_exact,
        suite.test_memory_limit_stops_the_run,
        suite.test_output_limit_stops_the_run,
        suite.test_a_cancelled_job_does_not_start,
        suite.test_a_running_job_is_cancelled_between_operations,
    ):
        catches(test, Untiring())
    catches(suite.test_planned_usage_is_the_formula, Cheap(), perceptron())
    entry = CoprocessorEntry(name="other", summary="Other", build=ReferenceCoprocessor)
    catches(suite.test_info_says_what_the_entry_says, entry, ReferenceCoprocessor())


# Proof systems.


class Careless(AttestationProofSystem):
    """Leaves out what the class attribute names."""

    leaves_out = ""

    def verify(self, key: Any, statement: Any, proof: Any, accept: Any) -> Verdict:
        if self.leaves_out == "trailing":
            proof = evolve(proof, data=proof.data[:85])
        if self.leaves_out == "form" and len(proof.data) != 85:
            raise ValueError("85 bytes are expected")
        if self.leaves_out == "usage":  # looks at the usage that was proved, not at the stated one
            statement = evolve(statement, usage=self.usage.get(statement.job_id, statement.usage))
        return super().verify(key, statement, proof, accept)


class Random(AttestationProofSystem):
    """Its proofs differ from run to run."""

    counter = itertools.count()

    def prove(self, *arguments: Any) -> ProofEnvelope:
        envelope = super().prove(*arguments)
        return evolve(envelope, data=envelope.data + bytes([next(self.counter) % 256]))


def _proof_entry(system: type[AttestationProofSystem]) -> ProofSystemEntry:
    def build(
        options: AttestationOptions, identity: NodeIdentity, coprocessor: Coprocessor, programs: ProgramStore
    ) -> AttestationProofSystem:
        return system(options=options, identity=identity, coprocessor=coprocessor, programs=programs)

    return ProofSystemEntry(
        name="attestation", summary="Signed", kind=ProofKind.ATTESTATION, build=build, options=AttestationOptions
    )


def _prove(
    suite: suites.ProofSystemConformance, kind: type[AttestationProofSystem]
) -> tuple[Any, Any, tuple[Any, ...], Any]:
    entry, samples = _proof_entry(kind), (perceptron(),)
    system, verifier = (
        suite.build(entry, AttestationOptions(), samples, KnownIdentity(number)) for number in (1, 2)
    )
    return system, verifier, (suite.prove(system, perceptron()),), AcceptancePolicy()


def test_the_proof_suite() -> None:
    suite = suites.ProofSystemConformance()
    _, verifier, proved, accept = _prove(suite, Careless)
    suite.test_truncated_and_extended_proofs_are_refused(verifier, proved, accept)
    verifier.leaves_out = "trailing"
    catches(suite.test_truncated_and_extended_proofs_are_refused, verifier, proved, accept)
    verifier.leaves_out = "form"
    catches(suite.test_truncated_and_extended_proofs_are_refused, verifier, proved, accept, by=ValueError)
    catches(
        suite.test_random_and_mutated_bytes_raise_nothing_but_proof_errors, verifier, proved, accept, by=ValueError
    )
    verifier.leaves_out = "usage"
    verifier.usage = {proved[0].statement.job_id: proved[0].statement.usage}
    catches(suite.test_every_changed_field_of_the_statement_is_refused, verifier, proved, accept)

    system, _, proved, _ = _prove(suite, Random)
    catches(suite.test_fixed_randomness_gives_fixed_bytes, system, proved)


def test_an_attestation_is_bound_to_its_system() -> None:
    suite = suites.ProofSystemConformance()
    _, verifier, (proved,), accept = _prove(suite, AttestationProofSystem)
    worker = KnownIdentity(1)
    plain = evolve(proved.envelope, data=worker.address + worker.sign(proved.statement.digest))

    with pytest.raises(ProofRejected):
        verifier.verify(proved.verifying_key, proved.statement, plain, accept)


# Gas policies.


class Floating(FlatGasPolicy):
    def compute_gas(self, *arguments: Any) -> Any:
        return float(super().compute_gas(*arguments))


class Discount(FlatGasPolicy):
    def compute_gas(self, kind: Any, usage: Any, state: Any) -> Any:
        return max(0, super().compute_gas(kind, usage, state) - (usage.flops > 10**6) * 10**9)


class Lure(FlatGasPolicy):
    def quote(self, *arguments: Any) -> Any:
        quote = super().quote(*arguments)
        return evolve(quote, price_per_gas=1, cost_max=quote.compute_gas)


class Jumpy(FlatGasPolicy):
    def next_base_fees(self, parent: Any) -> Any:
        return parent.base_fee_per_gas * 2, parent.compute_base_fee_per_gas


class RoundsDown(FlatGasPolicy):
    def evm_gas(self, compute_gas: Any, base_fee_per_gas: Any, compute_base_fee_per_gas: Any) -> Any:
        return compute_gas * compute_base_fee_per_gas // base_fee_per_gas


def test_the_gas_suite() -> None:
    suite, state = suites.GasPolicyConformance(), gas_parameter_state()
    catches(suite.test_compute_gas_is_a_non_negative_integer, Floating(), state, USAGES[0])
    catches(suite.test_more_work_never_costs_less, Discount(), state)
    catches(suite.test_a_quote_is_never_below_the_charge, Lure(), state, 1)
    catches(suite.test_a_base_fee_never_rises_by_more_than_an_eighth, Jumpy())
    catches(suite.test_evm_gas_pays_for_the_compute_gas_and_hardly_more, RoundsDown())
    catches(suites.Eip1559Conformance().test_eip_1559_vectors, FlatGasPolicy(), *suites.Eip1559Conformance.VECTORS[1])
    entry = GasPolicyEntry(name="flat", summary="Flat", build=FlatGasPolicy, version=2)
    catches(suite.test_the_policy_is_what_the_entry_says, entry, FlatGasPolicy())


# Stores.


class Unordered(DictStore):
    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(list(super().scan(prefix))[::-1])


class Hasty(DictStore):
    """Writes are seen before the commit."""

    def batch(self) -> Any:
        store = self

        class Batch(DictBatch):
            def put(self, key: bytes, value: bytes) -> None:
                super().put(key, value)
                store.apply({key: value})

        return Batch(self)


class Reusable(DictStore):
    def batch(self) -> Any:
        class Batch(DictBatch):
            def commit(self) -> None:
                writes = dict(self._pending())
                super().commit()
                self._writes = dict(writes)

        return Batch(self)


class Half(DictStore):
    """Readers see one key of a batch after the other."""

    def apply(self, writes: Mapping[bytes, bytes | None]) -> None:
        for key in writes:
            super().apply({key: writes[key]})


def test_the_storage_suite() -> None:
    suite = suites.StorageConformance()

    catches(suite.test_a_scan_is_in_order_of_bytes, Unordered())
    catches(suite.test_a_batch_is_invisible_until_its_commit, Hasty())
    catches(suite.test_a_batch_that_is_dropped_leaves_nothing, Hasty())
    catches(suite.test_a_committed_batch_is_used_up, Reusable())
    closed = DictStore()
    suite.test_close_may_be_repeated_and_ends_the_use(closed)


def build_forgetful(path: Path) -> DictStore:
    return DictStore()


def test_the_storage_suite_kills_writers(tmp_path: Path) -> None:
    suite = suites.StorageConformance()
    entry = StorageEntry(name="forgetful", summary="Says it is durable", build=build_forgetful)
    (tmp_path / "store").mkdir()

    catches(
        suite.test_a_killed_writer_leaves_whole_batches_and_loses_none, entry, entry.options(), DictStore, tmp_path
    )
    catches(suite.test_a_store_opened_again_holds_what_was_committed, DictStore, entry)


# Consensus engines.


class Raising(SoloEngine):
    def step(self, event: Any) -> Any:
        if isinstance(event, BlockBuilt) and event.round:
            raise KeyError(event.round)
        return super().step(event)


class Gullible(SoloEngine):
    def verify_certificate(self, certificate: Any, validators: Any, chain_id: int) -> None:
        if not certificate.signatures:
            super().verify_certificate(certificate, validators, chain_id)


class Credulous(SoloEngine):
    def vouches(self, certificate: Any, validators: Any) -> bool:
        return bool(certificate.signatures)

    def verify_evidence(self, evidence: bytes, validators: Any, chain_id: int) -> Offence:
        return Offence(validator=validators(1)[0].address, height=Height(1), kind=OffenceKind.DOUBLE_VOTE)


class Forgetful(SoloEngine):
    """Decides another block after a crash than the one it had signed for."""

    def step(self, event: Any) -> Any:
        return () if isinstance(event, WalRecord) else super().step(event)


class Moody(SoloEngine):
    counter = itertools.count()

    def step(self, event: Any) -> Any:
        effects = super().step(event)
        return effects * 2 if isinstance(event, StartHeight) and next(self.counter) % 7 == 3 else effects


def _consensus_entry(engine: type[SoloEngine]) -> ConsensusEntry:
    def build(identity: NodeIdentity, chain: ChainParameters) -> SoloEngine:
        return engine(chain_id=chain.chain_id, address=identity.address, validators=chain.validators)

    return ConsensusEntry(name="solo", summary="Faulty", build=build)


def test_the_consensus_suite() -> None:
    suite = suites.ConsensusConformance()
    options = NoOptions()

    catches(suite.test_no_input_can_raise, _consensus_entry(Raising), options, by=KeyError)
    catches(suite.test_a_changed_certificate_is_refused, _consensus_entry(Gullible), options)
    catches(suite.test_another_chain_or_validator_set_refuses, _consensus_entry(Gullible), options)
    catches(suite.test_equal_inputs_give_equal_effects, _consensus_entry(Moody), options)
    restarts = suite.test_a_restart_at_any_moment_leaves_one_block_a_height
    catches(restarts, _consensus_entry(Forgetful), options)
    trusts = suite.test_signers_vouch_for_their_own_set_and_not_for_strangers
    catches(trusts, _consensus_entry(Credulous), options)
    catches(suite.test_what_proves_nothing_is_refused, _consensus_entry(Credulous), options)


# Precompiles.


class Echo:
    """Sound; the faulty ones differ in one thing."""

    def required_gas(self, call: Any) -> Any:
        return 10 + len(call.data)

    def run(self, call: Any) -> bytes:
        return bytes(call.data)


class Counting(Echo):
    def __init__(self) -> None:
        self.calls = 0

    def run(self, call: Any) -> bytes:
        self.calls += 1
        return bytes([self.calls])


class Trusting(Echo):
    def run(self, call: Any) -> bytes:
        assert call.data[4] or True
        return bytes(call.data)


class Eager(Echo):
    def required_gas(self, call: Any) -> Any:
        call.compute_meter.add(1)
        return 10


class Greedy(Echo):
    def required_gas(self, call: Any) -> Any:
        return 10 + len(bytes(min(int.from_bytes(call.data[:4], "big"), 2**25)))


def test_the_precompile_suite() -> None:
    suite = suites.PrecompileConformance()
    examples = [suites.Example(name="five", data=b"12345", output=b"12345")]
    entry = PrecompileEntry(name="echo", summary="Echo", address=bytes(18) + b"\x0c\x02", build=Counting)

    suite.test_malformed_calldata_reverts_or_is_paid_for(Echo(), examples)
    suite.test_refusing_is_cheap(Echo(), examples)
    catches(suite.test_calls_are_pure, entry, entry.options(), Counting(), examples)
    catches(suite.test_malformed_calldata_reverts_or_is_paid_for, Trusting(), examples, by=IndexError)
    catches(suite.test_gas_is_known_before_any_work, Eager(), examples)
    catches(suite.test_refusing_is_cheap, Greedy(), examples)
    catches(suite.test_examples_give_their_outputs, Counting(), examples)
    ethereums = evolve(entry, address=bytes(19) + b"\x05")
    catches(suite.test_the_address_is_none_of_ethereums_own, ethereums, Echo())


# Services.


class Brief:
    name = "brief"

    async def run(self, ready: Callable[[], None]) -> None:
        ready()


class Insistent(Brief):
    async def run(self, ready: Callable[[], None]) -> None:
        ready()
        ready()
        await asyncio.Event().wait()


class Littering(Brief):
    async def run(self, ready: Callable[[], None]) -> None:
        self.task = asyncio.ensure_future(asyncio.sleep(60))
        ready()
        await asyncio.Event().wait()


def test_the_service_suite() -> None:
    suite = suites.ServiceConformance()

    def arguments(service: type[Brief]) -> tuple[Any, ...]:
        entry = ServiceEntry(name="brief", summary="Faulty", build=service)
        return entry, entry.options(), EmptyGateway()

    catches(suite.test_it_says_ready_once_runs_and_stops, *arguments(Brief))
    catches(suite.test_it_says_ready_once_runs_and_stops, *arguments(Insistent))
    catches(suite.test_it_can_be_started_again_in_the_same_process, *arguments(Littering))


# Plugin modules.


@attrs.define
class Changeable:
    knob: int = attrs.field(default=1, metadata={"doc": "a knob"})


def _module(name: str, hooks: Sequence[Callable[..., Any]]) -> ModuleType:
    module = ModuleType(name)
    for hook in hooks:
        setattr(module, hook.__name__, hookimpl(hook))
    return module


def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="sample", hook_api=(1, 0), summary="A sample")


def lazai_gas_policies() -> Iterator[GasPolicyEntry]:
    yield GasPolicyEntry(name="flat-two", summary="Flat\nin two lines", build=FlatGasPolicy, options=Changeable)


def lazai_gas_policy() -> None:
    """Misspelt."""


def test_the_hygiene_suite() -> None:
    suite = suites.PluginHygiene()
    catalog = load_plugin(_module("sample_plugin", [lazai_plugin, lazai_gas_policies]))

    suite.test_the_registry_finds_nothing_wrong(catalog)
    suite.test_unknown_options_are_refused(catalog)
    catches(suite.test_options_are_documented_and_frozen, catalog)
    catches(suite.test_entries_have_a_summary_of_one_line, catalog)
    catches(suite.test_the_module_imports_nothing_heavy, "lazai_core.testing.samples")
    catches(suite.test_the_module_imports_nothing_heavy, "no_such_module")


def test_loading_modules_reports_what_a_node_would() -> None:
    catches(load_plugin, _module("misspelt", [lazai_plugin, lazai_gas_policy]))
    catches(load_plugin, "no_such_module")

    catalog = load_plugins(_module("one", [lazai_plugin]), "no_such_module")
    assert (len(catalog.plugins), len(catalog.broken)) == (1, 1)
