"""The light client, on chains whose committees change, with forged and unhelpful providers."""

from __future__ import annotations

import pytest
from attrs import evolve, frozen
from bft_driving import CHAIN_ID, identity, sign

from lazai_consensus_bft.certificate import ordered_signatures
from lazai_consensus_bft.committee import committee_of
from lazai_consensus_bft.engine import BftEngine
from lazai_consensus_bft.messages import Kind, Vote
from lazai_core.api.consensus import Certificate, Validator, validators_hash
from lazai_core.api.encoding import domain_hash
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import Address, Hash32, Height
from lazai_core.chain.light_client import LightBlock, LightClient, NotEnoughTrust, TrustOptions, verify_back

Members = tuple[Validator, ...]
OPTIONS = TrustOptions(trusting_period_s=1000)
NOW_S = 500


@frozen(kw_only=True)
class PlainHeader:
    """The fields the client reads."""

    chain_id: int = CHAIN_ID
    height: Height
    parent_hash: Hash32
    timestamp: int
    validators_hash: Hash32
    next_validators_hash: Hash32
    note: bytes = b""

    @property
    def hash(self) -> Hash32:
        """Over all fields."""
        numbers = (self.chain_id, self.height, self.timestamp)
        return Hash32(
            domain_hash(
                "test header",
                *(number.to_bytes(8, "big") for number in numbers),
                self.parent_hash,
                self.validators_hash,
                self.next_validators_hash,
                self.note,
            )
        )


def client(now_s: int = NOW_S) -> LightClient:
    """The rules of this plugin, whose engine need not know any of the sets."""
    stranger = (Validator(address=Address(b"\x99" * 20), power=1),)
    rules = BftEngine(chain_id=CHAIN_ID, address=stranger[0].address, committee=committee_of(stranger))
    return LightClient(rules=rules, chain_id=CHAIN_ID, now_s=now_s, options=OPTIONS)


def committee(*numbers: int) -> Members:
    """Equal powers."""
    return tuple(Validator(address=identity(number).address, power=1) for number in numbers)


def seal(header: PlainHeader, signers: list[int]) -> Certificate:
    """Precommits of these validators."""
    ballot = Vote(kind=Kind.PRECOMMIT, height=header.height, round=0, block_id=header.hash)
    signatures = ordered_signatures((identity(number).address, sign(number, ballot)[1]) for number in signers)
    return Certificate(height=header.height, round=0, block_id=header.hash, signatures=signatures)


def chain(committees: list[tuple[Members, list[int]]], note: bytes = b"") -> dict[int, LightBlock]:
    """Heights from 1; each committee with those of it that sign. The last announces itself."""
    blocks: dict[int, LightBlock] = {}
    parent = Hash32(bytes(32))
    for number, (current, signers) in enumerate(committees, start=1):
        following = committees[min(number, len(committees) - 1)][0]
        header = PlainHeader(
            height=Height(number),
            parent_hash=parent,
            timestamp=10 * number,
            validators_hash=validators_hash(current),
            next_validators_hash=validators_hash(following),
            note=note,
        )
        blocks[number] = LightBlock(
            header=header, certificate=seal(header, signers), validators=current, next_validators=following
        )
        parent = header.hash
    return blocks


def steady(count: int, note: bytes = b"") -> dict[int, LightBlock]:
    """Four validators for ever; three of them sign."""
    return chain([(committee(0, 1, 2, 3), [0, 1, 2])] * count, note)


def moving() -> dict[int, LightBlock]:
    """One validator of four is exchanged every other height, so that ends have nobody in common."""
    sets = [[(start + offset) % 8 for offset in range(4)] for start in (0, 0, 1, 1, 2, 2, 3, 3, 4, 4)]
    return chain([(committee(*numbers), numbers) for numbers in sets])


def step(trusted: LightBlock, block: LightBlock, *, now_s: int = NOW_S) -> None:
    """One step with the usual limits."""
    client(now_s).verify_step(trusted, block)


def test_sequential_steps_follow_every_change() -> None:
    blocks = moving()
    for number in range(1, 10):
        step(blocks[number], blocks[number + 1])


def test_skipping_needs_a_set_that_hits_every_trusted_quorum() -> None:
    blocks = moving()
    step(blocks[1], blocks[5])
    with pytest.raises(NotEnoughTrust):
        step(blocks[1], blocks[7])


def test_a_far_header_is_reached_by_halving() -> None:
    blocks, asked = moving(), list[int]()

    def fetch(height: Height) -> LightBlock:
        asked.append(height)
        return blocks[height]

    reached = client().verify_to(blocks[1], Height(10), fetch)

    assert reached is blocks[10]
    assert asked[0] == 10
    assert len(asked) < 8


def test_a_provider_of_other_heights_is_refused() -> None:
    blocks = moving()
    for target, answers in ((8, {8: 9, 5: 5}), (10, {10: 10, 5: 2})):

        def fetch(height: Height, answers: dict[int, int] = answers) -> LightBlock:
            return blocks[answers.get(height, height)]

        with pytest.raises(ConsensusFault, match="asked for"):
            client().verify_to(blocks[1], Height(target), fetch)


def test_what_does_not_belong_together_is_refused() -> None:
    blocks = steady(3)
    good, header = blocks[2], blocks[2].header
    assert isinstance(header, PlainHeader)
    other = committee(4, 5, 6, 7)
    bad = [
        evolve(good, header=evolve(header, note=b"changed")),
        evolve(good, header=evolve(header, chain_id=9)),
        evolve(good, certificate=blocks[3].certificate),
        evolve(good, certificate=None),
        evolve(good, certificate=seal(header, [0, 1])),
        evolve(good, certificate=seal(header, [0, 1, 5])),
        evolve(good, validators=other),
        evolve(good, next_validators=other),
        evolve(good, certificate=evolve(good.certificate, round=1)),
        evolve(good, certificate=evolve(good.certificate, round=-1)),
        evolve(good, certificate=evolve(good.certificate, signatures=good.certificate.signatures[::-1])),
    ]
    client().verify_block(good)
    for block in bad:
        with pytest.raises(ConsensusFault):
            step(blocks[1], block)


def test_a_committee_that_was_not_announced_is_refused() -> None:
    blocks = steady(2)
    header = blocks[2].header
    assert isinstance(header, PlainHeader)
    taken = committee(0, 1, 2, 4)
    forged = evolve(header, validators_hash=validators_hash(taken))
    block = evolve(blocks[2], header=forged, validators=taken, certificate=seal(forged, [0, 1, 2]))

    client().verify_block(block)
    with pytest.raises(ConsensusFault, match="announced"):
        step(blocks[1], block)


def test_the_next_header_follows_the_trusted_one() -> None:
    with pytest.raises(ConsensusFault, match="does not follow"):
        step(steady(2)[1], steady(2, b"fork")[2])


def test_times_are_checked() -> None:
    blocks = steady(5)
    header = blocks[5].header
    assert isinstance(header, PlainHeader)
    step(blocks[1], blocks[5])
    with pytest.raises(ConsensusFault, match="trusting period"):
        step(blocks[1], blocks[5], now_s=1010)
    with pytest.raises(ConsensusFault, match="future"):
        step(blocks[1], blocks[5], now_s=39)
    with pytest.raises(ConsensusFault, match="not after"):
        step(blocks[5], blocks[5])
    early = evolve(header, timestamp=10)
    with pytest.raises(ConsensusFault, match="not later"):
        step(blocks[1], evolve(blocks[5], header=early, certificate=seal(early, [0, 1, 2])))


def test_idao_committees_are_verified_by_the_same_client() -> None:
    def member(number: int, power: int, idao: int) -> Validator:
        return Validator(address=identity(number).address, power=power, idao=Address(bytes([idao]) * 20))

    nested = (*(member(number, 1, 1) for number in range(4)), member(4, 4, 2), member(5, 4, 3), member(6, 4, 4))
    good = chain([(nested, [0, 1, 2, 4, 5])] * 3)
    step(good[1], good[3])
    # Five of seven, but only two of four iDAOs have voted.
    bad = chain([(nested, [0, 1, 2, 3, 4])] * 3)
    with pytest.raises(ConsensusFault, match="no quorum"):
        step(good[1], bad[3])


def test_two_decided_blocks_of_one_height_contradict() -> None:
    left, right = steady(2), steady(2, b"fork")
    assert client().contradict(left[2], right[2])
    assert not client().contradict(left[2], left[2])
    assert not client().contradict(left[1], right[2])
    with pytest.raises(ConsensusFault):
        client().contradict(left[2], evolve(right[2], certificate=left[2].certificate))


def test_a_long_step_needs_the_set_that_the_trusted_header_announced() -> None:
    blocks = steady(5)
    for unknown in ((), committee(0, 1, 2, 4)):
        with pytest.raises(ConsensusFault, match="next validators"):
            step(evolve(blocks[1], next_validators=unknown), blocks[5])


def test_a_trusting_period_may_be_left_out() -> None:
    blocks = steady(5)
    endless = evolve(client(10**9), options=TrustOptions(trusting_period_s=None))

    endless.verify_step(blocks[1], blocks[5])


def test_earlier_headers_follow_from_hashes_alone() -> None:
    blocks, fork = steady(9), steady(9, b"fork")

    assert verify_back(blocks[9].header, Height(2), lambda height: blocks[height].header) is blocks[2].header
    assert verify_back(blocks[9].header, Height(9), lambda height: blocks[height].header) is blocks[9].header
    for answers in (lambda height: fork[height].header, lambda height: blocks[max(1, height - 1)].header):
        with pytest.raises(ConsensusFault, match="not the parent"):
            verify_back(blocks[9].header, Height(2), answers)
