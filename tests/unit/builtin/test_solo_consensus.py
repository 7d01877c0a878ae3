"""Consensus of one: it decides what it built, says so in a certificate, and shrugs at everything else."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.consensus import (
    AppendWal,
    BlockBuilt,
    BuildBlock,
    Certificate,
    CertificateReceived,
    CommitSignature,
    Decide,
    Effect,
    Input,
    MessageReceived,
    OwnMessageSigned,
    SignMessage,
    StartHeight,
    TimeoutElapsed,
    Validator,
    WalRecord,
    signing_digest,
)
from lazai_core.api.errors import ConsensusFault, EncodingError
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.builtin.solo_consensus import SoloEngine, commit_message
from lazai_core.testing.parts import KnownIdentity

ME, OTHER = KnownIdentity(0), KnownIdentity(1)
SET = (Validator(address=ME.address, power=1),)
BLOCK = Hash32(bytes(range(32)))
CHAIN = 7


def engine(identity: KnownIdentity = ME) -> SoloEngine:
    return SoloEngine(chain_id=CHAIN, address=identity.address, validators=SET)


def decide(height: int, block: Hash32 = BLOCK) -> Certificate:
    """One height from start to decision, with the host's part played here."""
    solo = engine()
    assert solo.step(StartHeight(height=Height(height))) == (BuildBlock(height=Height(height), round=0),)
    record, wanted = solo.step(BlockBuilt(height=Height(height), round=0, block_id=block))
    assert isinstance(record, AppendWal)
    assert isinstance(wanted, SignMessage)
    signature = ME.sign(signing_digest(wanted.payload))
    (decided,) = solo.step(OwnMessageSigned(payload=wanted.payload, signature=signature))
    assert isinstance(decided, Decide)
    return decided.certificate


def test_a_height_ends_in_a_certificate_that_others_accept() -> None:
    certificate = decide(5)

    engine(OTHER).verify_certificate(certificate, SET, CHAIN)
    assert Certificate.decode(certificate.encode()) == certificate


def test_an_engine_that_lost_its_log_builds_afresh() -> None:
    assert decide(5) == decide(5)
    assert decide(5, Hash32(bytes(32))).block_id != BLOCK


def test_a_restarted_engine_decides_the_block_it_had_chosen() -> None:
    first = engine()
    first.step(StartHeight(height=Height(5)))
    record, wanted = first.step(BlockBuilt(height=Height(5), round=0, block_id=BLOCK))
    assert isinstance(record, AppendWal)

    second = engine()
    for payload in (record.payload, b"garbage"):
        assert second.step(WalRecord(payload=payload)) == ()
    assert second.step(StartHeight(height=Height(5))) == (wanted,)

    later = engine()
    later.step(WalRecord(payload=record.payload))
    assert later.step(StartHeight(height=Height(6))) == (BuildBlock(height=Height(6), round=0),)


def test_a_node_that_is_no_validator_follows_certificates() -> None:
    follower = engine(OTHER)
    certificate = decide(3)

    assert follower.step(StartHeight(height=Height(3))) == ()
    assert follower.step(CertificateReceived(certificate=decide(4))) == ()
    assert follower.step(CertificateReceived(certificate=certificate)) == (Decide(certificate=certificate),)


def spoiled() -> list[tuple[str, Certificate]]:
    good = decide(5)
    (mine,) = good.signatures
    forged = OTHER.sign(signing_digest(commit_message(CHAIN, 5, 0, BLOCK)))
    return [
        ("height", evolve(good, height=Height(6))),
        ("round", evolve(good, round=1)),
        ("block", evolve(good, block_id=Hash32(bytes(32)))),
        ("none", evolve(good, signatures=())),
        ("twice", evolve(good, signatures=(mine, mine))),
        ("other key", evolve(good, signatures=(evolve(mine, signature=forged),))),
        ("other name", evolve(good, signatures=(CommitSignature(validator=OTHER.address, signature=forged),))),
        ("rubbish", evolve(good, signatures=(evolve(mine, signature=b"x" * 65),))),
    ]


@pytest.mark.parametrize(("name", "certificate"), spoiled(), ids=[name for name, _ in spoiled()])
def test_a_spoiled_certificate_is_refused(name: str, certificate: Certificate) -> None:
    with pytest.raises(ConsensusFault):
        engine().verify_certificate(certificate, SET, CHAIN)


def test_a_certificate_holds_for_one_chain_and_one_set() -> None:
    certificate = decide(5)

    with pytest.raises(ConsensusFault):
        engine().verify_certificate(certificate, SET, CHAIN + 1)
    with pytest.raises(ConsensusFault):
        engine().verify_certificate(certificate, (Validator(address=OTHER.address, power=1),), CHAIN)
    with pytest.raises(ConsensusFault):
        engine().verify_certificate(certificate, (*SET, Validator(address=OTHER.address, power=1)), CHAIN)


HEIGHTS = st.integers(0, 4).map(Height)
BLOCKS = st.sampled_from([BLOCK, Hash32(bytes(32))])
EVENTS = st.one_of(
    st.builds(StartHeight, height=HEIGHTS),
    st.builds(BlockBuilt, height=HEIGHTS, round=st.integers(0, 1), block_id=BLOCKS),
    st.builds(OwnMessageSigned, payload=st.binary(max_size=8), signature=st.binary(max_size=70)),
    st.builds(MessageReceived, sender=st.just(Address(bytes(20))), payload=st.binary(max_size=8)),
    st.builds(TimeoutElapsed, timeout_id=st.text(max_size=3), height=HEIGHTS, round=st.integers(0, 1)),
)


@given(st.lists(EVENTS, max_size=12))
def test_no_event_raises_and_equal_events_give_equal_effects(events: list[Input]) -> None:
    def effects() -> list[Effect]:
        solo = engine()
        return [effect for event in events for effect in solo.step(event)]

    found = effects()
    assert found == effects()
    # Nothing unsigned is ever decided: the events above hold no valid signature request.
    assert not [effect for effect in found if isinstance(effect, Decide) and len(effect.certificate.signatures) != 1]


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_are_refused(data: bytes) -> None:
    try:
        certificate = Certificate.decode(data)
    except EncodingError:
        return
    assert certificate.encode() == data
