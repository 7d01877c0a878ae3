"""What every proof system must do: accept what it proved, refuse everything else, and raise nothing but ProofError."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from attrs import evolve, frozen

from lazai_core.api.compute import CancelToken
from lazai_core.api.entries import ProofSystemEntry
from lazai_core.api.errors import Cancelled, ProofError, ProofMalformed, UnsupportedProgram
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.precompile import StatePort
from lazai_core.api.proof import (
    AcceptancePolicy,
    ProofKind,
    ProofSystem,
    ProvingKey,
    Statement,
    Verdict,
    VerdictKind,
    VerifyingKey,
)
from lazai_core.api.types import JobId, ModelId
from lazai_core.testing.cases import cases, flip
from lazai_core.testing.chain_port import MemoryState
from lazai_core.testing.parts import KnownIdentity, build_entry
from lazai_core.testing.rng import SeededRng
from lazai_core.testing.sample import Claim, Sample, make_claim
from lazai_core.testing.samples import exact_programs

FLIPS_MAX = 96
OVERSIZE_BYTES = 64 * 1024
SECURITY_BITS_OF_NOBODY = 1_000_000


@frozen(kw_only=True)
class Proved:
    """A claim with its key and a proof that the system itself made."""

    claim: Claim
    key: ProvingKey
    envelope: ProofEnvelope

    @property
    def verifying_key(self) -> VerifyingKey:
        """What the verifier holds."""
        return self.key.verifying_key

    @property
    def statement(self) -> Statement:
        """What was proved."""
        return self.claim.statement


# Proving may take seconds: what a suite proved is kept for its other tests, by suite class and system.
_PROVED: dict[tuple[type, str, str], tuple[Proved, ...]] = {}


class ProofSystemConformance:
    """Subclass it and give the fixture `entry`; override `samples` for a system that proves few kinds of operations."""

    @pytest.fixture
    def entry(self) -> ProofSystemEntry:
        """The entry under test."""
        raise NotImplementedError("give a fixture `entry` that returns your ProofSystemEntry")

    @pytest.fixture
    def options(self, entry: ProofSystemEntry) -> Any:
        """Options the system is built with."""
        return entry.options()

    @pytest.fixture
    def samples(self) -> Sequence[Sample]:
        """Programs to prove; those the system does not support must be refused in words."""
        return exact_programs()

    @pytest.fixture
    def state(self) -> StatePort:
        """Chain state that the price of verifying may be read from."""
        return MemoryState()

    @pytest.fixture
    def accept(self) -> AcceptancePolicy:
        """What the verifier accepts."""
        return AcceptancePolicy()

    @pytest.fixture
    def system(self, entry: ProofSystemEntry, options: Any, samples: Sequence[Sample]) -> ProofSystem:
        """The system of the prover."""
        return self.build(entry, options, samples, KnownIdentity(1))

    @pytest.fixture
    def verifier(self, entry: ProofSystemEntry, options: Any, samples: Sequence[Sample]) -> ProofSystem:
        """A second system, of another node, that has seen nothing of the first."""
        return self.build(entry, options, samples, KnownIdentity(2))

    @pytest.fixture
    def proved(self, system: ProofSystem, options: Any, samples: Sequence[Sample]) -> tuple[Proved, ...]:
        """One proof for each sample that the system supports."""
        key = (type(self), system.name, repr(options))
        if key not in _PROVED:
            supported = [sample for sample in samples if system.supports(sample.model.program).supported]
            _PROVED[key] = tuple(self.prove(system, sample) for sample in supported)
        return _PROVED[key]

    # Helpers.

    def build(
        self, entry: ProofSystemEntry, options: Any, samples: Sequence[Sample], identity: KnownIdentity
    ) -> ProofSystem:
        """Build the system as one node would."""
        built: ProofSystem = build_entry(entry, options=options, samples=samples, identity=identity)
        return built

    def prove(self, system: ProofSystem, sample: Sample, *, seed: int = 31) -> Proved:
        """Prove one run of a sample, with randomness of a fixed seed."""
        claim = make_claim(sample, proof_system=system.name, seed=seed)
        key = system.prepare(sample.model.program, sample.model)
        envelope = system.prove(key, claim.statement, claim.trace, SeededRng(seed), CancelToken())
        return Proved(claim=claim, key=key, envelope=envelope)

    def refuse(
        self,
        verifier: ProofSystem,
        proved: Proved,
        accept: AcceptancePolicy,
        *,
        key: VerifyingKey | None = None,
        statement: Statement | None = None,
        data: bytes | None = None,
        envelope: ProofEnvelope | None = None,
    ) -> None:
        """Verify with one thing exchanged; anything but a ProofError fails the test."""
        offered = envelope or (proved.envelope if data is None else evolve(proved.envelope, data=data))
        with pytest.raises(ProofError):
            verifier.verify(key or proved.verifying_key, statement or proved.statement, offered, accept)

    # What it is.

    def test_the_system_is_what_the_entry_says(self, entry: ProofSystemEntry, system: ProofSystem) -> None:
        assert (system.name, system.kind, system.version) == (entry.name, entry.kind, entry.version)
        assert isinstance(system.hiding, bool)
        assert isinstance(system.needs_verifying_key, bool)

    def test_some_samples_are_supported_and_the_others_refused_in_words(
        self, system: ProofSystem, samples: Sequence[Sample]
    ) -> None:
        supports = [system.supports(sample.model.program) for sample in samples]

        assert any(support.supported for support in supports), "none of the samples can be proved; override `samples`"
        for sample, support in zip(samples, supports, strict=True):
            if not support.supported:
                assert support.reason, sample.name
                with pytest.raises(UnsupportedProgram):
                    system.prepare(sample.model.program, sample.model)

    # Keys.

    def test_keys_are_deterministic_and_bound_to_the_program(
        self, system: ProofSystem, verifier: ProofSystem, proved: tuple[Proved, ...]
    ) -> None:
        digests = set()
        for item in proved:
            model = item.claim.sample.model
            key = system.prepare(model.program, model).verifying_key

            assert key == verifier.prepare(model.program, model).verifying_key == item.verifying_key
            assert (key.system, key.version) == (system.name, system.version)
            assert key.program_digest == model.program.digest()
            assert bool(key.data) == system.needs_verifying_key, "an empty key needs no place on chain, any other does"
            digests.add(key.digest)
        assert len(digests) == len(proved)

    # What must be accepted.

    def test_what_was_proved_is_accepted(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        for item in proved:
            verdict = verifier.verify(item.verifying_key, item.statement, item.envelope, accept)
            self.check_verdict(verifier, verdict)

            assert verdict.worker in (None, KnownIdentity(1).address), "a verdict names the prover or nobody"

            again = verifier.verify(item.verifying_key, item.statement, item.envelope, accept)
            assert again == verdict

    def check_verdict(self, system: ProofSystem, verdict: Verdict) -> None:
        """What a verdict must say, by kind of system."""
        assert verdict.proven, "a verdict says in words what was shown"
        if system.kind is ProofKind.OPTIMISTIC:
            assert verdict.kind is VerdictKind.CHALLENGEABLE
            assert verdict.until > 0
        else:
            assert verdict.kind is VerdictKind.FINAL
            assert (verdict.until, verdict.bond) == (0, 0)

    def test_other_inputs_of_the_same_program_are_proved_with_the_same_key(
        self, system: ProofSystem, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        sample = proved[0].claim.sample
        for dim_value in sample.dims:
            claim = make_claim(sample, proof_system=system.name, seed=32, dim_value=dim_value)
            envelope = system.prove(proved[0].key, claim.statement, claim.trace, SeededRng(1), CancelToken())

            verifier.verify(proved[0].verifying_key, claim.statement, envelope, accept)
            self.refuse(verifier, proved[0], accept, envelope=envelope)

    def test_fixed_randomness_gives_fixed_bytes(self, system: ProofSystem, proved: tuple[Proved, ...]) -> None:
        for item in proved:
            envelope = system.prove(item.key, item.statement, item.claim.trace, SeededRng(31), CancelToken())

            assert envelope == item.envelope

    def test_the_envelope_names_the_system_and_is_canonical(
        self, system: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        for item in proved:
            assert (item.envelope.system, item.envelope.version) == (system.name, system.version)
            assert ProofEnvelope.decode(item.envelope.encode()) == item.envelope
            assert len(item.envelope.data) <= accept.proof_bytes_max

    # What must be refused: the proof.

    def test_every_flipped_byte_is_refused(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        for item in proved:
            data = item.envelope.data
            for case, position in zip(cases(FLIPS_MAX), _positions(len(data)), strict=False):
                with case:
                    self.refuse(verifier, item, accept, data=flip(data, position, case.random.randrange(8)))

    def test_truncated_and_extended_proofs_are_refused(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        for item in proved:
            data = item.envelope.data
            lengths = {0, 1, len(data) // 2, len(data) - 4, len(data) - 1}
            for length in sorted(lengths & set(range(len(data)))):
                self.refuse(verifier, item, accept, data=data[:length])
            for tail in (b"\x00", b"\xff" * 32, data):
                self.refuse(verifier, item, accept, data=data + tail)
            self.refuse(verifier, item, accept, data=b"\x00" + data)

    def test_oversize_is_refused_before_it_is_parsed(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        item = proved[0]
        limit = len(item.envelope.data) - 1

        self.refuse(verifier, item, evolve(accept, proof_bytes_max=limit))
        self.refuse(verifier, item, evolve(accept, proof_bytes_max=OVERSIZE_BYTES), data=bytes(OVERSIZE_BYTES + 1))

    def test_random_and_mutated_bytes_raise_nothing_but_proof_errors(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        for case in cases(60):
            with case:
                item = case.choice(proved)
                self.refuse(verifier, item, accept, data=case.some_bytes(0, 300))
                self.refuse(verifier, item, accept, data=case.mutate(item.envelope.data))

    def test_another_system_or_version_in_the_envelope_is_refused(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        item = proved[0]
        every_version = evolve(accept, versions=frozenset(range(item.envelope.version + 3)))
        self.refuse(verifier, item, accept, envelope=evolve(item.envelope, system="another"))
        self.refuse(verifier, item, every_version, envelope=evolve(item.envelope, version=item.envelope.version + 1))

    def test_a_proof_of_another_run_is_refused(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        for item in proved:
            for other in proved:
                if other is not item:
                    self.refuse(verifier, item, accept, envelope=other.envelope)

    # What must be refused: the statement.

    def test_every_changed_field_of_the_statement_is_refused(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        for item in proved:
            for name, statement in _changed_statements(item.statement):
                try:
                    verdict = verifier.verify(item.verifying_key, statement, item.envelope, accept)
                except ProofError:
                    continue
                pytest.fail(f"{item.claim.sample.name}: accepted with another {name}: {verdict}")

    def test_a_false_statement_cannot_be_proved(
        self, system: ProofSystem, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        for item in proved:
            for statement in _false_statements(item.claim):
                try:
                    envelope = system.prove(item.key, statement, item.claim.trace, SeededRng(33), CancelToken())
                except ProofError:
                    continue
                self.refuse(verifier, item, accept, statement=statement, envelope=envelope)

    # What must be refused: the key and the policy.

    def test_other_keys_are_refused(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        for index, item in enumerate(proved):
            for key in _changed_keys(item.verifying_key):
                self.refuse(verifier, item, accept, key=key)
            other = proved[(index + 1) % len(proved)]
            if other is not item:
                self.refuse(verifier, item, accept, key=other.verifying_key)
                if other.verifying_key.data != item.verifying_key.data:
                    self.refuse(verifier, item, accept, key=evolve(item.verifying_key, data=other.verifying_key.data))

    def test_mutated_keys_raise_nothing_but_proof_errors(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        for case in cases(30):
            with case:
                item = case.choice(proved)
                data = case.mutate(item.verifying_key.data)
                self.refuse(verifier, item, accept, key=evolve(item.verifying_key, data=data))

    def test_a_policy_that_accepts_no_version_refuses(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        versions = frozenset({proved[0].envelope.version + 1})
        self.refuse(verifier, proved[0], evolve(accept, versions=versions))
        self.refuse(verifier, proved[0], evolve(accept, versions=frozenset()))

    def test_a_policy_stronger_than_the_system_refuses(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], accept: AcceptancePolicy
    ) -> None:
        if verifier.kind is not ProofKind.VALIDITY:
            pytest.skip("security bits measure proofs of validity")
        self.refuse(verifier, proved[0], evolve(accept, security_bits_min=SECURITY_BITS_OF_NOBODY))

    # Price.

    def test_the_price_is_known_from_the_size_alone(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], state: StatePort
    ) -> None:
        for item in proved:
            gas = verifier.verification_gas(item.verifying_key, len(item.envelope.data), state)

            assert type(gas) is int
            assert gas > 0
            assert gas == verifier.verification_gas(item.verifying_key, len(item.envelope.data), state)

    def test_the_price_of_any_size_is_a_number_or_refused(
        self, verifier: ProofSystem, proved: tuple[Proved, ...], state: StatePort
    ) -> None:
        key = proved[0].verifying_key
        for size in (0, 1, 31, 32, 33, 1000, 2**20, 2**32, 2**63):
            try:
                gas = verifier.verification_gas(key, size, state)
            except ProofMalformed:
                continue
            assert type(gas) is int
            assert gas > 0

    # Cancelling.

    def test_a_cancelled_proof_is_not_made(self, system: ProofSystem, proved: tuple[Proved, ...]) -> None:
        cancel = CancelToken()
        cancel.cancel()
        item = proved[0]

        with pytest.raises(Cancelled):
            system.prove(item.key, item.statement, item.claim.trace, SeededRng(), cancel)


def _positions(length: int) -> Iterator[int]:
    """Every byte of a short proof; of a long one the first and last bytes and an even spread between."""
    if length <= FLIPS_MAX:
        yield from range(length)
        return
    edge = FLIPS_MAX // 4
    yield from range(edge)
    yield from range(length - edge, length)
    inner = FLIPS_MAX - 2 * edge
    yield from (edge + index * (length - 2 * edge) // inner for index in range(inner))


def _changed_statements(statement: Statement) -> Iterator[tuple[str, Statement]]:
    usage = statement.usage
    yield "program_digest", evolve(statement, program_digest=ModelId(flip(statement.program_digest, 31)))
    yield "job_id", evolve(statement, job_id=JobId(flip(statement.job_id, 0)))
    yield "chain_id", evolve(statement, chain_id=statement.chain_id + 1)
    yield "input", evolve(statement, input=flip(statement.input, len(statement.input) - 1))
    yield "input length", evolve(statement, input=statement.input + b"\x00")
    yield "empty input", evolve(statement, input=b"")
    yield "output", evolve(statement, output=flip(statement.output, 0))
    yield "last output", evolve(statement, output=flip(statement.output, len(statement.output) - 1))
    yield "output length", evolve(statement, output=statement.output[:-1])
    yield "empty output", evolve(statement, output=b"")
    yield "usage.flops", evolve(statement, usage=evolve(usage, flops=usage.flops + 1))
    yield "usage.memory", evolve(statement, usage=evolve(usage, memory_bytes_peak=usage.memory_bytes_peak - 1))
    yield "usage.tokens", evolve(statement, usage=evolve(usage, tokens_in=usage.tokens_in + 1))


def _false_statements(claim: Claim) -> Iterator[Statement]:
    changed = dict(_changed_statements(claim.statement))
    yield changed["output"]
    yield changed["last output"]
    yield changed["usage.flops"]
    yield changed["usage.memory"]
    other = claim.sample.job_input(seed=99, dim_value=int.from_bytes(claim.statement.input[:4], "big"))
    if claim.sample.run(other).output_bytes() != claim.statement.output:
        yield evolve(claim.statement, input=other)


def _changed_keys(key: VerifyingKey) -> Iterator[VerifyingKey]:
    yield evolve(key, system="another")
    yield evolve(key, version=key.version + 1)
    yield evolve(key, program_digest=ModelId(flip(key.program_digest, 5)))
    yield evolve(key, data=key.data + b"\x00")
    if key.data:
        yield evolve(key, data=b"")
        yield evolve(key, data=key.data[:-1])
        yield evolve(key, data=flip(key.data, len(key.data) - 1))
        yield evolve(key, data=flip(key.data, 0))
