"""Validators that are slower than a quorum are not absent: their signatures join the certificate afterwards."""

from __future__ import annotations

from bft_driving import BLOCK, CHAIN_ID, OTHER, Host, follower, identity, only, sign, validators, vote

from lazai_consensus_bft.messages import Kind
from lazai_core.api.consensus import Certificate, ExtendCertificate, MessageReceived
from lazai_core.api.types import Address


def signers(certificate: Certificate) -> list[Address]:
    return [entry.validator for entry in certificate.signatures]


def decided() -> tuple[Host, int]:
    """An engine that decided by three precommits of four, and whose is missing."""
    host = follower()
    host.propose(BLOCK)
    others = [number for number in range(4) if number != host.number]
    host.votes(others, vote(Kind.PREVOTE, BLOCK))
    host.votes(others[:2], vote(Kind.PRECOMMIT, BLOCK))
    (decision,) = host.decided
    assert len(signers(decision.certificate)) == 3
    return host, others[2]


def test_a_late_precommit_joins_the_certificate_before_the_next_height() -> None:
    host, slow = decided()

    (effect,) = only(host.receive(slow, vote(Kind.PRECOMMIT, BLOCK)), ExtendCertificate)

    assert signers(effect.certificate) == sorted(identity(number).address for number in range(4))
    host.engine.verify_certificate(effect.certificate, validators(1, 1, 1, 1), CHAIN_ID)


def test_a_late_precommit_joins_the_certificate_during_the_next_height() -> None:
    host, slow = decided()
    host.start(2)

    (effect,) = only(host.receive(slow, vote(Kind.PRECOMMIT, BLOCK)), ExtendCertificate)

    assert len(signers(effect.certificate)) == 4
    assert host.engine.status().height == 2


def test_what_is_no_late_signature_of_that_block_changes_nothing() -> None:
    host, slow = decided()
    host.start(2)
    strays = (
        vote(Kind.PREVOTE, BLOCK),
        vote(Kind.PRECOMMIT, OTHER),
        vote(Kind.PRECOMMIT, None),
        vote(Kind.PRECOMMIT, BLOCK, round_number=1),
        vote(Kind.PRECOMMIT, BLOCK, height=2),
    )

    for stray in strays:
        assert only(host.receive(slow, stray), ExtendCertificate) == []
    assert only(host.receive(6, vote(Kind.PRECOMMIT, BLOCK)), ExtendCertificate) == []


def test_each_joins_once() -> None:
    host, slow = decided()
    payload, signature = sign(slow, vote(Kind.PRECOMMIT, BLOCK))
    event = MessageReceived(sender=identity(slow).address, payload=payload, signature=signature)
    assert len(only(host.feed(event), ExtendCertificate)) == 1

    assert only(host.feed(event), ExtendCertificate) == []
    for number in range(4):
        if number not in (slow, host.number):
            assert only(host.receive(number, vote(Kind.PRECOMMIT, BLOCK)), ExtendCertificate) == []
