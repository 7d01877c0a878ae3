"""Attestation: the worker signs the statement, and who verifies runs the program again.

The signature shows who claims the answer; only the second run shows that the answer is right. Where the verifier
does not run it (its policy says so), the verdict says that nothing but the signature was checked.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from attrs import define

from lazai_core.api.compute import CancelToken, ConstantSource, Coprocessor, LoadedModel, TraceHandle
from lazai_core.api.encoding import domain_hash
from lazai_core.api.errors import BadSignature, ComputeError, InvalidInput, ProofMalformed, ProofRejected
from lazai_core.api.hashing import SIGNATURE_BYTES, recover_address
from lazai_core.api.job import ProofEnvelope, ResourceLimits
from lazai_core.api.needs import NodeIdentity, ProgramStore
from lazai_core.api.precompile import StatePort
from lazai_core.api.program import Program
from lazai_core.api.proof import (
    AcceptancePolicy,
    ProofKind,
    ProofSystem,
    ProvingKey,
    Rng,
    Statement,
    Support,
    Verdict,
    VerifyingKey,
)
from lazai_core.api.types import ADDRESS_BYTES, Address, Gas, Hash32, ModelId

from .options import AttestationOptions

NAME = "attestation"
VERSION = 1
PROOF_BYTES = ADDRESS_BYTES + SIGNATURE_BYTES
# ECRECOVER costs 3000 (yellow paper, appendix E); the rest is hashing and bookkeeping.
VERIFICATION_GAS = Gas(5000)


@define(kw_only=True)
class AttestationKey:
    """Proving needs nothing of the model but its name."""

    verifying_key: VerifyingKey


def attestation_digest(statement: Statement) -> Hash32:
    """The 32 bytes the worker signs: bound to this proof system, so that no other signature of the key fits."""
    return Hash32(domain_hash("lazai/attestation/v1", statement.digest))


class AttestationProofSystem:
    """`ProofSystem` of kind ATTESTATION. Safe to use from several threads."""

    name = NAME
    kind = ProofKind.ATTESTATION
    version = VERSION
    hiding = True
    needs_verifying_key = False

    def __init__(
        self,
        *,
        options: AttestationOptions,
        identity: NodeIdentity,
        coprocessor: Coprocessor,
        programs: ProgramStore,
    ) -> None:
        self._options = options
        self._identity = identity
        self._coprocessor = coprocessor
        self._programs = programs
        self._lock = threading.Lock()
        self._run_lock = threading.Lock()
        self._verified: OrderedDict[Hash32, None] = OrderedDict()
        self._loaded: OrderedDict[ModelId, LoadedModel] = OrderedDict()

    def supports(self, program: Program) -> Support:
        """Every valid program can be attested."""
        return Support(supported=True)

    def prepare(self, program: Program, constants: ConstantSource) -> ProvingKey:
        """A key that holds the program's digest alone."""
        key = VerifyingKey(system=NAME, version=VERSION, program_digest=program.digest())
        return AttestationKey(verifying_key=key)

    def prove(
        self, key: ProvingKey, statement: Statement, trace: TraceHandle, rng: Rng, cancel: CancelToken
    ) -> ProofEnvelope:
        """Sign the statement with this node's key."""
        cancel.raise_if_cancelled()
        signature = self._identity.sign(attestation_digest(statement))
        return ProofEnvelope(system=NAME, version=VERSION, data=self._identity.address + signature)

    def verification_gas(self, key: VerifyingKey, proof_bytes: int, state: StatePort) -> Gas:
        """A constant: the second run is paid by the job's compute gas."""
        _check_size(proof_bytes)
        return VERIFICATION_GAS

    def verify(
        self, key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
    ) -> Verdict:
        """Check form, key and signature, then run the program again where the policy asks for it."""
        worker = _check_signature(key, statement, proof, accept)
        if not accept.reexecute:
            return Verdict(
                proven=f"worker 0x{worker.hex()} signed the statement",
                assumed="that the output is the program's: the program was not run again",
                worker=worker,
            )
        self._check_by_running(statement, worker)
        return Verdict(
            proven=(
                f"worker 0x{worker.hex()} signed the statement, and running the program again on "
                f"{self._coprocessor.info.name} ({self._coprocessor.info.device}) gave the same output and cost"
            ),
            assumed="nothing more for whoever made this check; others must run the program themselves",
            worker=worker,
        )

    def _check_by_running(self, statement: Statement, worker: Address) -> None:
        digest = statement.digest
        with self._lock:
            if digest in self._verified:
                self._verified.move_to_end(digest)
                return
        # One run at a time: two threads that verify the same statement do not both run it.
        with self._run_lock:
            if digest in self._verified:
                return
            self._run_again(statement, worker)
        with self._lock:
            self._verified[digest] = None
            while len(self._verified) > self._options.cache_entries_max:
                self._verified.popitem(last=False)

    def _run_again(self, statement: Statement, worker: Address) -> None:
        model = self._model(statement.program_digest)
        blame = f"worker 0x{worker.hex()}"
        try:
            planned = self._coprocessor.models.plan(model.program, statement.input)
            if planned != statement.usage:
                raise ProofRejected(f"{blame} states {statement.usage}, the program's plan is {planned}", check="usage")
            monitor = self._coprocessor.monitor(ResourceLimits())
            result = self._coprocessor.execute(model, statement.input, monitor, CancelToken())
        except InvalidInput as error:
            raise ProofRejected(f"{blame} attests a run on an impossible input: {error}", check="input") from error
        except ComputeError as error:
            raise ProofRejected(
                f"the program could not be run again here: {error}",
                check="reexecution",
                hint="look at this node's coprocessor; the worker is not to blame",
            ) from error
        if result.output != statement.output:
            raise ProofRejected(
                f"{blame} attests output {statement.output_digest.hex()[:16]}…, running the program again on "
                f"{self._coprocessor.info.name} gives another of {len(result.output)} bytes",
                check="reexecution",
            )

    def _model(self, digest: ModelId) -> LoadedModel:
        known = self._loaded.get(digest)
        if known is not None:
            self._loaded.move_to_end(digest)
            return known
        program, constants = self._programs.program(digest), self._programs.constants(digest)
        if program is None or constants is None:
            raise ProofRejected(
                f"this node does not hold program 0x{digest.hex()} and cannot run it again",
                check="program",
                hint="put the model's folder under the node's models folder",
            )
        try:
            model = self._coprocessor.models.load(program, constants)
        except ComputeError as error:
            raise ProofRejected(f"the program cannot be loaded here: {error}", check="program") from error
        self._loaded[digest] = model
        while len(self._loaded) > self._options.models_loaded_max:
            self._coprocessor.models.unload(self._loaded.popitem(last=False)[1])
        return model


def _check_size(proof_bytes: int) -> None:
    if proof_bytes != PROOF_BYTES:
        raise ProofMalformed(f"an attestation has {PROOF_BYTES} bytes, {proof_bytes} were given")


def _check_signature(
    key: VerifyingKey, statement: Statement, proof: ProofEnvelope, accept: AcceptancePolicy
) -> Address:
    """The worker, once form, versions, key and signature are right."""
    if proof.system != NAME:
        raise ProofMalformed(f"the proof is of system {proof.system!r}, not {NAME}")
    if proof.version != VERSION or proof.version not in accept.versions:
        raise ProofRejected(f"attestation version {proof.version} is not accepted", check="version")
    if len(proof.data) > accept.proof_bytes_max:
        raise ProofRejected(
            f"the proof has {len(proof.data)} bytes, {accept.proof_bytes_max} are accepted", check="proof size"
        )
    _check_size(len(proof.data))
    expected = VerifyingKey(system=NAME, version=VERSION, program_digest=statement.program_digest)
    if key != expected:
        raise ProofRejected("the verifying key is not that of the statement's program", check="key")
    worker = Address(proof.data[:ADDRESS_BYTES])
    try:
        signer = recover_address(attestation_digest(statement), proof.data[ADDRESS_BYTES:])
    except BadSignature as error:
        raise ProofRejected(f"the signature of worker 0x{worker.hex()}: {error}", check="signature") from error
    if signer != worker:
        raise ProofRejected(
            f"the attestation names worker 0x{worker.hex()} and is signed by 0x{signer.hex()}", check="signature"
        )
    return worker


def build_attestation(
    options: AttestationOptions, identity: NodeIdentity, coprocessor: Coprocessor, programs: ProgramStore
) -> ProofSystem:
    """The attestation system with this node's key and backend."""
    return AttestationProofSystem(options=options, identity=identity, coprocessor=coprocessor, programs=programs)
