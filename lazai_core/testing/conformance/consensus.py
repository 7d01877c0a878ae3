"""What every consensus engine must do: one block a height, the same for all, whatever is lost, sent or crashed."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from attrs import evolve

from lazai_core.api.consensus import (
    AppendWal,
    BlockBuilt,
    BlockChecked,
    Broadcast,
    Certificate,
    CertificateReceived,
    CommitSignature,
    ConsensusEngine,
    Decide,
    Effect,
    Input,
    MessageReceived,
    OwnMessageSigned,
    StartHeight,
    TimeoutElapsed,
    Validator,
    WalRecord,
)
from lazai_core.api.entries import ConsensusEntry
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.testing.cases import Case, cases, flip
from lazai_core.testing.cluster import EFFECTS_MAX, Cluster
from lazai_core.testing.parts import KnownIdentity, build_entry, chain_parameters
from lazai_core.testing.sample import CHAIN_ID

HEIGHTS = 5
EFFECT_CLASSES = typing.get_args(Effect)


class ConsensusConformance:
    """Subclass it and give the fixture `entry`; `validator_count` and `crashes` say what the engine can stand."""

    validator_count = 1
    """Validators of the simulated cluster."""
    loss_per_mille = 0
    """Messages the network loses. Leave it 0 for an engine whose messages are never sent again."""

    @pytest.fixture
    def entry(self) -> ConsensusEntry:
        """The entry under test."""
        raise NotImplementedError("give a fixture `entry` that returns your ConsensusEntry")

    @pytest.fixture
    def options(self, entry: ConsensusEntry) -> Any:
        """Options the engine is built with."""
        return entry.options()

    # Helpers.

    def make(
        self, entry: ConsensusEntry, options: Any, identity: KnownIdentity, validators: Sequence[Validator]
    ) -> ConsensusEngine:
        """A fresh engine of one validator."""
        engine: ConsensusEngine = build_entry(
            entry, options=options, identity=identity, chain=chain_parameters(validators)
        )
        return engine

    def cluster(self, entry: ConsensusEntry, options: Any, seed: int = 0) -> Cluster:
        """Validators that have not started yet."""
        return Cluster(
            lambda identity, validators: self.make(entry, options, identity, validators),
            count=self.validator_count,
            seed=seed,
            loss_per_mille=self.loss_per_mille,
        )

    def decided(self, entry: ConsensusEntry, options: Any) -> tuple[Cluster, Certificate]:
        """A cluster that ran, and the certificate of its second block."""
        cluster = self.cluster(entry, options)
        cluster.run(until_height=2)
        return cluster, cluster.nodes[0].decided[2]

    def check_agreement(self, cluster: Cluster, *, until_height: int) -> None:
        """Every height is decided, alike everywhere, with a certificate that proves it."""
        for node in cluster.nodes:
            assert set(range(1, until_height + 1)) <= set(node.decided), "a height is undecided"
            for height, certificate in node.decided.items():
                assert certificate.height == height
                node.engine.verify_certificate(certificate, cluster.validators, CHAIN_ID)
        for height in range(1, until_height + 1):
            assert len({node.decided[height].block_id for node in cluster.nodes}) == 1, f"height {height} is split"

    # What it is.

    def test_the_engine_is_what_the_entry_says(self, entry: ConsensusEntry, options: Any) -> None:
        engine = self.cluster(entry, options).nodes[0].engine

        assert (engine.name, engine.version) == (entry.name, entry.version)
        assert engine.status().height >= 0

    # Deciding.

    def test_every_height_is_decided_once_and_alike(self, entry: ConsensusEntry, options: Any) -> None:
        for case in cases(3):
            with case:
                cluster = self.cluster(entry, options, case.seed)
                cluster.run(until_height=HEIGHTS)

                self.check_agreement(cluster, until_height=HEIGHTS)
                assert all(node.engine.status().height >= HEIGHTS for node in cluster.nodes)
                assert all(node.evidence == [] for node in cluster.nodes), "an honest validator was accused"

    def test_a_restart_at_any_moment_leaves_one_block_a_height(self, entry: ConsensusEntry, options: Any) -> None:
        for case in cases(20):
            with case:
                cluster = self.cluster(entry, options, case.seed)
                for _ in range(case.integer(0, 12 * self.validator_count)):
                    cluster.step()
                cluster.crash(case.random.randrange(self.validator_count))
                cluster.run(until_height=HEIGHTS)

                self.check_agreement(cluster, until_height=HEIGHTS)

    def test_records_are_durable_before_messages_leave(self, entry: ConsensusEntry, options: Any) -> None:
        cluster = self.cluster(entry, options)
        cluster.run(until_height=HEIGHTS)

        for node in cluster.nodes:
            for _, effects in node.history:
                kinds = [type(effect) for effect in effects if isinstance(effect, AppendWal | Broadcast)]
                assert kinds == sorted(kinds, key=lambda kind: kind is Broadcast)

    # Purity.

    def test_equal_inputs_give_equal_effects(self, entry: ConsensusEntry, options: Any) -> None:
        cluster = self.cluster(entry, options)
        cluster.run(until_height=HEIGHTS)

        for node in cluster.nodes:
            twin = self.make(entry, options, node.identity, cluster.validators)
            for event, effects in node.history:
                assert tuple(twin.step(event)) == effects
            assert twin.status() == node.engine.status()

    def test_no_input_can_raise(self, entry: ConsensusEntry, options: Any) -> None:
        cluster, certificate = self.decided(entry, options)
        seen = [event for event, _ in cluster.nodes[0].history]
        for case in cases(40):
            with case:
                engine = self.make(entry, options, cluster.nodes[0].identity, cluster.validators)
                for _ in range(40):
                    event = case.choice(seen) if case.random.random() < 0.5 else _random_input(case, certificate)
                    effects = engine.step(event)

                    assert len(effects) <= EFFECTS_MAX
                    assert all(isinstance(effect, EFFECT_CLASSES) for effect in effects)
                    for effect in effects:
                        if isinstance(effect, Decide):
                            # Whatever it was told, an engine decides only what it can prove.
                            self._check_decision(engine, effect.certificate, cluster.validators)

    def _check_decision(
        self, engine: ConsensusEngine, certificate: Certificate, validators: Sequence[Validator]
    ) -> None:
        engine.verify_certificate(certificate, validators, CHAIN_ID)

    # Certificates.

    def test_a_certificate_is_accepted_by_others(self, entry: ConsensusEntry, options: Any) -> None:
        cluster, certificate = self.decided(entry, options)
        outsider = self.make(entry, options, KnownIdentity(99), cluster.validators)

        outsider.verify_certificate(certificate, cluster.validators, CHAIN_ID)

    def test_a_changed_certificate_is_refused(self, entry: ConsensusEntry, options: Any) -> None:
        cluster, certificate = self.decided(entry, options)
        engine = cluster.nodes[0].engine
        for changed in _changed_certificates(certificate):
            with pytest.raises(ConsensusFault):
                engine.verify_certificate(changed, cluster.validators, CHAIN_ID)
        for case in cases(60):
            with case:
                index = case.random.randrange(len(certificate.signatures))
                broken = _with_signature(certificate, index, case.mutate(certificate.signatures[index].signature))
                # One bad signature spoils a certificate, also where the others would have been enough.
                with pytest.raises(ConsensusFault):
                    engine.verify_certificate(broken, cluster.validators, CHAIN_ID)

    def test_another_chain_or_validator_set_refuses(self, entry: ConsensusEntry, options: Any) -> None:
        cluster, certificate = self.decided(entry, options)
        engine = cluster.nodes[0].engine
        strangers = tuple(
            Validator(address=KnownIdentity(50 + number).address, power=1) for number in range(self.validator_count)
        )
        with pytest.raises(ConsensusFault):
            engine.verify_certificate(certificate, cluster.validators, CHAIN_ID + 1)
        for validators in (strangers, (), (*strangers, *cluster.validators, *strangers, *strangers)):
            with pytest.raises(ConsensusFault):
                engine.verify_certificate(certificate, validators, CHAIN_ID)


    # Trust and evidence.

    def test_signers_vouch_for_their_own_set_and_not_for_strangers(self, entry: ConsensusEntry, options: Any) -> None:
        cluster, certificate = self.decided(entry, options)
        engine = cluster.nodes[0].engine
        strangers = tuple(
            Validator(address=KnownIdentity(50 + number).address, power=1) for number in range(self.validator_count)
        )
        heavy = Validator(address=KnownIdentity(60).address, power=100 * self.validator_count)

        assert engine.vouches(certificate, cluster.validators)
        assert not engine.vouches(certificate, strangers)
        assert not engine.vouches(certificate, (*cluster.validators, heavy))
        assert not engine.vouches(evolve(certificate, signatures=()), cluster.validators)

    def test_what_proves_nothing_is_refused(self, entry: ConsensusEntry, options: Any) -> None:
        cluster, certificate = self.decided(entry, options)
        engine = cluster.nodes[0].engine
        said = [event.payload for event, _ in cluster.nodes[0].history if isinstance(event, MessageReceived)]
        for case in cases(100):
            evidence = case.choice((case.some_bytes(0, 400), certificate.encode(), *said[:20]))
            with case, pytest.raises(ConsensusFault):
                engine.verify_evidence(evidence, lambda height: cluster.validators, CHAIN_ID)


def _with_signature(certificate: Certificate, index: int, signature: bytes) -> Certificate:
    signatures = list(certificate.signatures)
    signatures[index] = evolve(signatures[index], signature=signature)
    return evolve(certificate, signatures=tuple(signatures))


def _changed_certificates(certificate: Certificate) -> Iterator[Certificate]:
    first = certificate.signatures[0]
    yield evolve(certificate, height=Height(certificate.height + 1))
    yield evolve(certificate, round=certificate.round + 1)
    yield evolve(certificate, block_id=Hash32(flip(certificate.block_id, 31)))
    yield evolve(certificate, signatures=())
    yield evolve(certificate, signatures=(*certificate.signatures, first))
    yield evolve(certificate, signatures=(first,) * (len(certificate.signatures) + 1))
    yield evolve(
        certificate, signatures=(evolve(first, validator=KnownIdentity(77).address), *certificate.signatures[1:])
    )
    yield _with_signature(certificate, 0, b"")
    yield _with_signature(certificate, 0, bytes(65))


def _some_validators(case: Case, member: Address) -> tuple[Validator, ...]:
    """A set that may be empty, ambiguous or without power."""
    return tuple(Validator(address=member, power=case.integer(0, 2)) for _ in range(case.integer(0, 2)))


def _random_input(case: Case, certificate: Certificate) -> Input:
    height = Height(case.choice((0, 1, 2, 3, 2**63, case.integer(0, 10))))
    round_number = case.choice((0, 1, case.integer(0, 2**31)))
    block_id = Hash32(case.choice((certificate.block_id, case.random.randbytes(32))))
    signature = case.choice((certificate.signatures[0].signature, case.some_bytes(0, 70)))
    payload = case.some_bytes(0, 200)
    sender = Address(case.choice((certificate.signatures[0].validator, case.random.randbytes(20))))
    forged = Certificate(
        height=height,
        round=round_number,
        block_id=block_id,
        signatures=tuple(CommitSignature(validator=sender, signature=signature) for _ in range(case.integer(0, 3))),
    )
    events: Sequence[Input] = (
        StartHeight(height=height),
        StartHeight(height=height, validators=_some_validators(case, sender)),
        WalRecord(payload=payload),
        BlockBuilt(height=height, round=round_number, block_id=block_id),
        BlockChecked(height=height, round=round_number, block_id=block_id, valid=case.random.random() < 0.5),
        MessageReceived(sender=sender, payload=payload, signature=signature),
        OwnMessageSigned(payload=payload, signature=signature),
        CertificateReceived(certificate=forged),
        CertificateReceived(certificate=certificate),
        TimeoutElapsed(timeout_id=case.choice(("", "propose", "x")), height=height, round=round_number),
    )
    return case.choice(events)
